// Layers that read and write at indices: embeddings, and what runs along the edges of a graph.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;

namespace {

constexpr int64_t kMostPlaces = 1 << 20;       // of an index along an axis
constexpr int64_t kSources = 0, kTargets = 1;  // rows of an edge list

std::vector<int64_t> ignored_of(int64_t padding_index) {
    return padding_index == kNoIndex ? std::vector<int64_t>{} : std::vector{padding_index};
}

void check_count(const Layer& layer, std::string_view what, int64_t count) {
    if (count >= 1) return;
    layer.refuse("attribute", fmt::format("it has {} {}, but must have 1 or more", count, what),
                 fmt::format("give the number of {}", what));
}

// That x is (C, V).
void expect_vertices(const Layer& layer, Value x) {
    const TensorType& vertices = layer.type(x);
    if (vertices.batched && vertices.shape.size() == 2) return;
    layer.refuse("rank",
                 fmt::format("the vertices must be (n, features, vertices), but are {}",
                             to_string(vertices)),
                 "reshape them to {features, vertices}", {x});
}

// And `edges` an edge list (2, E).
void expect_graph(const Layer& layer, Value x, Value edges) {
    expect_vertices(layer, x);
    const TensorType& list = layer.type(edges);
    if (list.element == ElementType::i32 && list.shape.size() == 2 && list.shape[0] == 2) return;
    layer.refuse("index",
                 fmt::format("the edges must be i32[n,2,edges], but are {}", to_string(list)),
                 "declare them with m.indices(\"edges\", {2, edges})", {edges});
}

// Where values go: to the columns that a row of an index names.
struct Columns {
    Value index;
    int64_t row, count;
};

Value scattered(Layer& layer, const std::string& part, std::string_view op, Value values,
                const Columns& to) {
    return layer.add(part, op, {values, to.index},
                     {{"columns", to.count}, {"row", to.row}, {"ignored", std::vector{kNoEdge}}});
}

// Values that go to each column: (1, columns).
Value counted(Layer& layer, const std::string& part, const Columns& to) {
    const Value ones =
        layer.constant("ones", batched_type({1, layer.type(to.index).shape.back()}), 1);
    return scattered(layer, part, "scatter_sum", ones, to);
}

// What becomes of the values (C, L) of each column: NAME.
Value pooled(Layer& layer, Neighbors mode, Value values, const Columns& to) {
    if (mode == Neighbors::max) return scattered(layer, "", "scatter_max", values, to);
    const bool is_mean = mode == Neighbors::mean;
    const Value sum = scattered(layer, is_mean ? "sum" : "", "scatter_sum", values, to);
    if (!is_mean) return sum;
    const Value one = layer.constant("one", plain_type({}), 1);
    const Value divisor = layer.add("divisor", "maximum", {counted(layer, "degree", to), one});
    return layer.add("", "divide", {sum, divisor});
}

// The vertex that each edge comes from.
Value sent(Layer& layer, Value x, Value edges) {
    return layer.add("sent", "gather", {x, edges},
                     {{"row", kSources}, {"ignored", std::vector{kNoEdge}}});
}

Columns targets(const Layer& layer, Value x, Value edges) {
    return {edges, kTargets, layer.type(x).shape[1]};
}

}  // namespace

Tensor Model::indices(const std::string& name, const std::vector<int64_t>& shape, Place where) {
    return internal::write_layer_of(
        state_, "indices", name, {}, where, [&](Layer& layer, const auto&) {
            bool fits = shape.size() == 1 || shape.size() == 2;
            for (int64_t extent : shape) fits = fits && extent >= 1 && extent <= kMostPlaces;
            if (!fits) {
                layer.refuse("shape",
                             fmt::format("[{}] is no shape of indices", fmt::join(shape, ",")),
                             fmt::format("give {{length}} or {{rows, length}}, each from 1 to {}",
                                         kMostPlaces));
            }
            return layer.input(layer.name(), batched_type(shape, ElementType::i32));
        });
}

Tensor gather(const Tensor& x, const Tensor& index, const IndexOptions& options, Place where) {
    return internal::write_node(
        "gather", options.name, {x, index}, where,
        {{"row", int64_t{options.row}}, {"ignored", ignored_of(options.padding_index)}});
}

Tensor scatter_sum(const Tensor& values, const Tensor& index, int columns,
                   const IndexOptions& options, Place where) {
    return internal::write_node("scatter_sum", options.name, {values, index}, where,
                                {{"columns", int64_t{columns}},
                                 {"row", int64_t{options.row}},
                                 {"ignored", ignored_of(options.padding_index)}});
}

Tensor scatter_max(const Tensor& values, const Tensor& index, int columns,
                   const IndexOptions& options, Place where) {
    return internal::write_node("scatter_max", options.name, {values, index}, where,
                                {{"columns", int64_t{columns}},
                                 {"row", int64_t{options.row}},
                                 {"ignored", ignored_of(options.padding_index)}});
}

Tensor embedding(const Tensor& index, int vocabulary, int width, const EmbeddingOptions& options,
                 Place where) {
    return write_layer(
        "embedding", options.name, {index}, where, [&](Layer& layer, const std::vector<Value>& in) {
            check_count(layer, "words", vocabulary);
            check_count(layer, "numbers for each word", width);
            layer.expect_init_without_inputs(options.init, "table");
            const Value table = layer.parameter("w", plain_type({width, vocabulary}), options.init);
            return layer.add("", "gather", {table, in[0]},
                             {{"ignored", ignored_of(options.padding_index)}});
        });
}

Tensor neighbor_pool(const Tensor& x, const Tensor& edges, const NeighborPoolOptions& options,
                     Place where) {
    return write_layer("neighbor_pool", options.name, {x, edges}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           expect_graph(layer, in[0], in[1]);
                           return pooled(layer, options.mode, sent(layer, in[0], in[1]),
                                         targets(layer, in[0], in[1]));
                       });
}

Tensor graph_pool(const Tensor& x, const GraphPoolOptions& options, Place where) {
    if (options.mode == Neighbors::max && x.shape().size() == 2) {
        return global_max_pool(x, {.name = internal::composite_name(x, "graph_pool", options.name)},
                               where);
    }
    return write_layer("graph_pool", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           expect_vertices(layer, in[0]);
                           return layer.add("", "reduce", in,
                                            {{"keep_samples", true},
                                             {"keep_channels", true},
                                             {"mean", options.mode == Neighbors::mean}});
                       });
}

Tensor graph_pool(const Tensor& x, const Tensor& graph_of, int graphs,
                  const GraphPoolOptions& options, Place where) {
    return write_layer("graph_pool", options.name, {x, graph_of}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           expect_vertices(layer, in[0]);
                           check_count(layer, "graphs", graphs);
                           return pooled(layer, options.mode, in[0], {in[1], 0, graphs});
                       });
}

namespace {

// x (C, V) times weights, a convolution of one tap: (filters, V).
Value mapped(Layer& layer, Value x, int filters, const Init& init) {
    const std::vector<int64_t> shape = layer.type(x).shape;
    const Value w =
        layer.parameter("w", plain_type({filters, shape[0], 1, 1}), init, shape[0], filters);
    const Value row =
        layer.add("row", "view", {x}, {{"shape", std::vector<int64_t>{shape[0], 1, shape[1]}}});
    const Value y = layer.add("mapped", "conv2d", {row, w});
    return layer.add("vertices", "view", {y}, {{"shape", std::vector<int64_t>{filters, shape[1]}}});
}

// D^-1/2, for each vertex: (1, V).
Value degree_factor(Layer& layer, Value edges, int64_t vertices, bool self_loops) {
    const Value degree = counted(layer, "degree", {edges, kTargets, vertices});
    const Value neighbours =
        self_loops
            ? layer.add("loops", "shift", {degree}, {{"term", 1.0}})
            : layer.add("loops", "maximum", {degree, layer.constant("one", plain_type({}), 1)});
    return layer.add("factor", "power", {neighbours}, {{"exponent", -0.5}});
}

}  // namespace

// The features of a vertex are mapped first, so that edges carry `filters` numbers.
Tensor graph_conv(const Tensor& x, const Tensor& edges, int filters,
                  const GraphConvOptions& options, Place where) {
    return write_layer(
        "graph_conv", options.name, {x, edges}, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            expect_graph(layer, in[0], in[1]);
            check_count(layer, "filters", filters);
            Value factor, h = mapped(layer, in[0], filters, options.init);
            if (options.normalize) {
                factor = degree_factor(layer, in[1], layer.type(h).shape[1], options.self_loops);
                h = layer.add("scaled", "multiply", {h, factor});
            }
            Value y =
                pooled(layer, Neighbors::sum, sent(layer, h, in[1]), targets(layer, h, in[1]));
            if (options.self_loops) y = layer.add("looped", "add", {y, h});
            if (options.normalize) y = layer.add("normalized", "multiply", {y, factor});
            return internal::finish_layer(layer, y, {filters}, options, where);
        });
}

}  // namespace emulsion
