// The local rules, each a rewrite of its own.
#include "compiler/passes/simplify.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/flatten.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

bool rotate(Rewriter& r, int index) {
    const auto* op = r.from().op_as<Conv2dBackwardData>(index);
    if (op == nullptr || op->rotated) return false;
    const Node& node = r.from().node(index);
    const std::vector<int64_t>& w = r.from().type(node.inputs[1]).shape;  // O, I, KH, KW, …
    Value dy = r.at(node.inputs[0]);
    Value rotated = r.add("rotate_filter", fmt::format("{{groups={}}}", op->groups),
                          {r.at(node.inputs[1])}, node.name + ".rotated", node.where);
    std::vector<int64_t> padding(op->padding.size());
    bool one = std::ranges::all_of(op->stride, [](int64_t stride) { return stride == 1; });
    for (size_t i = 0; i < padding.size(); i++) {
        padding[i] = op->dilation[i / 2] * (w[2 + i / 2] - 1) - op->padding[i];
        one = one && padding[i] >= 0;
    }
    Value dx;
    if (one) {
        auto forward = std::make_shared<Conv2d>();
        static_cast<ConvAttributes&>(*forward) = *op;
        forward->padding = padding;
        dx = r.builder().add(forward, {dy, rotated}, node.name, node.where);
    } else {
        auto strided = std::make_shared<Conv2dBackwardData>(*op);
        strided->rotated = true;
        dx = r.builder().add(strided, {dy, rotated}, node.name, node.where);
    }
    r.replace(index, 0, dx);
    return true;
}

// A view that leaves the type as it is, or a view of a view that is back at the first type: the
// same memory.
bool drop_views(Rewriter& r, int index) {
    const Node& node = r.from().node(index);
    if (node.op->op_class() != OpClass::view) return false;
    if (r.from().type(node.inputs[0]) == node.types[0]) {
        r.replace(index, 0, r.at(node.inputs[0]));
        return true;
    }
    const Node& below = r.from().node(node.inputs[0].node);
    if (below.op->op_class() != OpClass::view || r.from().type(below.inputs[0]) != node.types[0])
        return false;
    r.replace(index, 0, r.at(below.inputs[0]));
    return true;
}

// f(unflatten(a), b, …) with every operand of the same shape, where f does not name that shape.
bool sink_unflatten(Rewriter& r, int index) {
    const Node& node = r.from().node(index);
    if (node.op->op_class() != OpClass::pointwise || node.types.size() != 1) return false;
    if (r.from().op_as<Expand>(index) != nullptr) return false;
    int view = -1;
    for (Value value : node.inputs) {
        if (r.from().type(value).shape != node.types[0].shape) return false;
        if (r.from().op_as<Unflatten>(value.node) != nullptr) view = value.node;
    }
    if (view < 0) return false;
    const Node& unflatten = r.from().node(view);
    std::vector<Value> flat;
    for (Value value : node.inputs) {
        const Node& producer = r.from().node(value.node);
        bool is_view = r.from().op_as<Unflatten>(value.node) != nullptr;
        flat.push_back(
            is_view ? r.at(producer.inputs[0])
                    : r.add("flatten", "", {r.at(value)}, producer.name + ".flat", producer.where));
    }
    Value result = r.add(node.op->kind(), print_attributes(*node.op), flat, node.name, node.where);
    r.replace(index, 0,
              r.add("unflatten", print_attributes(*unflatten.op), {result}, node.name + ".map",
                    node.where));
    return true;
}

}  // namespace

Graph simplify(const Graph& graph) {
    Graph rotated = rewrite(graph, rotate);
    Graph sunk = rewrite(rotated, sink_unflatten);
    return rewrite(sunk, drop_views);
}

}  // namespace emulsion
