// Whole numbers of attributes, however large: an op refuses them, or the graph counts in what they
// make without overflow (the sanitized build watches).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "compiler/graph/graph.h"
#include "compiler/graph/limits.h"
#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "compiler/support/diagnostic.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kValues[] = {kLeast,
                               -kMostNumber,
                               -1,
                               0,
                               1 << 20,
                               (1 << 20) + 1,
                               int64_t{1} << 30,
                               kMostNumber,
                               kMostNumber + 1,
                               int64_t{1} << 32,
                               int64_t{1} << 62,
                               kMost};

// Counts the whole numbers of an op, and replaces one of them.
class ReplaceNumber : public Fields {
  public:
    explicit ReplaceNumber(int index = -1, int64_t value = 0) : index_(index), value_(value) {}
    int count() const { return count_; }
    const std::string& name() const { return name_; }

    void field(std::string_view, bool&) override {}
    void field(std::string_view, double&) override {}
    void field(std::string_view, std::string&) override {}
    void field(std::string_view, std::vector<double>&) override {}
    void field(std::string_view name, int64_t& value) override { visit(name, value); }
    void field(std::string_view name, std::vector<int64_t>& values) override {
        for (int64_t& value : values) visit(name, value);
    }

  private:
    void visit(std::string_view name, int64_t& value) {
        if (count_++ != index_) return;
        value = value_;
        name_ = name;
    }
    int index_, count_ = 0;
    int64_t value_;
    std::string name_;
};

std::shared_ptr<Op> copy_of(const Op& op) {
    return std::const_pointer_cast<Op>(op_from_text(op.kind(), print_attributes(op)));
}

// The graph with another op in one place. Throws Error where that op or one behind it refuses.
Graph with_op(const Graph& graph, size_t place, const std::shared_ptr<Op>& op) {
    GraphBuilder builder(graph.name());
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        const Node& node = graph.nodes()[i];
        builder.add(i == place ? op : node.op, node.inputs, node.name);
    }
    return builder.build();
}

// Everything that a graph is asked for without running it.
void ask(const Graph& graph) {
    for (const Node& node : graph.nodes()) {
        std::vector<TensorType> inputs;
        for (Value value : node.inputs) inputs.push_back(graph.type(value));
        for (const TensorType& type : node.types) {
            EXPECT_GE(bounded_elements(type, 1), 1) << node.name << to_string(type);
            EXPECT_GE(memory_bytes(type, 1), 1);
        }
        EXPECT_GE(node.op->multiply_adds(inputs), 0) << node.name;
        if (inputs.empty() || node.op->op_class() != OpClass::window) continue;
        EXPECT_EQ(node.op->window_extents().size(), 2u);
        node.op->tiles(inputs[0]);
    }
}

struct Tried {
    int refused = 0;
};

void try_numbers(const Graph& graph, size_t place, std::map<std::string, Tried>& tried) {
    const Op& op = *graph.nodes()[place].op;
    ReplaceNumber counter;
    copy_of(op)->fields(counter);
    for (int i = 0; i < counter.count(); i++) {
        for (int64_t value : kValues) {
            const std::shared_ptr<Op> changed = copy_of(op);
            ReplaceNumber replace(i, value);
            changed->fields(replace);
            SCOPED_TRACE(fmt::format("{} {}", op.kind(), print_attributes(*changed)));
            Tried& count = tried[fmt::format("{} {}", op.kind(), replace.name())];
            try {
                ask(with_op(graph, place, changed));
            } catch (const Error& error) {
                count.refused++;
                EXPECT_FALSE(error.diagnostic().fix.empty());
            }
        }
    }
}

TEST(Attributes, OfAnySizeAreRefusedOrCountedWithoutOverflow) {
    std::map<std::string, Tried> tried;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const Network network = random_network(seed);
        for (const Graph& graph :
             {network.graph, training_graph(network), inference_graph(network)}) {
            for (size_t i = 0; i < graph.nodes().size(); i++) try_numbers(graph, i, tried);
        }
        if (HasFailure()) return;
    }
    EXPECT_GT(tried.size(), 30u);  // the networks hold most ops that have whole numbers
    for (const auto& [name, count] : tried) EXPECT_GT(count.refused, 0) << name;
}

}  // namespace
}  // namespace emulsion::test
