// Layers are found by name: the nodes "conv1", "conv1.w" and "conv1.biased" are the layer conv1. A
// receptive field is followed through every op with a window; where paths meet, it reaches over
// those of all.
#include "compiler/codegen/layer_rows.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/connect_filter.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/deform_sample.h"
#include "compiler/ops/depth_to_space.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/pad.h"
#include "compiler/ops/pool_attributes.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/resize.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/transpose.h"

namespace emulsion {

namespace {

using Numbers = std::vector<int64_t>;
// One for each axis of positions; of features, those of the map they come from. Empty of what does
// not depend on an input's positions.
using Field = std::vector<ReceptiveField>;

// The last axes; those in front that are missing see a cell each.
Field aligned(Field field, size_t axes) {
    if (field.size() < axes) field.insert(field.begin(), axes - field.size(), ReceptiveField());
    field.erase(field.begin(), field.end() - static_cast<std::ptrdiff_t>(axes));
    return field;
}

size_t axes_of(const Numbers& shape) { return shape.empty() ? 0 : shape.size() - 1; }

// A window of one cell along each axis.
Window one_cell(size_t axes) {
    return {Numbers(axes, 1), Numbers(axes, 1), Numbers(axes, 1), Numbers(2 * axes, 0)};
}

// The window of a node over its first input, of so many axes: its own, or the whole map where the
// node folds it into features.
Window window_of(const Graph& graph, int index, size_t axes) {
    const Node& node = graph.node(index);
    const Numbers& in = graph.type(node.inputs[0]).shape;
    const Numbers& out = node.types[0].shape;
    if (const auto* conv = graph.op_as<Conv2d>(index))
        return conv->window_of(graph.type(node.inputs[1]));
    if (const auto* pool = graph.op_as<PoolAttributes>(index)) return pool->sliding();
    if (const auto* blocks = graph.op_as<SpaceToDepth>(index))
        return {blocks->block, blocks->block, Numbers(axes, 1), Numbers(2 * axes, 0)};
    Window window = one_cell(axes);
    if (in.size() < 2) return window;
    const auto* pad = graph.op_as<Pad>(index);
    const auto* crop = graph.op_as<Crop>(index);
    const bool may_fold = out.size() < 2 || graph.op_as<View>(index) != nullptr ||
                          graph.op_as<ReduceAxes>(index) != nullptr;
    for (size_t axis = 0; axis < axes; axis++) {
        if (pad != nullptr) {
            window.padding[2 * axis] = pad->before[axis + 1];
            window.padding[2 * axis + 1] = pad->after[axis + 1];
        } else if (crop != nullptr) {
            window.stride[axis] = crop->step[axis + 1];
            window.padding[2 * axis] = -crop->begin[axis + 1];
        } else if (may_fold) {
            const size_t behind = axes - axis;  // the place of the axis from the end
            const bool stays = out.size() > behind && out[out.size() - behind] == in[axis + 1];
            if (!stays) window.size[axis] = in[axis + 1];
        }
    }
    return window;
}

// The field behind a node, from that of its operands.
Field field_through(const Graph& graph, int index, const Field& field) {
    const Node& node = graph.node(index);
    const Numbers& in = graph.type(node.inputs[0]).shape;
    const Numbers& out = node.types[0].shape;
    const auto* transposed = graph.op_as<Conv2dBackwardData>(index);
    const auto* unpool = graph.op_as<MaxPoolBackward>(index);
    const auto* resize = graph.op_as<Resize>(index);
    const auto* shuffle = graph.op_as<DepthToSpace>(index);
    const Window window = transposed != nullptr ? transposed->window_of(graph.type(node.inputs[1]))
                          : unpool != nullptr   ? unpool->sliding()
                                                : window_of(graph, index, field.size());
    Field result;
    for (size_t axis = 0; axis < field.size(); axis++) {
        const int at = static_cast<int>(axis);
        if (transposed != nullptr || unpool != nullptr) {
            result.push_back(back_through(field[axis], window, at));
        } else if (shuffle != nullptr) {
            result.push_back(resized(field[axis], in[axis + 1], out[axis + 1], true));
        } else if (resize != nullptr) {
            result.push_back(
                resized(field[axis], in[axis + 1], out[axis + 1], resize->mode == "nearest"));
        } else {
            result.push_back(through(field[axis], window, at));
        }
    }
    return out.size() < 2 ? result : aligned(result, axes_of(out));
}

// What is read where either field is, at the steps of the larger one.
ReceptiveField both(const ReceptiveField& a, const ReceptiveField& b) {
    const ReceptiveField& larger = b.size > a.size ? b : a;
    const ReceptiveField& smaller = b.size > a.size ? a : b;
    const auto begin = [](const ReceptiveField& f) {
        return f.offset - static_cast<double>(f.size - 1) / 2;
    };
    const double sticks_out =
        std::max(begin(larger) - begin(smaller),
                 begin(smaller) + static_cast<double>(smaller.size - larger.size) - begin(larger));
    constexpr double kRounding = 1e-9;
    if (sticks_out <= kRounding) return larger;
    ReceptiveField result = larger;
    result.size += static_cast<int64_t>(std::ceil(sticks_out - kRounding));
    result.offset += (begin(smaller) < begin(larger) ? -0.5 : 0.5) *
                     static_cast<double>(result.size - larger.size);
    return result;
}

void reach_over(Field& field, const Field& other) {
    if (field.empty()) field = other;
    const Field same_axes = aligned(other, field.size());
    for (size_t axis = 0; axis < field.size() && !other.empty(); axis++)
        field[axis] = both(field[axis], same_axes[axis]);
}

// What a convolution reads whose taps are moved: the samples of them, and where they are weighed
// the mask; -1 for none.
struct MovedTaps {
    int sample = -1, mask = -1;
};

// Of the convolution at `index`; its groups of channels move alike, so the first one stands for
// all.
MovedTaps moved_taps(const Graph& graph, int index) {
    MovedTaps taps;
    if (graph.op_as<Conv2d>(index) == nullptr) return taps;
    int at = graph.node(index).inputs[0].node;
    if (graph.op_as<Concatenate>(at) != nullptr) at = graph.node(at).inputs[0].node;
    if (graph.op_as<Multiply>(at) != nullptr) {
        const int cells = graph.node(at).inputs[1].node;
        if (graph.op_as<DepthToSpace>(cells) != nullptr)
            taps.mask = graph.node(cells).inputs[0].node;
        at = graph.node(at).inputs[0].node;
    }
    if (graph.op_as<DeformSample>(at) != nullptr) taps.sample = at;
    return taps;
}

// Where the taps read before any is moved, and what moves and weighs them.
Field field_of_moved(const Graph& graph, const MovedTaps& taps, const std::vector<Field>& fields) {
    const Node& sample = graph.node(taps.sample);
    const Window window = graph.op_as<DeformSample>(taps.sample)->window();
    const Field map =
        aligned(fields[static_cast<size_t>(sample.inputs[0].node)], window.size.size());
    Field result;
    for (size_t axis = 0; axis < map.size(); axis++)
        result.push_back(through(map[axis], window, static_cast<int>(axis)));
    reach_over(result, fields[static_cast<size_t>(sample.inputs[1].node)]);
    if (taps.mask >= 0) reach_over(result, fields[static_cast<size_t>(taps.mask)]);
    return result;
}

Field field_of(const Graph& graph, int index, const std::vector<Field>& fields) {
    const Node& node = graph.node(index);
    if (node.inputs.empty()) {
        const bool is_input = graph.op_as<Input>(index) != nullptr;
        return Field(is_input ? axes_of(node.types[0].shape) : 0);
    }
    const MovedTaps taps = moved_taps(graph, index);
    if (taps.sample >= 0) return field_of_moved(graph, taps, fields);
    Field result;
    bool is_batched = false;
    for (Value input : node.inputs) {
        if (!graph.type(input).batched) continue;
        is_batched = true;
        const Field& field = fields[static_cast<size_t>(input.node)];
        const size_t axes = axes_of(graph.type(node.inputs[0]).shape);
        reach_over(result, axes == 0 || field.empty() ? field : aligned(field, axes));
    }
    if (result.empty() && is_batched) result = Field(axes_of(graph.type(node.inputs[0]).shape));
    return result.empty() ? result : field_through(graph, index, result);
}

bool is_source(const Node& node) { return node.op->op_class() == OpClass::source; }

// The layer of a node: the shortest prefix, up to a dot or the end, that is the name of a node with
// inputs.
std::string layer_name(const Graph& graph, const std::string& name) {
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        int found = graph.find(name.substr(0, dot));
        if (found >= 0 && !is_source(graph.node(found))) return name.substr(0, dot);
    }
    return name;
}

// What inference computes: ancestors of every output that is not for training.
std::vector<bool> nodes_of_layers(const Graph& graph) {
    std::vector<bool> live(graph.nodes().size(), false);
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::output || is_for_training(result.name)) continue;
        live[static_cast<size_t>(result.value.node)] = true;
    }
    for (size_t i = graph.nodes().size(); i-- > 0;) {
        if (!live[i]) continue;
        for (Value input : graph.nodes()[i].inputs) live[static_cast<size_t>(input.node)] = true;
    }
    return live;
}

// Whether the op only makes ready what the layer works on.
bool is_preparation(std::string_view op) {
    for (const char* kind : {"pad", "flip", "view", "connect_filter"}) {
        if (op == kind) return true;
    }
    return op.empty();
}

// The layer that an op is the work of, where several nodes are one, or "".
std::string_view layer_of(std::string_view op) {
    if (op == "local_dense") return "locally_connected";
    return op == "deform_sample" ? "deform_conv" : "";
}

void add_node(LayerRow& row, const Graph& graph, size_t index, const Field& field) {
    const Node& node = graph.nodes()[index];
    if (graph.op_as<Parameter>(static_cast<int>(index)) != nullptr) {
        row.parameters += element_count(node.types[0]);
        if (row.op.empty()) row.output = node.types[0];
        return;
    }
    if (graph.op_as<State>(static_cast<int>(index)) != nullptr) return;
    if (is_preparation(row.op) || !row.output.batched) row.op = std::string(node.op->kind());
    const std::string_view layer = layer_of(node.op->kind());
    if (!layer.empty()) row.op = std::string(layer);
    row.output = node.types[0];
    row.fields = field;
    row.multiply_adds += multiply_adds(graph, static_cast<int>(index));
    if (node.op->op_class() == OpClass::view) return;
    for (const TensorType& type : node.types) {
        if (type.batched) row.bytes += memory_bytes(type, 1);
    }
}

// Notes the layers of a node's operands, but for parameters and state, which are of the layer.
void add_inputs(LayerRow& row, const Graph& graph, const Node& node) {
    for (Value value : node.inputs) {
        if (!graph.type(value).batched) continue;
        const std::string name = layer_name(graph, graph.node(value.node).name);
        if (name != row.name && std::ranges::find(row.inputs, name) == row.inputs.end())
            row.inputs.push_back(name);
    }
}

}  // namespace

int64_t multiply_adds(const Graph& graph, int index) {
    const Node& node = graph.node(index);
    std::vector<TensorType> types;
    for (Value value : node.inputs) types.push_back(graph.type(value));
    const int64_t count = node.op->multiply_adds(types);
    if (graph.op_as<Conv2d>(index) == nullptr) return count;
    int filter = node.inputs[1].node;
    if (graph.op_as<Flip>(filter) != nullptr) filter = graph.node(filter).inputs[0].node;
    const auto* table = graph.op_as<ConnectFilter>(filter);
    if (table == nullptr) return count;
    const int64_t pairs = graph.type(graph.node(filter).inputs[0]).shape[0];
    return count / (table->filters * table->channels) * pairs;
}

std::vector<LayerRow> layer_rows(const Network& network) {
    const Graph& graph = network.graph;
    std::vector<bool> live = nodes_of_layers(graph);
    std::vector<Field> fields(graph.nodes().size());
    std::vector<LayerRow> rows;
    std::map<std::string, size_t> places;
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        const Node& node = graph.nodes()[i];
        fields[i] = field_of(graph, static_cast<int>(i), fields);
        if (!live[i] || graph.op_as<Scalar>(static_cast<int>(i)) != nullptr) continue;
        std::string name = layer_name(graph, node.name);
        auto [place, is_new] = places.emplace(name, rows.size());
        if (is_new) {
            rows.emplace_back();
            rows.back().name = name;
        }
        add_inputs(rows[place->second], graph, node);
        add_node(rows[place->second], graph, i, fields[i]);
    }
    for (LayerRow& row : rows) {
        if (row.op.empty()) row.op = "parameter";  // the model's own, of no layer
    }
    return rows;
}

}  // namespace emulsion
