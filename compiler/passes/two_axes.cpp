// Lines as maps of one row, volumes as maps whose channels are taps in depth.
#include "compiler/passes/two_axes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "compiler/graph/text.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/pad.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

using Numbers = std::vector<int64_t>;

bool is_line(const TensorType& type) { return type.batched && type.shape.size() == 2; }

// Adds nodes in the place of one.
class Site {
  public:
    Site(Rewriter& rewriter, const Node& node) : rewriter_(rewriter), node_(node) {}

    Value add(std::string_view kind, const std::string& attributes,
              const std::vector<Value>& inputs, const std::string& part) {
        return rewriter_.add(kind, attributes, inputs, node_.name + part, node_.where);
    }
    Value view(Value value, const Numbers& shape, const std::string& part) {
        if (type(value).shape == shape) return value;
        return add("view", fmt::format("{{shape=[{}]}}", fmt::join(shape, ",")), {value}, part);
    }
    // Cells `begin`, begin + step, … of each axis.
    Value crop(Value value, const Numbers& begin, const Numbers& count, const Numbers& step,
               const std::string& part) {
        if (type(value).shape == count) return value;
        return add("crop",
                   fmt::format("{{begin=[{}], count=[{}], step=[{}]}}", fmt::join(begin, ","),
                               fmt::join(count, ","), fmt::join(step, ",")),
                   {value}, part);
    }
    Value pad(Value value, const Numbers& before, const Numbers& after, const std::string& part) {
        const auto is_none = [](int64_t cells) { return cells == 0; };
        if (std::ranges::all_of(before, is_none) && std::ranges::all_of(after, is_none))
            return value;
        return add("pad",
                   fmt::format("{{before=[{}], after=[{}]}}", fmt::join(before, ","),
                               fmt::join(after, ",")),
                   {value}, part);
    }
    const TensorType& type(Value value) const { return rewriter_.builder().type(value); }

  private:
    Rewriter& rewriter_;
    const Node& node_;
};

// ---- Lines ----

void add_height(Numbers& values, int64_t height) { values.insert(values.begin(), height); }

void add_height(ConvAttributes& conv) {
    add_height(conv.stride, 1);
    add_height(conv.dilation, 1);
    conv.padding.insert(conv.padding.begin(), {0, 0});
}

void add_height(PoolAttributes& pool) {
    add_height(pool.window, 1);
    add_height(pool.stride, 1);
    pool.padding.insert(pool.padding.begin(), {0, 0});
}

template <class T>
std::shared_ptr<const Op> with_height(const T& op) {
    auto result = std::make_shared<T>(op);
    add_height(*result);
    if constexpr (requires { result->input; }) add_height(result->input, 1);
    return result;
}

// The op on maps of one row, where it is one that windows slide in or whose attributes name axes.
std::shared_ptr<const Op> windowed_on_maps(const Graph& graph, int index) {
    if (const auto* op = graph.op_as<Conv2d>(index)) return with_height(*op);
    if (const auto* op = graph.op_as<Conv2dBackwardData>(index)) return with_height(*op);
    if (const auto* op = graph.op_as<MaxPool>(index)) return with_height(*op);
    if (const auto* op = graph.op_as<MaxPoolBackward>(index)) return with_height(*op);
    if (const auto* op = graph.op_as<AveragePool>(index)) return with_height(*op);
    if (const auto* op = graph.op_as<Pad>(index)) {
        auto pad = std::make_shared<Pad>(*op);
        pad->before.insert(pad->before.begin() + 1, 0);
        pad->after.insert(pad->after.begin() + 1, 0);
        return pad;
    }
    return nullptr;
}

// Whether the op means the same on maps of one row, without a change.
bool is_of_any_rank(const Graph& graph, int index) {
    const Node& node = graph.node(index);
    if (const auto* joins = graph.op_as<Concatenate>(index)) return joins->axis == 0;
    if (node.op->op_class() == OpClass::pointwise)
        return node.types.size() == 1 && graph.op_as<Expand>(index) == nullptr;
    constexpr std::array kKinds = {"batch_norm", "group_norm", "channel_sum", "slice",
                                   "channel_shuffle"};
    return std::ranges::find(kKinds, node.op->kind()) != kKinds.end();
}

class TwoAxes {
  public:
    explicit TwoAxes(Rewriter& rewriter) : rewriter_(rewriter) {}

    bool rewrite(int index) { return lift_line(index) || fold_volume(index) || norm_volume(index); }

  private:
    const Graph& from() const { return rewriter_.from(); }

    bool lift_line(int index) {
        const Node& node = from().node(index);
        if (node.types.empty() || node.inputs.empty() || !is_line(node.types[0])) return false;
        const bool is_convolution = from().op_as<ConvAttributes>(index) != nullptr;
        std::shared_ptr<const Op> op = windowed_on_maps(from(), index);
        if (op == nullptr && is_convolution) return false;
        const bool begins = op != nullptr && from().op_as<Pad>(index) == nullptr;
        if (op == nullptr && is_of_any_rank(from(), index)) op = node.op;
        if (op == nullptr || (!begins && !follows_a_map(node))) return false;
        Site site(rewriter_, node);
        std::vector<Value> inputs;
        for (Value input : node.inputs) inputs.push_back(on_map(site, input));
        const Value map = rewriter_.builder().add(op, inputs, node.name, node.where);
        for (int k = 0; k < static_cast<int>(node.types.size()); k++) {
            const TensorType& type = node.types[static_cast<size_t>(k)];
            const Value value{map.node, k};
            if (is_line(type)) maps_[{index, k}] = value;
            rewriter_.replace(index, k,
                              is_line(type) ? site.view(value, type.shape, ".line") : value);
        }
        return true;
    }

    // Whether one of the operands is a line that is a map already, and none is a parameter that
    // names positions.
    bool follows_a_map(const Node& node) const {
        bool follows = false;
        for (Value input : node.inputs) {
            const TensorType& type = from().type(input);
            if (!type.batched && type.shape.size() > 1) return false;
            follows = follows || maps_.contains(input);
        }
        return follows;
    }

    // The operand with a height of 1, where it is a line or a filter of lines.
    Value on_map(Site& site, Value old) {
        if (const auto found = maps_.find(old); found != maps_.end()) return found->second;
        const TensorType& type = from().type(old);
        const bool is_filter = !type.batched && type.shape.size() == 3;
        if (!is_line(type) && !is_filter) return rewriter_.at(old);
        Numbers shape = type.shape;
        shape.insert(shape.end() - 1, 1);
        return maps_[old] = site.view(rewriter_.at(old), shape, is_filter ? ".filter" : ".map");
    }

    bool fold_volume(int index);

    // A norm of a volume is that of a map of all depths' rows: the same memory.
    bool norm_volume(int index) {
        const Node& node = from().node(index);
        if (from().op_as<BatchNorm>(index) == nullptr && from().op_as<GroupNorm>(index) == nullptr)
            return false;
        const Numbers& shape = node.types[0].shape;
        if (shape.size() != 4) return false;
        Site site(rewriter_, node);
        std::vector<Value> inputs = rewriter_.at(node.inputs);
        inputs[0] = site.view(inputs[0], {shape[0], shape[1] * shape[2], shape[3]}, ".map");
        const Value map = rewriter_.builder().add(node.op, inputs, node.name, node.where);
        rewriter_.replace(index, 0, site.view(map, shape, ".volume"));
        for (int k = 1; k < static_cast<int>(node.types.size()); k++)
            rewriter_.replace(index, k, {map.node, k});
        return true;
    }

    Rewriter& rewriter_;
    std::map<Value, Value> maps_;  // of the old graph's lines, and filters of lines
};

// ---- Volumes ----

// How a convolution of a volume is that of a map: numbers of the former in order d, h, w.
struct Fold {
    Numbers input, output;  // C, D, H, W of the convolution's input, O, OD, OH, OW of its output
    Numbers padded;         // the input with its padding in depth, and what lies between depths
    int64_t taps = 1;       // in depth
    int64_t step = 1, reach = 1, front = 0, top = 0;  // stride, dilation and padding in depth; rows
                                                      // of padding that are written
    int64_t rows = 1;                                 // of the result for each depth
    bool interleaved = false;
    ConvAttributes map;

    Fold(const ConvAttributes& conv, const Numbers& in, const Numbers& filter, const Numbers& out)
        : input(in),
          output(out),
          padded(in),
          taps(filter[2]),
          step(conv.stride[0]),
          reach(conv.dilation[0]),
          front(conv.padding[0]),
          interleaved(conv.groups > 1) {
        const int64_t stride = conv.stride[1], above = conv.padding[2], below = conv.padding[3];
        const int64_t covered = conv.dilation[1] * (filter[3] - 1) + 1;
        // The zeros between two depths are below the one and above the other.
        const bool shares = covered - stride - above >= 0;
        top = shares ? 0 : above;
        const int64_t high = in[2] + (shares ? std::max(above, below) : above + below);
        rows = (high + stride - 1) / stride;
        padded[1] += front + conv.padding[1];
        padded[2] = rows * stride;
        map.stride = {stride, conv.stride[2]};
        map.dilation = {conv.dilation[1], conv.dilation[2]};
        map.padding = {above - top, std::max<int64_t>(0, covered - stride - (above - top)),
                       conv.padding[4], conv.padding[5]};
        map.groups = conv.groups;
    }
    Numbers part() const { return {input[0], output[1], padded[2], padded[3]}; }
    Numbers folded() const { return {taps * input[0], output[1] * padded[2], padded[3]}; }
    Numbers channels_of_taps() const { return {taps * input[0], output[1], padded[2], padded[3]}; }
    Numbers begin(int64_t tap) const { return {0, tap * reach, 0, 0}; }
    Numbers steps() const { return {1, step, 1, 1}; }
    Numbers with_rows() const { return {output[0], output[1], rows, output[3]}; }
    Numbers before() const { return {0, front, top, 0}; }
    Numbers after() const {
        return {0, padded[1] - front - input[1], padded[2] - top - input[2], 0};
    }
};

Value fold_map(Site& site, const Fold& fold, Value x) {
    const Value padded = site.pad(x, fold.before(), fold.after(), ".padded");
    std::vector<Value> parts;
    for (int64_t tap = 0; tap < fold.taps; tap++)
        parts.push_back(site.crop(padded, fold.begin(tap), fold.part(), fold.steps(),
                                  fmt::format(".tap{}", tap)));
    Value all = parts.size() == 1 ? parts[0] : site.add("concatenate", "", parts, ".taps");
    if (fold.interleaved && fold.taps > 1)
        all =
            site.add("channel_shuffle", fmt::format("{{groups={}}}", fold.taps), {all}, ".groups");
    return site.view(all, fold.folded(), ".map");
}

// The way back: of each cell the sum over the taps that read it.
Value unfold_map(Site& site, const Fold& fold, Value map) {
    Value all = site.view(map, fold.channels_of_taps(), ".volume");
    const int64_t channels = fold.input[0];
    if (fold.interleaved && fold.taps > 1)
        all = site.add("channel_shuffle", fmt::format("{{groups={}}}", channels), {all}, ".groups");
    Value sum;
    for (int64_t tap = 0; tap < fold.taps; tap++) {
        Value part = all;
        if (fold.taps > 1) {
            part =
                site.add("slice", fmt::format("{{begin={}, count={}}}", tap * channels, channels),
                         {all}, fmt::format(".tap{}", tap));
        }
        if (site.type(part).shape != fold.padded) {
            part = site.add("crop_backward",
                            fmt::format("{{begin=[{}], step=[{}], input=[{}]}}",
                                        fmt::join(fold.begin(tap), ","),
                                        fmt::join(fold.steps(), ","), fmt::join(fold.padded, ",")),
                            {part}, fmt::format(".place{}", tap));
        }
        sum = tap == 0 ? part : site.add("add", "", {sum, part}, fmt::format(".sum{}", tap));
    }
    return site.crop(sum, fold.before(), fold.input, {1, 1, 1, 1}, ".result");
}

bool TwoAxes::fold_volume(int index) {
    const auto* forward = from().op_as<Conv2d>(index);
    const auto* transposed = from().op_as<Conv2dBackwardData>(index);
    if (forward == nullptr && (transposed == nullptr || transposed->rotated)) return false;
    const Node& node = from().node(index);
    const Numbers &in = from().type(node.inputs[0]).shape, &out = node.types[0].shape;
    const Numbers& filter = from().type(node.inputs[1]).shape;
    if (in.size() != 4) return false;
    Site site(rewriter_, node);
    const Fold fold =
        forward != nullptr ? Fold(*forward, in, filter, out) : Fold(*transposed, out, filter, in);
    const Value x = rewriter_.at(node.inputs[0]);
    const Value w = site.add("fold_filter", fmt::format("{{interleaved={}}}", fold.interleaved),
                             {rewriter_.at(node.inputs[1])}, ".folded");
    const Numbers with_rows = fold.with_rows();
    Value result;
    if (forward != nullptr) {
        auto op = std::make_shared<Conv2d>();
        static_cast<ConvAttributes&>(*op) = fold.map;
        const Value map =
            rewriter_.builder().add(op, {fold_map(site, fold, x), w}, node.name, node.where);
        result = site.crop(site.view(map, with_rows, ".volume"), {0, 0, 0, 0}, fold.output,
                           {1, 1, 1, 1}, ".result");
    } else {
        auto op = std::make_shared<Conv2dBackwardData>();
        static_cast<ConvAttributes&>(*op) = fold.map;
        op->input = {fold.folded()[1], fold.folded()[2]};
        const Value rows = site.pad(x, {0, 0, 0, 0}, {0, 0, with_rows[2] - in[2], 0}, ".rows");
        const Value map =
            site.view(rows, {with_rows[0], with_rows[1] * with_rows[2], with_rows[3]}, ".map");
        result =
            unfold_map(site, fold, rewriter_.builder().add(op, {map, w}, node.name, node.where));
    }
    rewriter_.replace(index, 0, result);
    return true;
}

}  // namespace

Graph two_axes(const Graph& graph) {
    Rewriter rewriter(graph);
    TwoAxes rule(rewriter);
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (!rule.rewrite(i)) rewriter.copy(i);
    }
    return rewriter.finish();
}

}  // namespace emulsion
