// Which values are never stored. The measure is bytes: what a store and its readers move against
// what the readers move that compute the value from its operands. Constants cost nothing.
#include "compiler/plan/recompute.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

class Recomputation {
  public:
    Recomputation(const Graph& graph, const PlanOptions& options, int batch,
                  const std::vector<bool>& joined, Choices& choices,
                  std::vector<std::string>& decisions)
        : graph_(graph),
          options_(options),
          batch_(batch),
          joined_(joined),
          users_(users_of(graph)),
          inlined_(graph.nodes().size(), false),
          is_result_(result_owners(graph)),
          choices_(choices),
          decisions_(decisions) {}

    std::vector<bool> run() {
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            const Node& node = graph_.node(i);
            OpClass op_class = node.op->op_class();
            if (graph_.op_as<Constant>(i) != nullptr) inlined_[at(i)] = true;
            bool cheap = op_class == OpClass::pointwise || op_class == OpClass::gather;
            if (!cheap || is_result_[at(i)] || joined_[at(i)]) continue;
            inlined_[at(i)] =
                is_free(i) || (options_.fuse && (is_repeated(i) || pays_recomputing(i)));
        }
        for (int i = static_cast<int>(graph_.nodes().size()); options_.fuse && i-- > 0;) {
            if (!inlined_[at(i)]) inlined_[at(i)] = pays_in_readers(i);
        }
        return std::move(inlined_);
    }

  private:
    static size_t at(int index) { return static_cast<size_t>(index); }

    // Depends on constants and scalars alone. What is read through a view must be in memory: a view
    // has no code that could read it elsewhere.
    bool is_free(int index) const {
        const std::vector<Value>& inputs = graph_.node(index).inputs;
        const std::vector<int>& users = users_[at(index)];
        const auto is_given = [&](Value value) {
            return inlined_[at(value.node)] || graph_.op_as<Scalar>(value.node) != nullptr;
        };
        const auto is_view = [&](int user) {
            return graph_.node(user).op->op_class() == OpClass::view;
        };
        return !inputs.empty() && std::all_of(inputs.begin(), inputs.end(), is_given) &&
               std::none_of(users.begin(), users.end(), is_view);
    }

    // A parameter repeated for every sample, to be put into a map's order.
    bool is_repeated(int index) const {
        const Node& node = graph_.node(index);
        const bool repeats = node.op->op_class() == OpClass::pointwise && node.inputs.size() == 1 &&
                             node.types[0].batched && !graph_.type(node.inputs[0]).batched;
        return repeats && std::ranges::all_of(users_[at(index)], [&](int user) {
                   const Node& reader = graph_.node(user);
                   return reader.op->op_class() == OpClass::gather &&
                          reader.types[0].shape == node.types[0].shape;
               });
    }

    // A gather that costs its readers no more than storing and reading its result: all are anchors
    // that read each element about once.
    bool pays_recomputing(int index) {
        const Node& node = graph_.node(index);
        if (node.op->op_class() != OpClass::gather || users_[at(index)].empty()) return false;
        for (int user : users_[at(index)]) {
            if (!stages_operand(user, index)) return false;
        }
        int64_t stored = memory_bytes(node.types[0], batch_), read = 0;
        for (Value value : node.inputs) read += memory_bytes(graph_.type(value), batch_);
        const auto readers = static_cast<int64_t>(users_[at(index)].size());
        const int64_t kept = (2 + readers) * stored;  // a store reads the line that it overwrites
        if (!is_recomputed(index, readers * read < kept)) return false;
        note_recomputed(node.name, readers, readers * read, kept);
        return true;
    }

    // What the record of a node says that its readers can compute, else what pays.
    bool is_recomputed(int index, bool pays) {
        return choices_.decide(graph_, index, batch_, Decision::storage,
                               pays ? "recompute" : "store",
                               words_of(Decision::storage)) == "recompute";
    }

    void note_recomputed(const std::string& name, int64_t readers, int64_t read, int64_t kept) {
        decisions_.push_back(fmt::format(
            "recompute {} in its {} readers: reads {} instead of storing and reading {} bytes",
            name, readers, read, kept));
    }

    // A pointwise map that anchors stage anyway, or that windows read a few times each, where
    // reading its operands costs its readers no more than storing and reading it: a normalisation
    // with its activation, the gradient of one.
    bool pays_in_readers(int index) {
        const Node& node = graph_.node(index);
        if (node.op->op_class() != OpClass::pointwise || node.types.size() != 1) return false;
        if (!is_map(node.types[0]) || is_result_[at(index)]) return false;
        int readers = 0;
        bool staged = false;
        if (!count_readers(index, readers, staged) || !staged) return false;
        int64_t map = memory_bytes(node.types[0], batch_), read = recomputed_bytes(index);
        if (read < 0) return false;
        // A store reads the line that it overwrites.
        const int64_t kept = (2 + readers) * map;
        if (!is_recomputed(index, readers * read <= kept)) return false;
        note_recomputed(node.name, readers, readers * read, kept);
        return true;
    }

    static bool is_map(const TensorType& type) { return type.batched && type.shape.size() == 3; }

    // Adds the readers of a node, those of readers that recompute themselves included. False where
    // one of them cannot compute what it reads.
    bool count_readers(int index, int& readers, bool& staged) const {
        for (int user : users_[at(index)]) {
            if (inlined_[at(user)]) {
                if (!count_readers(user, readers, staged)) return false;
                continue;
            }
            const bool stages =
                stages_operand(user, index) || graph_.node(user).op->op_class() == OpClass::window;
            if (!stages && graph_.node(user).op->op_class() != OpClass::pointwise) return false;
            staged = staged || stages;
            readers++;
        }
        return true;
    }

    std::ptrdiff_t readers_of(Value value) const {
        const std::vector<int>& users = users_[at(value.node)];
        return std::count_if(users.begin(), users.end(), [&](int user) {
            const std::vector<Value>& inputs = graph_.node(user).inputs;
            return std::find(inputs.begin(), inputs.end(), value) != inputs.end();
        });
    }

    // Bytes of the maps that recomputing a node reads; -1 where it can be the epilogue of one.
    int64_t recomputed_bytes(int index) const {
        int64_t bytes = 0;
        for (Value value : graph_.node(index).inputs) {
            if (!is_map(graph_.type(value))) continue;
            const bool alone = readers_of(value) == 1 && !is_result_[at(value.node)];
            const OpClass op_class = graph_.node(value.node).op->op_class();
            const bool is_read_in_place =
                joined_[at(value.node)] && graph_.node(value.node).op->taken_channels().has_value();
            const bool is_elsewhere =
                op_class != OpClass::pointwise && op_class != OpClass::source && !is_read_in_place;
            if (alone && is_elsewhere) return -1;
            const int64_t part = alone && op_class == OpClass::pointwise
                                     ? recomputed_bytes(value.node)
                                     : memory_bytes(graph_.type(value), batch_);
            if (part < 0) return -1;
            bytes += part;
        }
        return bytes;
    }

    // Whether the node's recipes copy what it reads of `producer` before use.
    bool stages_operand(int user, int producer) const {
        const Node& node = graph_.node(user);
        bool stages = true;
        for (size_t i = 0; i < node.inputs.size(); i++) {
            if (node.inputs[i].node == producer) stages = stages && node.op->stages(i);
        }
        return stages;
    }

    const Graph& graph_;
    const PlanOptions& options_;
    int batch_;
    const std::vector<bool>& joined_;
    std::vector<std::vector<int>> users_;
    std::vector<bool> inlined_, is_result_;
    Choices& choices_;
    std::vector<std::string>& decisions_;
};

}  // namespace

std::vector<bool> choose_recomputed(const Graph& graph, const PlanOptions& options, int batch,
                                    const std::vector<bool>& joined, Choices& choices,
                                    std::vector<std::string>& decisions) {
    return Recomputation(graph, options, batch, joined, choices, decisions).run();
}

}  // namespace emulsion
