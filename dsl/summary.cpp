// Layers are found by name: the nodes "conv1", "conv1.w" and "conv1.biased" are the layer conv1. A
// receptive field is followed through every op with a window; where paths meet, the largest one
// counts.
#include "dsl/summary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/pad.h"
#include "compiler/ops/pool_attributes.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/resize.h"
#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

struct Field {
    ReceptiveField vertical, horizontal;
};

// The window of a node over its first input: its own, or the whole map where the node folds it into
// features.
Window window_of(const Graph& graph, int index) {
    const Node& node = graph.node(index);
    const std::vector<int64_t>& in = graph.type(node.inputs[0]).shape;
    if (const auto* conv = graph.op_as<Conv2d>(index)) {
        const std::vector<int64_t>& filter = graph.type(node.inputs[1]).shape;
        return conv->window(filter[2], filter[3]);
    }
    if (const auto* pool = graph.op_as<PoolAttributes>(index)) return pool->sliding();
    if (const auto* pad = graph.op_as<Pad>(index); pad != nullptr && in.size() == 3) {
        return {.size = {1, 1},
                .padding = {pad->before[1], pad->after[1], pad->before[2], pad->after[2]}};
    }
    if (const auto* crop = graph.op_as<Crop>(index); crop != nullptr && in.size() == 3) {
        return {.size = {1, 1},
                .stride = {crop->step[1], crop->step[2]},
                .padding = {-crop->begin[1], 0, -crop->begin[2], 0}};
    }
    if (const auto* sum = graph.op_as<ReduceAxes>(index); sum != nullptr && in.size() == 3) {
        const std::vector<int64_t>& out = node.types[0].shape;
        return {{out[1] < in[1] ? in[1] : 1, out[2] < in[2] ? in[2] : 1}};
    }
    if (in.size() == 3 && node.types[0].shape.size() < 3) return {{in[1], in[2]}};
    return {{1, 1}};
}

// The field behind a node, from that of its operands.
Field field_through(const Graph& graph, int index, const Field& field) {
    const Node& node = graph.node(index);
    const std::vector<int64_t>& in = graph.type(node.inputs[0]).shape;
    const std::vector<int64_t>& out = node.types[0].shape;
    if (const auto* transposed = graph.op_as<Conv2dBackwardData>(index)) {
        const std::vector<int64_t>& filter = graph.type(node.inputs[1]).shape;
        const Window window = transposed->window(filter[2], filter[3]);
        return {back_through(field.vertical, window, 0), back_through(field.horizontal, window, 1)};
    }
    if (const auto* unpool = graph.op_as<MaxPoolBackward>(index)) {
        return {back_through(field.vertical, unpool->sliding(), 0),
                back_through(field.horizontal, unpool->sliding(), 1)};
    }
    if (const auto* resize = graph.op_as<Resize>(index); resize != nullptr && in.size() == 3) {
        const bool is_nearest = resize->mode == "nearest";
        return {resized(field.vertical, in[1], out[1], is_nearest),
                resized(field.horizontal, in[2], out[2], is_nearest)};
    }
    const Window window = window_of(graph, index);
    return {through(field.vertical, window, 0), through(field.horizontal, window, 1)};
}

Field field_of(const Graph& graph, int index, const std::vector<Field>& fields) {
    Field result;
    bool is_first = true;
    for (Value input : graph.node(index).inputs) {
        if (!graph.type(input).batched) continue;
        const Field& field = fields[static_cast<size_t>(input.node)];
        if (is_first || field.vertical.size > result.vertical.size)
            result.vertical = field.vertical;
        if (is_first || field.horizontal.size > result.horizontal.size)
            result.horizontal = field.horizontal;
        is_first = false;
    }
    if (is_first) return result;
    return field_through(graph, index, result);
}

std::vector<TensorType> input_types(const Graph& graph, const Node& node) {
    std::vector<TensorType> types;
    for (Value value : node.inputs) types.push_back(graph.type(value));
    return types;
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

void add_node(LayerRow& row, const Graph& graph, size_t index, const Field& field) {
    const Node& node = graph.nodes()[index];
    if (graph.op_as<Parameter>(static_cast<int>(index)) != nullptr) {
        row.parameters += element_count(node.types[0]);
        if (row.op.empty()) row.output = node.types[0];
        return;
    }
    if (graph.op_as<State>(static_cast<int>(index)) != nullptr) return;
    const bool is_preparation = row.op.empty() || row.op == "pad" || row.op == "flip";
    if (is_preparation) row.op = std::string(node.op->kind());
    row.output = node.types[0];
    row.vertical = field.vertical;
    row.horizontal = field.horizontal;
    row.multiply_adds += node.op->multiply_adds(input_types(graph, node));
    if (node.op->op_class() == OpClass::view) return;
    for (const TensorType& type : node.types) {
        if (type.batched) row.bytes += memory_bytes(type, 1);
    }
}

}  // namespace

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
        add_node(rows[place->second], graph, i, fields[i]);
    }
    for (LayerRow& row : rows) {
        if (row.op.empty()) row.op = "parameter";  // the model's own, of no layer
    }
    return rows;
}

int64_t parameter_count(const Network& network) {
    int64_t count = 0;
    for (const LayerRow& row : layer_rows(network)) count += row.parameters;
    return count;
}

int64_t multiply_adds(const Network& network) {
    int64_t count = 0;
    for (const LayerRow& row : layer_rows(network)) count += row.multiply_adds;
    return count;
}

// Table

namespace {

std::string grouped(int64_t value) {
    std::string text = std::to_string(value);
    for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<size_t>(at), 1, ',');
    return text;
}

std::string kibibytes(int64_t bytes) {
    return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
}

// A whole number, or one with its decimals.
template <class Number>
std::string both(Number vertical, Number horizontal) {
    return vertical == horizontal ? fmt::format("{}", vertical)
                                  : fmt::format("{}x{}", vertical, horizontal);
}

// "14 every 4 from -6": cells seen, distance to the next output's field, first cell of the first
// one.
std::string field_text(const LayerRow& row) {
    auto first = [](const ReceptiveField& field) {
        return static_cast<int64_t>(
            std::floor(field.offset - static_cast<double>(field.size - 1) / 2));
    };
    return fmt::format("{} every {} from {}", both(row.vertical.size, row.horizontal.size),
                       both(row.vertical.jump, row.horizontal.jump),
                       both(first(row.vertical), first(row.horizontal)));
}

std::string shape_text(const TensorType& type) {
    return type.shape.empty() ? "1" : fmt::format("{}", fmt::join(type.shape, " x "));
}

std::vector<std::string> cells_of(const LayerRow& row) {
    return {row.name,
            row.op,
            shape_text(row.output),
            row.parameters == 0 ? "" : grouped(row.parameters),
            row.multiply_adds == 0 ? "" : grouped(row.multiply_adds),
            row.output.shape.size() == 3 ? field_text(row) : "",
            kibibytes(row.bytes)};
}

std::string print_table(const std::vector<std::vector<std::string>>& lines) {
    std::vector<size_t> widths(lines[0].size(), 0);
    for (const auto& line : lines) {
        for (size_t i = 0; i < line.size(); i++) widths[i] = std::max(widths[i], line[i].size());
    }
    std::string text;
    for (const auto& line : lines) {
        std::string row;
        for (size_t i = 0; i < line.size(); i++) {
            bool is_number = i == 3 || i == 4 || i == 6;
            row += is_number ? fmt::format("{:>{}}  ", line[i], widths[i])
                             : fmt::format("{:<{}}  ", line[i], widths[i]);
        }
        text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

}  // namespace

std::string summary(const Network& network) {
    std::vector<std::vector<std::string>> lines = {
        {"layer", "op", "output", "parameters", "multiply-adds", "receptive field", "memory"}};
    LayerRow total;
    for (const LayerRow& row : layer_rows(network)) {
        lines.push_back(cells_of(row));
        total.parameters += row.parameters;
        total.multiply_adds += row.multiply_adds;
        total.bytes += row.bytes;
    }
    lines.push_back({"total", "", "", grouped(total.parameters), grouped(total.multiply_adds), "",
                     kibibytes(total.bytes)});
    return fmt::format("{}: layers of one sample\n", network.name) + print_table(lines);
}

}  // namespace emulsion
