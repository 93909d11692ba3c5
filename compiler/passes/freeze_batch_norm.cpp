// The rewrite of one frozen batch_norm node, and the end of its updates.
#include "compiler/passes/freeze_batch_norm.h"

#include <set>

#include "compiler/ops/batch_norm.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

bool is_frozen(const Graph& graph, Value value) {
    const auto* parameter = graph.op_as<Parameter>(value.node);
    return parameter != nullptr && !parameter->trained;
}

bool is_frozen_norm(const Graph& graph, int index) {
    if (graph.op_as<BatchNorm>(index) == nullptr) return false;
    const std::vector<Value>& in = graph.node(index).inputs;  // x, gamma, beta, mean, variance
    return is_frozen(graph, in[1]) && is_frozen(graph, in[2]);
}

// The graph without the updates of the running statistics of frozen norms.
Graph without_updates(const Graph& graph) {
    std::set<int> still;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (!is_frozen_norm(graph, i)) continue;
        for (size_t k : {3, 4}) still.insert(graph.node(i).inputs[k].node);
    }
    GraphBuilder builder(graph);
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output) builder.output(result.name, result.value);
        if (result.kind == Result::Kind::gradient) builder.gradient(result.target, result.value);
        if (result.kind == Result::Kind::update && !still.contains(result.target))
            builder.update(result.target, result.value);
    }
    return builder.build();
}

}  // namespace

Value add_running_scale(Rewriter& r, int index) {
    const Node& node = r.from().node(index);
    const std::vector<Value> in = r.at(node.inputs);  // x, gamma, beta, mean, variance
    return r.add("batch_norm_fold",
                 fmt::format("{{epsilon={}}}", r.from().op_as<BatchNorm>(index)->epsilon),
                 {in[1], in[2], in[3], in[4]}, node.name + ".fold", node.where);
}

Graph freeze_batch_norm(const Graph& graph) {
    return rewrite(without_updates(graph), [](Rewriter& r, int index) {
        if (!is_frozen_norm(r.from(), index)) return false;
        const Node& node = r.from().node(index);
        const std::vector<Value> in = r.at(node.inputs);
        const Value scale = add_running_scale(r, index);
        r.replace(index, 0,
                  r.add("scale_shift", "", {in[0], scale, {scale.node, 1}}, node.name, node.where));
        r.replace(index, 1, in[3]);
        r.replace(index, 2, in[4]);
        return true;
    });
}

}  // namespace emulsion
