// The rewrite of one max_pool node and the monotone chain above it.
#include "compiler/passes/pool_first.h"

#include "compiler/graph/text.h"
#include "compiler/ops/max_pool.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

// True for relu(x), leaky_relu(x) and x + b with a plain channel vector b.
bool is_monotone(const Graph& graph, const Node& node) {
    std::vector<TensorType> types;
    for (Value value : node.inputs) types.push_back(graph.type(value));
    return node.op->is_monotone(types);
}

}  // namespace

Graph pool_first(const Graph& graph) {
    return rewrite(graph, [](Rewriter& r, int index) {
        const Node& pool = r.from().node(index);
        if (r.from().op_as<MaxPool>(index) == nullptr) return false;
        std::vector<int> chain;  // monotone nodes above the pool, nearest first
        int below = pool.inputs[0].node;
        while (is_monotone(r.from(), r.from().node(below)) && r.has_single_user(below)) {
            chain.push_back(below);
            below = r.from().node(below).inputs[0].node;
        }
        if (chain.empty()) return false;
        Value first = r.at(r.from().node(chain.back()).inputs[0]);
        Value value = r.builder().add(pool.op, {first}, pool.name, pool.where);
        r.replace(index, 1, {value.node, 1});
        for (size_t i = chain.size(); i-- > 0;) {
            const Node& node = r.from().node(chain[i]);
            std::vector<Value> inputs = r.at(node.inputs);
            inputs[0] = value;
            value = r.add(node.op->kind(), print_attributes(*node.op), inputs,
                          node.name + ".pooled", node.where);
        }
        r.replace(index, 0, value);
        return true;
    });
}

}  // namespace emulsion
