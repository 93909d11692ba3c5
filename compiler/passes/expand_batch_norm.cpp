// The rewrite of one batch_norm node.
#include "compiler/passes/expand_batch_norm.h"

#include "compiler/ops/batch_norm.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

Graph expand_batch_norm(const Graph& graph) {
    return rewrite(graph, [](Rewriter& r, int index) {
        const auto* op = r.from().op_as<BatchNorm>(index);
        if (op == nullptr) return false;
        const Node& node = r.from().node(index);
        std::vector<Value> inputs = r.at(node.inputs);  // x, gamma, beta, running mean and variance
        const std::vector<int64_t> shape = r.builder().type(inputs[0]).shape;
        const int64_t height = shape.size() > 2 ? shape[1] : 1;
        const int64_t width = shape.size() > 1 ? shape.back() : 1;
        Value partial =
            r.add("partial_moments", "", {inputs[0]}, node.name + ".partial", node.where);
        Value moments = r.add(
            "merge_moments", fmt::format("{{width={}, height={}}}", width, height),
            {partial, {partial.node, 1}, {partial.node, 2}}, node.name + ".moments", node.where);
        Value variance{moments.node, 1};
        Value factor = r.add("batch_norm_factor", fmt::format("{{epsilon={}}}", op->epsilon),
                             {inputs[1], variance}, node.name + ".factor", node.where);
        Value y =
            r.add("normalize", "", {inputs[0], moments, factor, inputs[2]}, node.name, node.where);
        r.replace(index, 0, y);
        r.replace(index, 1, moments);
        r.replace(index, 2, variance);
        return true;
    });
}

}  // namespace emulsion
