// The local rules, each a rewrite of its own.
#include "compiler/passes/simplify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/unfactor.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

using Numbers = std::vector<int64_t>;

// An axis of a strided convolution's data gradient as one at stride 1: `taps` of each phase,
// padding for so many places, each `stride` cells.
struct PhaseAxis {
    int64_t taps, before, after, places;
};

// The axes of the gradient by phases; none where the padding would be negative or wider than a
// filter.
std::vector<PhaseAxis> phase_axes(const Conv2dBackwardData& op, const std::vector<int64_t>& w,
                                  const std::vector<int64_t>& dy) {
    std::vector<PhaseAxis> axes;
    for (size_t i = 0; i < op.stride.size(); i++) {
        const int64_t stride = op.stride[i], taps = (w[2 + i] + stride - 1) / stride;
        const int64_t places = (op.input[i] + op.padding[2 * i] + stride - 1) / stride;
        const int64_t after = places - dy[1 + i];
        if (op.dilation[i] != 1 || after < 0 || after >= taps) return {};
        axes.push_back({taps, taps - 1, after, places});
    }
    return axes;
}

// A recipe computes at least kLeast channels at once. Where the gradient has fewer, the phases of
// its positions are channels of a convolution, if that leaves a third of the work or less.
bool split_phases(Rewriter& r, int index) {
    constexpr int64_t kLeast = 8;
    const auto* op = r.from().op_as<Conv2dBackwardData>(index);
    if (op == nullptr || op->rotated || op->groups != 1) return false;
    const Node& node = r.from().node(index);
    const std::vector<int64_t>& w = r.from().type(node.inputs[1]).shape;  // O, I, KH, KW, …
    const std::vector<PhaseAxis> axes = phase_axes(*op, w, r.from().type(node.inputs[0]).shape);
    if (axes.empty() || w[1] >= kLeast) return false;
    double channels = static_cast<double>(w[1]), work = 1, plain_work = kLeast;
    for (size_t i = 0; i < axes.size(); i++) {
        channels *= static_cast<double>(op->stride[i]);
        work *= static_cast<double>(axes[i].taps);
        plain_work *= static_cast<double>(w[2 + i]);
    }
    if (3 * work * std::max<double>(channels, kLeast) > plain_work) return false;

    Numbers padding, begin = {0}, count = {w[1]};
    bool is_cropped = false;
    for (size_t i = 0; i < axes.size(); i++) {
        padding.insert(padding.end(), {axes[i].before, axes[i].after});
        begin.push_back(op->padding[2 * i]);
        count.push_back(op->input[i]);
        is_cropped = is_cropped || axes[i].places * op->stride[i] != op->input[i];
    }
    const std::string stride = fmt::format("[{}]", fmt::join(op->stride, ","));
    const Value filter = r.add("phase_filter", fmt::format("{{stride={}}}", stride),
                               {r.at(node.inputs[1])}, node.name + ".filter", node.where);
    const Value phases =
        r.add("conv2d",
              fmt::format("{{stride=[{0}], dilation=[{0}], padding=[{1}]}}",
                          fmt::join(Numbers(axes.size(), 1), ","), fmt::join(padding, ",")),
              {r.at(node.inputs[0]), filter}, node.name + ".phases", node.where);
    Value dx = r.add("depth_to_space", fmt::format("{{block={}}}", stride), {phases},
                     is_cropped ? node.name + ".whole" : node.name, node.where);
    if (is_cropped) {
        dx = r.add("crop",
                   fmt::format("{{begin=[{}], count=[{}], step=[{}]}}", fmt::join(begin, ","),
                               fmt::join(count, ","), fmt::join(Numbers(count.size(), 1), ",")),
                   {dx}, node.name, node.where);
    }
    r.replace(index, 0, dx);
    return true;
}

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

// factor(unfactor(x)) is factor(x), or x itself.
bool skip_plain_order(Rewriter& r, int index) {
    const auto* factor = r.from().op_as<Factor>(index);
    if (factor == nullptr) return false;
    const Node& node = r.from().node(index);
    const Value plain = node.inputs[0];
    if (r.from().op_as<Unfactor>(plain.node) == nullptr) return false;
    const Value below = r.from().node(plain.node).inputs[0];
    const bool is_same = r.from().type(below) == node.types[0];
    r.replace(index, 0,
              is_same ? r.at(below)
                      : r.add(node.op->kind(), print_attributes(*node.op), {r.at(below)}, node.name,
                              node.where));
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
    Graph split = rewrite(graph, split_phases);
    Graph rotated = rewrite(split, rotate);
    Graph sunk = rewrite(rotated, sink_unflatten);
    return rewrite(rewrite(sunk, skip_plain_order), drop_views);
}

}  // namespace emulsion
