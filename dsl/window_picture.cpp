// Attributes are read through Fields, whatever the op; sizes are those of the node's types.
#include "dsl/window_picture.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "compiler/ops/concatenate.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/local_dense.h"
#include "compiler/ops/pad.h"
#include "compiler/support/closest.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

int64_t PicturedAxis::first() const { return std::min<int64_t>(0, -before); }

int64_t PicturedAxis::end() const {
    const int64_t map_end = (in - 1) * spacing + 1;
    const int64_t last_tap = begin_of(out - 1) + dilation * (taps - 1) + 1;
    return std::max({map_end, map_end + after, last_tap});
}

bool PicturedAxis::is_cell(int64_t coordinate) const {
    return coordinate >= 0 && coordinate % spacing == 0 && coordinate / spacing < in;
}

bool PicturedAxis::is_between(int64_t coordinate) const {
    return coordinate >= 0 && coordinate < (in - 1) * spacing + 1 && !is_cell(coordinate);
}

bool PicturedAxis::is_tap(int64_t coordinate, int64_t position) const {
    const int64_t behind = coordinate - begin_of(position);
    return behind >= 0 && behind % dilation == 0 && behind / dilation < taps;
}

namespace {

using List = std::vector<int64_t>;

// The lists among the attributes of an op, and its borders.
class WindowFields : public Fields {
  public:
    std::map<std::string, List, std::less<>> lists;
    std::string border;
    double value = 0;  // of a constant border
    void field(std::string_view, bool&) override {}
    void field(std::string_view, int64_t&) override {}
    void field(std::string_view name, double& number) override {
        if (name == "value") value = number;
    }
    void field(std::string_view name, std::string& word) override {
        if (name == "border") border = word;
    }
    void field(std::string_view name, List& list) override { lists[std::string(name)] = list; }
    void field(std::string_view, std::vector<double>&) override {}

    bool has(std::string_view name) const { return lists.contains(name); }
    // Of the axis that is the `back`th from the last; 1 where there is no such attribute.
    int64_t at(std::string_view name, size_t back, int64_t otherwise = 1) const {
        const auto found = lists.find(name);
        if (found == lists.end() || found->second.size() <= back) return otherwise;
        return found->second[found->second.size() - 1 - back];
    }
};

WindowFields fields_of(const Node& node) {
    WindowFields fields;
    const_cast<Op&>(*node.op).fields(fields);  // the visitor only reads
    return fields;
}

int64_t extent(const TensorType& type, size_t back) {
    return type.shape[type.shape.size() - 1 - back];
}

bool is_local(const Node& node) {
    return dynamic_cast<const LocalDense*>(node.op.get()) != nullptr;
}

// The taps that a locally connected layer reads: crops of one map, joined. Empty where it reads
// something else.
std::vector<const Crop*> taps_of(const Graph& graph, const Node& node) {
    const int joined = node.inputs[0].node;
    const bool is_joined = graph.op_as<Concatenate>(joined) != nullptr;
    std::vector<const Crop*> taps;
    for (const Value value :
         is_joined ? graph.node(joined).inputs : std::vector<Value>{node.inputs[0]}) {
        taps.push_back(graph.op_as<Crop>(value.node));
        if (taps.back() == nullptr) return {};
    }
    return taps;
}

// The map under a window.
int map_of(const Graph& graph, const Node& node) {
    int map = node.inputs[0].node;
    if (!is_local(node)) return map;
    if (graph.op_as<Concatenate>(map) != nullptr) map = graph.node(map).inputs[0].node;
    return graph.node(map).inputs[0].node;
}

// A window has a stride and a padding for each axis of positions, and either its own size, a kernel
// or that of a filter; or it is made of taps.
bool has_window(const Graph& graph, const Node& node) {
    if (node.inputs.empty() || graph.type(node.inputs[0]).shape.size() < 2) return false;
    if (is_local(node)) return !taps_of(graph, node).empty();
    const WindowFields fields = fields_of(node);
    const size_t axes = graph.type(node.inputs[0]).shape.size() - 1;
    const bool is_unpooling = fields.has("window") && fields.has("input");
    return fields.has("stride") && fields.has("padding") && !is_unpooling &&
           node.types[0].shape.size() == axes + 1;
}

// Whether the op goes the way of a gradient: it names the extents of the map that it makes.
bool is_transposed(const WindowFields& fields) { return fields.has("input"); }

struct Layer {
    const Node* window = nullptr;
    const Node* pad = nullptr;  // in front of it, or null
};

PicturedAxis axis_of_taps(const Graph& graph, const Node& node, size_t back) {
    std::set<int64_t> begins;
    PicturedAxis axis;
    for (const Crop* tap : taps_of(graph, node)) {
        begins.insert(tap->begin[tap->begin.size() - 1 - back]);
        axis.stride = tap->step[tap->step.size() - 1 - back];
    }
    axis.in = extent(graph.type({map_of(graph, node), 0}), back);
    axis.out = extent(node.types[0], back);
    axis.taps = static_cast<int64_t>(begins.size());
    axis.before = -*begins.begin();
    if (axis.taps > 1) axis.dilation = (*begins.rbegin() - *begins.begin()) / (axis.taps - 1);
    return axis;
}

PicturedAxis axis_of_window(const Graph& graph, const Node& node, size_t back) {
    const WindowFields fields = fields_of(node);
    PicturedAxis axis;
    axis.in = extent(graph.type(node.inputs[0]), back);
    axis.out = extent(node.types[0], back);
    const bool is_deformed = fields.has("kernel");  // each tap is a cell of the result
    axis.taps = fields.has("window") ? fields.at("window", back)
                : is_deformed        ? fields.at("kernel", back)
                                     : extent(graph.type(node.inputs[1]), back);
    if (is_deformed) axis.out /= axis.taps;
    axis.dilation = fields.at("dilation", back);
    const int64_t stride = fields.at("stride", back);
    const int64_t before = fields.at("padding", 2 * back + 1, 0);
    const int64_t covered = axis.dilation * (axis.taps - 1) + 1;
    if (is_transposed(fields)) {
        axis.spacing = stride;
        axis.before = covered - 1 - before;
        axis.after = axis.out - 1 - axis.before + covered - ((axis.in - 1) * stride + 1);
        return axis;
    }
    axis.stride = stride;
    axis.before = before;
    axis.after = fields.at("padding", 2 * back, 0);
    return axis;
}

PicturedAxis axis_of(const Graph& graph, const Layer& layer, size_t back) {
    const Node& node = *layer.window;
    PicturedAxis axis =
        is_local(node) ? axis_of_taps(graph, node, back) : axis_of_window(graph, node, back);
    if (layer.pad == nullptr || is_transposed(fields_of(node))) return axis;
    const WindowFields pad = fields_of(*layer.pad);
    axis.in = extent(graph.type(layer.pad->inputs[0]), back);
    axis.before += pad.at("before", back, 0);
    axis.after += pad.at("after", back, 0);
    return axis;
}

// Whether the node belongs to the layer: "conv1" and "conv1.padded", not "conv10".
bool belongs(const std::string& node, std::string_view layer) {
    return node.starts_with(layer) && (node.size() == layer.size() || node[layer.size()] == '.');
}

Layer find_layer(const Graph& graph, std::string_view name) {
    std::vector<std::string_view> names;
    bool is_there = false;
    for (const Node& node : graph.nodes()) {
        if (has_window(graph, node)) names.push_back(node.name);
        is_there = is_there || node.name == name;
        if (!belongs(node.name, name) || !has_window(graph, node)) continue;
        const int map = map_of(graph, node);
        const Node& source = graph.node(map);
        const bool is_padded = belongs(source.name, name) && graph.op_as<Pad>(map) != nullptr;
        return {&node, is_padded ? &source : nullptr};
    }
    const std::string near = closest(name, names);
    fail("layer",
         is_there ? fmt::format("the layer '{}' has no window", name)
                  : fmt::format("the model has no layer '{}'", name),
         names.empty() ? "name a convolution or pooling, of which this model has none"
                       : fmt::format("{}convolutions and poolings are {}",
                                     near.empty() ? "" : fmt::format("the closest is '{}'; ", near),
                                     fmt::join(names, ", ")));
}

// What lies around the map, of one of the two axes.
std::string around(const PicturedAxis& rows, const PicturedAxis& columns) {
    if (rows.before == 0 && rows.after == 0 && columns.before == 0 && columns.after == 0) return "";
    return fmt::format(", padding {} {} {} {}", rows.before, rows.after, columns.before,
                       columns.after);
}

std::string title_of(std::string_view name, const WindowPicture& picture, bool is_pool) {
    const PicturedAxis &rows = picture.rows, &columns = picture.columns;
    const bool transposed = rows.spacing * columns.spacing > 1;
    std::string text = fmt::format("{}: {} {}, stride {}", name, is_pool ? "window" : "filter",
                                   by(rows.taps, columns.taps), by(rows.stride, columns.stride));
    if (rows.dilation * columns.dilation > 1)
        text += fmt::format(", dilation {}", by(rows.dilation, columns.dilation));
    if (transposed) {
        text += fmt::format(", {} zeros between cells", by(rows.spacing - 1, columns.spacing - 1));
    }
    text += around(rows, columns);
    if (!picture.border.empty() && !around(rows, columns).empty())
        text += fmt::format(" of {}", picture.border);
    return text + fmt::format("; {} to {}", by(rows.in, columns.in), by(rows.out, columns.out));
}

}  // namespace

WindowPicture picture_of_layer(const Graph& graph, std::string_view name) {
    const Layer layer = find_layer(graph, name);
    const bool is_pool = fields_of(*layer.window).has("window");
    WindowPicture picture;
    picture.columns = axis_of(graph, layer, 0);
    if (graph.type(layer.window->inputs[0]).shape.size() > 2)
        picture.rows = axis_of(graph, layer, 1);
    if (!is_pool) picture.border = "zeros";
    if (layer.pad != nullptr) {
        const WindowFields pad = fields_of(*layer.pad);
        const char* constant = pad.value == 0 ? "zeros" : "a constant";
        picture.border = pad.border == "constant" ? constant : pad.border;
    }
    picture.title = title_of(name, picture, is_pool);
    return picture;
}

}  // namespace emulsion
