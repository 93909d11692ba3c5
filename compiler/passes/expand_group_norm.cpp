// The rewrite of one group_norm node.
#include "compiler/passes/expand_group_norm.h"

#include "compiler/ops/group_norm.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

Graph expand_group_norm(const Graph& graph) {
    return rewrite(graph, [](Rewriter& r, int index) {
        const auto* op = r.from().op_as<GroupNorm>(index);
        if (op == nullptr) return false;
        const Node& node = r.from().node(index);
        std::vector<Value> inputs = r.at(node.inputs);  // x, gamma, beta
        const std::vector<int64_t> shape = r.builder().type(inputs[0]).shape;
        const int64_t height = shape.size() > 2 ? shape[1] : 1;
        const int64_t width = shape.size() > 1 ? shape.back() : 1;
        std::vector<Value> summed = {inputs[0]};
        if (shape.size() > 1) {
            const Value partial =
                r.add("partial_moments", "", {inputs[0]}, node.name + ".partial", node.where);
            summed = {partial, {partial.node, 1}, {partial.node, 2}};
        }
        Value mean = r.add("group_statistics",
                           fmt::format("{{groups={}, width={}, height={}, epsilon={}}}", op->groups,
                                       width, height, op->epsilon),
                           summed, node.name + ".statistics", node.where);
        Value inverse{mean.node, 1};
        Value factor =
            r.add("multiply", "", {inverse, inputs[1]}, node.name + ".factor", node.where);
        Value y =
            r.add("normalize", "", {inputs[0], mean, factor, inputs[2]}, node.name, node.where);
        r.replace(index, 0, y);
        r.replace(index, 1, mean);
        r.replace(index, 2, inverse);
        return true;
    });
}

}  // namespace emulsion
