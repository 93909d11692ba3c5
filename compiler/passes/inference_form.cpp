// Outputs alone, dropout removed, batch norm folded.
#include "compiler/passes/inference_form.h"

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/freeze_batch_norm.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

bool has_input(const Graph& graph) {
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        if (graph.op_as<Input>(static_cast<int>(i)) != nullptr) return true;
    }
    return false;
}

Graph outputs_of(const Network& network) {
    GraphBuilder builder(network.graph);
    for (const Result& result : network.graph.results()) {
        if (result.kind == Result::Kind::output && !is_for_training(result.name))
            builder.output(result.name, result.value);
    }
    Graph graph = remove_dead_nodes(builder.build());
    if (graph.results().empty()) {
        fail("output", fmt::format("network '{}' has no output for inference", network.name),
             "end the model with classify(…), or name an output");
    }
    if (!has_input(graph)) {
        fail("output",
             fmt::format("no output of network '{}' depends on an input, so there is nothing to "
                         "infer",
                         network.name),
             "name an output that is computed from an input");
    }
    return graph;
}

// conv(x, w), conv(x, w) + b, or neither: what stands before a batch norm. Also dense(x, w).
struct Contraction {
    int node = -1;  // the convolution or dense node
    int bias = -1;  // the add node, or -1
};

Contraction contraction_before(const Rewriter& r, int index) {
    const Graph& graph = r.from();
    Contraction found;
    int node = index;
    if (graph.op_as<Add>(node) != nullptr && r.has_single_user(node) &&
        graph.type(graph.node(node).inputs[1]).shape.size() == 1 &&
        !graph.type(graph.node(node).inputs[1]).batched) {
        found.bias = node;
        node = graph.node(node).inputs[0].node;
    }
    if (graph.node(node).op->is_linear_in_filter() && r.has_single_user(node)) found.node = node;
    return found;
}

bool fold(Rewriter& r, int index) {
    if (r.from().op_as<BatchNorm>(index) == nullptr) return false;
    const Node& node = r.from().node(index);
    const Value x = r.at(node.inputs[0]), scale = add_running_scale(r, index);
    Value shift{scale.node, 1};
    Contraction before = contraction_before(r, node.inputs[0].node);
    if (before.node < 0) {
        r.replace(index, 0, r.add("scale_shift", "", {x, scale, shift}, node.name, node.where));
        return true;
    }
    const Node& conv = r.from().node(before.node);
    Value weights =
        r.add("scale_filter", "", {r.at(conv.inputs[1]), scale}, conv.name + ".folded", node.where);
    if (before.bias >= 0) {
        Value bias = r.at(r.from().node(before.bias).inputs[1]);
        Value scaled = r.add("multiply", "", {bias, scale}, node.name + ".bias", node.where);
        shift = r.add("add", "", {scaled, shift}, node.name + ".shift", node.where);
    }
    Value y = r.builder().add(conv.op, {r.at(conv.inputs[0]), weights},
                              r.builder().unique_name(conv.name + ".normalized"), conv.where);
    r.replace(index, 0, r.add("add", "", {y, shift}, node.name, node.where));
    return true;
}

}  // namespace

Graph inference_form(const Network& network) {
    Graph graph = rewrite(outputs_of(network), [](Rewriter& r, int index) {
        const Node& node = r.from().node(index);
        if (!node.op->is_for_training_alone()) return false;
        r.replace(index, 0, r.at(node.inputs[0]));
        return true;
    });
    return rewrite(graph, fold);
}

}  // namespace emulsion
