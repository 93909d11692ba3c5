// Types are tried in the order of kPatterns: operands of an op are mostly alike, or a few of one
// type and then a few of another (weights and scalars of an update, a map and the vectors of a
// norm).
#include "dsl/op_sample.h"

#include <algorithm>
#include <optional>
#include <string>

#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

using Types = std::vector<TensorType>;

constexpr int64_t kChannels = 16;
constexpr size_t kMostOperands = 9;

// What operands are tried as.
const Types& tried_types() {
    static const Types types = [] {
        constexpr ElementType i32 = ElementType::i32, u8 = ElementType::u8;
        TensorType flat = batched_type({kChannels * 16});
        flat.factors = {kChannels, 4, 4};
        return Types{batched_type({kChannels, 8, 8}),
                     batched_type({kChannels}),
                     plain_type({kChannels}),
                     plain_type({kChannels, kChannels, 3, 3}),
                     plain_type({kChannels, 1, 3, 3}),
                     plain_type({kChannels, kChannels}),
                     plain_type({}),
                     plain_type({kChannels, 8, 8}),
                     plain_type({kChannels, kChannels, 6, 6}),
                     batched_type({kChannels, 4, 4}),
                     batched_type({kChannels, 1, 1}),
                     batched_type({kChannels, 2, 1}),
                     batched_type({}),
                     flat,
                     batched_type({kChannels * 16}),
                     plain_type({}, i32),
                     batched_type({}, i32),
                     batched_type({1, 8, 8}, i32),
                     batched_type({kChannels, kChannels}),
                     batched_type({kChannels}, i32),
                     batched_type({kChannels, kChannels}, i32),
                     batched_type({1, 8, 8}),
                     batched_type({2, 8, 8}),
                     batched_type({1, 9}),
                     batched_type({2, 8}),
                     plain_type({1, 1, 3, 3}),
                     plain_type({kChannels, kChannels, 8, 8}),
                     plain_type({kChannels, kChannels, 3, 3, 3}),
                     batched_type({kChannels, 4, 4}, u8),
                     batched_type({kChannels, 8, 8}, u8)};
    }();
    return types;
}

// What lists are filled with that have no default, or whose default fits nothing; those called
// "input", the extents of the map that a gradient belongs to, with the second.
struct Filling {
    std::vector<int64_t> list, input;
};
const std::vector<Filling>& fillings() {
    static const std::vector<Filling> all = {{{1, 1, 1}, {64, 64, 64}}, {{0, 1, 2}, {8, 8}},
                                             {{1, 1}, {10, 10}},        {{1}, {64}},
                                             {{8, 8}, {8, 8}},          {{kChannels, 64}, {}},
                                             {{kChannels, 4, 4}, {}},   {{kChannels, 8, 8}, {}}};
    return all;
}

class FillLists : public Fields {
  public:
    explicit FillLists(const Filling& filling) : filling_(filling) {}
    bool found = false;
    void field(std::string_view, bool&) override {}
    void field(std::string_view, int64_t&) override {}
    void field(std::string_view, double&) override {}
    void field(std::string_view, std::string&) override {}
    void field(std::string_view name, std::vector<int64_t>& value) override {
        const bool is_input = name == "input";
        if (!is_input && !value.empty() && name != "shape" && name != "factors") return;
        value = is_input ? filling_.input : filling_.list;
        found = true;
    }
    void field(std::string_view, std::vector<double>&) override {}

  private:
    const Filling& filling_;
};

class SetGroups : public Fields {
  public:
    bool found = false;
    void field(std::string_view, bool&) override {}
    void field(std::string_view name, int64_t& value) override {
        if (name != "groups") return;
        value = kChannels;
        found = true;
    }
    void field(std::string_view, double&) override {}
    void field(std::string_view, std::string&) override {}
    void field(std::string_view, std::vector<int64_t>&) override {}
    void field(std::string_view, std::vector<double>&) override {}
};

enum class Answer { taken, refused, wrong_count };

Answer ask(const Op& op, const Types& inputs) {
    try {
        op.infer(inputs);
        return Answer::taken;
    } catch (const Error& error) {
        return error.diagnostic().code == "operands" ? Answer::wrong_count : Answer::refused;
    }
}

// Some first operands of one type, the others of another.
std::optional<Types> find_two_blocks(const Op& op, size_t count) {
    const Types& types = tried_types();
    for (size_t first = count; first >= 1; first--) {
        for (const TensorType& a : types) {
            for (const TensorType& b : types) {
                Types inputs(count, a);
                std::fill(inputs.begin() + static_cast<ptrdiff_t>(first), inputs.end(), b);
                if (ask(op, inputs) == Answer::taken) return inputs;
                if (first == count) break;
            }
        }
    }
    return std::nullopt;
}

// One operand, another, and the rest alike.
std::optional<Types> find_three_blocks(const Op& op, size_t count) {
    const Types& types = tried_types();
    for (const TensorType& a : types) {
        for (const TensorType& b : types) {
            for (const TensorType& c : types) {
                Types inputs(count, c);
                inputs[0] = a;
                inputs[1] = b;
                if (ask(op, inputs) == Answer::taken) return inputs;
            }
        }
    }
    return std::nullopt;
}

// Whether thousands of combinations are tried, or hundreds.
enum class Search { quick, thorough };

std::optional<Types> find_inputs(const Op& op, Search search) {
    for (size_t count = 1; count <= kMostOperands; count++) {
        if (ask(op, Types(count, tried_types()[0])) == Answer::wrong_count) continue;
        if (search == Search::quick) {
            if (std::optional<Types> found = find_two_blocks(op, count)) return found;
        } else if (count >= 3) {
            if (std::optional<Types> found = find_three_blocks(op, count)) return found;
        }
    }
    if (ask(op, {}) == Answer::taken) return Types{};
    return std::nullopt;
}

Group group_of(std::shared_ptr<const Op> op, const Types& inputs) {
    constexpr int kBatch = 4;
    GraphBuilder builder("group");
    std::vector<Value> operands;
    for (const TensorType& type : inputs) {
        std::shared_ptr<const Op> source = std::make_shared<Input>(type);
        if (type.shape.empty() && !type.batched) {
            auto scalar = std::make_shared<Scalar>(type);
            scalar->name = fmt::format("a{}", operands.size());
            source = scalar;
        }
        operands.push_back(builder.add(source, {}, fmt::format("a{}", operands.size())));
    }
    const OpClass kind = op->op_class();
    const Value value = builder.add(std::move(op), operands, "v0");
    const size_t results = builder.graph().node(value.node).types.size();
    for (size_t i = 0; i < results; i++)
        builder.output(fmt::format("r{}", i), {value.node, static_cast<int>(i)});
    const bool is_anchor =
        kind == OpClass::window || kind == OpClass::reduction || kind == OpClass::anchor;
    return {.body = builder.build(), .anchor = is_anchor ? value.node : -1, .batch = kBatch};
}

// The op with its first attributes that some operands go with.
struct Taken {
    std::shared_ptr<Op> op;
    Types inputs;
};
std::optional<Taken> find_taken(std::string_view kind) {
    for (const Search search : {Search::quick, Search::thorough}) {
        const std::shared_ptr<Op> plain = make_op(kind);
        if (const std::optional<Types> inputs = find_inputs(*plain, search))
            return Taken{plain, *inputs};
        for (const Filling& filling : fillings()) {
            const std::shared_ptr<Op> op = make_op(kind);
            FillLists fill(filling);
            op->fields(fill);
            if (!fill.found) break;
            if (const std::optional<Types> inputs = find_inputs(*op, search))
                return Taken{op, *inputs};
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<Group> samples_of_op(std::string_view kind) {
    std::vector<Group> groups;
    if (make_op(kind)->op_class() == OpClass::source) return {};
    if (const std::optional<Taken> taken = find_taken(kind))
        groups.push_back(group_of(taken->op, taken->inputs));
    const std::shared_ptr<Op> grouped = make_op(kind);
    SetGroups set;
    grouped->fields(set);
    if (!set.found) return groups;
    if (const std::optional<Types> inputs = find_inputs(*grouped, Search::quick))
        groups.push_back(group_of(grouped, *inputs));
    return groups;
}

std::vector<std::string_view> recipes_for(const std::vector<Group>& groups,
                                          const RecipeLibrary& library, bool for_devices) {
    const Isa& isa = for_devices ? isa_opencl() : isa_avx512();
    std::vector<std::string_view> names, last;
    for (const auto& recipe : library) {
        if (recipe->is_for_devices() != for_devices) continue;
        const bool applies = std::ranges::any_of(
            groups, [&](const Group& group) { return recipe->applies(group, isa); });
        if (applies) (recipe->is_last_resort() ? last : names).push_back(recipe->name());
    }
    return names.empty() ? last : names;
}

}  // namespace emulsion
