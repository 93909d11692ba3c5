// Grows a model layer by layer from a seeded generator. A layer that the DSL refuses, or that grows
// too large, is taken back.
#include "tests/support/random_network.h"

#include <algorithm>
#include <random>
#include <stdexcept>

#include "compiler/ops/sources.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "dsl/layer.h"

namespace emulsion::test {

namespace {

using internal::Access;
using internal::Layer;

constexpr int64_t kMostElements = 2600, kMostMultiplyAdds = 150000;

class RandomModel {
  public:
    explicit RandomModel(uint64_t seed) : random_(seed), model_("random") {}

    Network build() {
        is_wide_ = one_in(3);
        add_inputs();
        const int layers = 1 + below(6);
        for (int i = 0; i < layers; i++) grow_map();
        add_features();
        add_heads();
        add_settings();
        FinishedModel finished = finish(model_);
        if (!finished.network) {  // nothing left to train
            state().frozen.clear();
            finished = finish(model_);
        }
        if (finished.network) return *finished.network;
        std::string text = "a random network has mistakes";
        for (const Diagnostic& mistake : finished.mistakes) text += "\n" + to_string(mistake);
        throw std::runtime_error(text);
    }

  private:
    // ---- Choices ----

    int below(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
    bool one_in(int count) { return below(count) == 0; }
    template <class T>
    T of(std::initializer_list<T> choices) {
        return choices.begin()[below(static_cast<int>(choices.size()))];
    }
    // Two equal numbers or two of their own.
    Size size_of(std::initializer_list<int> choices) {
        const int h = of(choices);
        return one_in(3) ? Size(h, of(choices)) : Size(h);
    }
    const Tensor& pick(const std::vector<Tensor>& tensors) {
        if (!one_in(3)) return tensors.back();
        return tensors[static_cast<size_t>(below(static_cast<int>(tensors.size())))];
    }
    int channels() {
        return is_wide_ ? of({16, 16, 32, 48}) : of({1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 19, 33});
    }

    internal::ModelState& state() { return Access::state(model_); }

    // Adds what `layer` writes to the tensors, unless it is refused or too large.
    template <class F>
    void attempt(std::vector<Tensor>& tensors, const F& layer) {
        internal::ModelState before = state();
        Tensor y = layer();
        int64_t elements = 1;
        for (int64_t extent : y.shape()) elements *= extent;
        const bool is_good = state().mistakes.size() == before.mistakes.size() &&
                             elements <= kMostElements && multiply_adds() <= kMostMultiplyAdds;
        if (is_good) {
            tensors.push_back(y);
        } else {
            state() = std::move(before);
        }
    }

    // Of the largest layer.
    int64_t multiply_adds() {
        const Graph& graph = state().builder.graph();
        int64_t most = 0;
        for (const Node& node : graph.nodes()) {
            const bool is_transposed = node.op->kind() == "conv2d_backward_data";
            const bool is_local = node.op->kind() == "local_dense";
            if (is_local) most = std::max(most, element_count(graph.type(node.inputs[1])));
            if (node.op->kind() != "conv2d" && node.op->kind() != "dense" && !is_transposed)
                continue;
            const std::vector<int64_t>& w = graph.type(node.inputs[1]).shape;
            int64_t count =
                element_count(is_transposed ? graph.type(node.inputs[0]) : node.types[0]);
            for (size_t axis = 1; axis < w.size(); axis++) count *= w[axis];
            most = std::max(most, count);
        }
        return most;
    }

    // ---- Inputs ----

    void add_inputs() {
        if (one_in(4)) add_indices();
        const int count = one_in(5) ? 2 : 1;
        for (int i = 0; i < count; i++) {
            const int c = is_wide_ && one_in(2) ? 16 : of({1, 2, 3, 3, 4, 5, 8, 17});
            const Size map = is_wide_ ? size_of({6, 7, 8, 9, 12})
                                      : size_of({1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 17});
            const std::string name = i == 0 ? "image" : "second";
            if (one_in(8)) {
                vectors_.push_back(model_.input(name, {of({1, 3, 8, 17, 40})}));
            } else {
                maps_.push_back(model_.input(name, {c, map.h, map.w}));
            }
        }
    }

    // Words or the vertices of a graph, as a map of one row.
    void add_indices() {
        const int length = of({1, 2, 3, 5, 9, 16}), vocabulary = of({2, 3, 5, 17});
        const int width = is_wide_ ? 16 : of({1, 2, 3, 5, 8, 17});
        const bool is_padded = one_in(3);
        const Tensor words = model_.indices("words", {length});
        Tensor x = embedding(words, vocabulary, width,
                             {.padding_index = is_padded ? 1 : kNoIndex, .init = any_init()});
        if (length > 1 && one_in(2)) {
            const Tensor edges = model_.indices("edges", {2, of({1, 3, 7})});
            const int layers = 1 + below(3);
            for (int i = 0; i < layers; i++) x = along_edges(x, edges);
        }
        if (one_in(3)) {
            vectors_.push_back(graph_pool(x, {.mode = any_mode()}));
        } else if (one_in(3)) {
            const int graphs = of({2, 3});
            const Tensor parts =
                graph_pool(x, words, std::max(graphs, vocabulary), {.mode = any_mode()});
            vectors_.push_back(flatten(parts));
        }
        const std::vector<int64_t> shape = x.shape();
        maps_.push_back(reshape(x, {shape[0], 1, shape[1]}));
    }

    Init any_init() { return one_in(2) ? Init::normal(1) : Init::uniform(1); }
    Neighbors any_mode() { return of({Neighbors::sum, Neighbors::mean, Neighbors::max}); }

    // What becomes of vertices along the edges between them.
    Tensor along_edges(const Tensor& x, const Tensor& edges) {
        const auto vertices = static_cast<int>(x.shape()[1]);
        switch (below(5)) {
            case 0:
                return neighbor_pool(x, edges, {.mode = any_mode()});
            case 1:
                return scatter_sum(emulsion::tanh(gather(x, edges)), edges, vertices, {.row = 1});
            case 2:
                return scatter_max(gather(x, edges, {.padding_index = 0}), edges, vertices,
                                   {.row = 1, .padding_index = 1});
            default:
                return relu(graph_conv(x, edges, of({1, 3, 4, 16}),
                                       {.normalize = one_in(2), .self_loops = one_in(2)}));
        }
    }

    // ---- Maps ----

    void grow_map() {
        if (maps_.empty()) return;
        const Tensor x = pick(maps_);
        if (one_in(4)) return attempt(maps_, [&] { return rearranged(x); });
        switch (below(27)) {
            case 25:
            case 26:
                return attempt(maps_, [&] { return local(x); });
            case 21:
                return attempt(maps_, [&] { return composite(x); });
            case 22:
                return attempt(maps_, [&] { return neighbours(x); });
            case 23:
            case 24:
                return attempt(maps_, [&] { return bent(x); });
            case 19:
                return attempt(maps_, [&] { return over_axes(x); });
            case 20:
                return attempt(maps_, [&] { return gated(x); });
            case 0:
            case 1:
                return pool(x);
            case 2:
                return attempt(maps_, [&] { return relu(x); });
            case 3:
            case 4:
                return pointwise(maps_, x);
            case 5:
            case 6:
                return attempt(maps_, [&] { return normalized(x); });
            case 7:
            case 8:
                return join(maps_, x);
            case 9:
                return attempt(maps_, [&] { return raw(x); });
            case 10:
                return attempt(maps_, [&] { return shared(x, "conv2d", 4); });
            case 11:
                return reshape_map(x);
            case 12:
            case 13:
                return block(x);
            default:
                return convolve(x);
        }
    }

    Padding padding_for(Size kernel) {
        switch (below(5)) {
            case 0:
                return valid;
            case 1:
                return Padding(below(kernel.h), below(kernel.h), below(kernel.w), below(kernel.w));
            case 2:
                return Padding(below(kernel.h + 2), below(kernel.w + 2));
            default:
                return same;
        }
    }

    // As many groups as channels, or fewer.
    Tensor grouped(const Tensor& x, ConvOptions options) {
        const int c = static_cast<int>(x.shape()[0]), multiplier = of({1, 1, 1, 2, 3});
        options.groups = one_in(2) ? c : divisor_of(c);
        return conv(x, options.groups * multiplier, options);
    }

    void convolve(const Tensor& x) {
        attempt(maps_, [&] {
            ConvOptions options;
            options.kernel =
                is_wide_ ? Size(of({3, 3, 3, 5, 1})) : size_of({1, 1, 2, 3, 3, 4, 5, 7});
            if (one_in(is_wide_ ? 8 : 3)) options.stride = size_of({1, 2, 2, 3, 4, 5, 6});
            if (one_in(6)) options.dilation = size_of({1, 2, 3});
            const Size reach((options.kernel.h - 1) * options.dilation.h + 1,
                             (options.kernel.w - 1) * options.dilation.w + 1);
            options.padding = padding_for(reach);
            if (one_in(8)) options.border = any_border();
            options.flip = one_in(12);
            options.bias = !one_in(3);
            options.untied_bias = one_in(12);
            if (one_in(5)) return grouped(x, options);
            return conv(x, channels(), options);
        });
    }

    // Layers whose filter is another one at each position, reads between cells, or has a table.
    Tensor local(const Tensor& x) {
        const auto c = static_cast<int>(x.shape()[0]);
        const Size kernel = size_of({1, 2, 3}), stride = one_in(3) ? size_of({1, 2, 3}) : Size(1);
        switch (below(4)) {
            case 0:
                return locally_connected(x, channels(),
                                         {.kernel = kernel,
                                          .stride = stride,
                                          .padding = padding_for(kernel),
                                          .bias = one_in(2)});
            case 1: {
                std::vector<std::vector<int>> table(static_cast<size_t>(1 + below(6)));
                for (std::vector<int>& filter : table) {
                    for (int channel = 0; channel < c; channel++) {
                        if (one_in(2)) filter.push_back(channel);
                    }
                }
                return conv(x, static_cast<int>(table.size()),
                            {.kernel = kernel,
                             .stride = stride,
                             .padding = same,
                             .flip = one_in(4),
                             .connections = table});
            }
            default:
                return deform_conv(x, channels(),
                                   {.kernel = kernel,
                                    .stride = stride,
                                    .padding = padding_for(kernel),
                                    .offsets = of({Offsets::per_position, Offsets::per_tap}),
                                    .modulated = one_in(2),
                                    .offset_groups = one_in(3) ? divisor_of(c) : 1});
        }
    }

    void pool(const Tensor& x) {
        attempt(maps_, [&] {
            PoolOptions options;
            options.window = size_of({1, 2, 2, 2, 3, 3, 4, 5, 6, 8});
            if (one_in(2)) options.stride = size_of({1, 1, 2, 3, 4, 6});
            if (one_in(2)) options.padding = padding_for(options.window);
            if (one_in(8)) options.border = any_border();
            options.round_up = one_in(3);
            options.count_padding = one_in(3);
            if (one_in(8)) return subsample(x, {.window = options.window});
            return one_in(2) ? max_pool(x, options) : average_pool(x, options);
        });
    }

    // ---- Values in other places ----

    Border any_border() {
        return of({Border::zeros(), Border::constant(0.5), Border::reflect(), Border::symmetric(),
                   Border::replicate()});
    }

    Tensor rearranged(const Tensor& x) {
        switch (below(14)) {
            case 13:
                return one_in(2) ? pixel_shuffle(x, 2) : pixel_unshuffle(x, of({1, 2, 3}));
            case 12:
                return unpooled(x);
            case 0:
                return pad(x, {below(3), below(2), below(3), below(2)}, {.border = any_border()});
            case 1:
                return crop(x, {below(2), below(3), below(2), below(3)});
            case 2:
                return slice(x, {.axis = below(3), .begin = below(3), .step = of({1, 1, 2, 3})});
            case 3:
                return concatenate({x, relu(x)}, {.axis = 1 + below(2)});
            case 4:
                return transpose(
                    x, one_in(2) ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{2, 0, 1});
            case 5:
                return channel_shuffle(x, of({2, 2, 3, 4}));
            case 6:
                return flip(x, {below(3)});
            case 7:
                return upsampled(x);
            case 8: {
                const std::vector<Tensor> halves = split(x, 2, {.axis = below(3)});
                return one_in(2) ? halves[0] - halves[1] : halves[1];
            }
            case 9:
                return deepened(x);
            default:
                return transposed(x);
        }
    }

    Tensor unpooled(const Tensor& x) {
        const Size window = size_of({1, 2, 2, 3});
        const IndexedPool pooled =
            max_pool_with_indices(x, {.window = window, .stride = size_of({1, 2, 2})});
        return max_unpool(emulsion::tanh(pooled.value), pooled);
    }

    Tensor upsampled(const Tensor& x) {
        UpsampleOptions options;
        options.mode = of({Interpolation::nearest, Interpolation::bilinear});
        if (one_in(2)) {
            options.factor = size_of({1, 2, 2, 3});
        } else {
            options.size = size_of({1, 2, 5, 7, 9});
        }
        return upsample(x, options);
    }

    // Work on the positions as one axis, or as three.
    Tensor deepened(const Tensor& x) {
        const std::vector<int64_t> shape = x.shape();
        const std::vector<int64_t> other =
            one_in(2) ? std::vector<int64_t>{shape[0], -1}
                      : std::vector<int64_t>{shape[1], shape[0], 1, shape[2]};
        return reshape(emulsion::tanh(reshape(x, other)), shape);
    }

    Tensor transposed(const Tensor& x) {
        ConvTransposeOptions options;
        options.kernel = is_wide_ ? Size(of({2, 3, 4})) : size_of({1, 2, 3, 3, 4, 5});
        options.stride = size_of({1, 2, 2, 3});
        if (one_in(6)) options.dilation = size_of({1, 2});
        switch (below(3)) {
            case 0:
                options.padding = same;
                break;
            case 1:
                options.padding = {below(2), below(2)};
                options.output_padding = {below(options.stride.h), below(options.stride.w)};
                break;
            default:
                break;
        }
        options.bias = !one_in(3);
        const int groups = one_in(4) ? static_cast<int>(x.shape()[0]) : 1;
        options.groups = groups;
        return conv_transpose(x, groups > 1 ? groups * of({1, 2}) : channels(), options);
    }

    // What is often fused: a convolution, then some of batch norm, activation and pooling.
    void block(const Tensor& x) {
        const size_t before = maps_.size();
        convolve(x);
        if (maps_.size() == before) return;
        if (one_in(2)) attempt(maps_, [&] { return normalized(maps_.back()); });
        if (!one_in(3)) pointwise(maps_, maps_.back());
        if (one_in(2)) pool(maps_.back());
    }

    void reshape_map(const Tensor& x) {
        attempt(maps_, [&] {
            const std::vector<int64_t> from = x.shape();
            const std::vector<int64_t> to =
                one_in(2) ? std::vector<int64_t>{from[1], from[0], from[2]}
                          : std::vector<int64_t>{from[0] * from[1], 1, from[2]};
            return reshape(x, to);
        });
    }

    // ---- Maps or features ----

    Tensor normalized(const Tensor& x) {
        if (one_in(4)) {
            const int c = static_cast<int>(x.shape()[0]);
            return one_in(2) ? layer_norm(x, {.epsilon = 1e-2})
                             : group_norm(x, divisor_of(c), {.epsilon = 1e-2});
        }
        BatchNormOptions options;
        options.epsilon = of({1e-2, 1e-3});
        options.momentum = of({0.1, 0.25});
        options.unbiased = !one_in(3);
        return batch_norm(x, options);
    }

    int divisor_of(int count) {
        std::vector<int> divisors;
        for (int i = 1; i <= count; i++) {
            if (count % i == 0) divisors.push_back(i);
        }
        return divisors[static_cast<size_t>(below(static_cast<int>(divisors.size())))];
    }

    // Layers made of others.
    Tensor composite(const Tensor& x) {
        const int c = static_cast<int>(x.shape()[0]);
        switch (below(3)) {
            case 0:
                return squeeze_excitation(x, {.units = 1 + below(3)});
            case 1:
                return highway(x, conv(x, c, {.padding = same, .activation = relu}),
                               {.kernel = of({1, 3}), .bias = of({-1.0, 0.5})});
            default:
                return maxout(x, channels(), {.pieces = of({2, 3}), .kernel = of({1, 3})});
        }
    }

    Tensor neighbours(const Tensor& x) {
        return local_response_norm(x, {.size = of({1, 3, 4, 5}),
                                       .alpha = of({0.1, 1.0}),
                                       .beta = of({0.75, 0.5, 0.6}),
                                       .k = of({1.0, 2.0}),
                                       .average = one_in(2)});
    }

    // Elementwise functions, where they have a derivative that single precision holds, and tensors
    // of the model's own.
    Tensor bent(const Tensor& x) {
        const std::vector<int64_t> shape = x.shape();
        switch (below(16)) {
            case 0:
                return elu(x, {.alpha = of({1.0, 0.5})});
            case 1:
                return silu(x);
            case 2:
                return hard_sigmoid(x);
            case 3:
                return hard_swish(x);
            case 4:
                return softplus(x);
            case 5:
                return gelu(x, {.approximate = one_in(2)});
            case 6:
                return prelu(x, {.shared = one_in(2)});
            case 7:
                return emulsion::exp(emulsion::tanh(x)) - 1;
            case 8:
                return emulsion::log(1.5 + emulsion::abs(x));
            case 9:
                return emulsion::sqrt(x * x + 0.5) * 0.5;
            case 10:
                return x / (1 + emulsion::abs(x));
            case 11:
                return emulsion::pow(1 + x * x, of({-0.5, 0.75, 0.3})) + 1 / (2 + x * x);
            case 12:
                return one_in(2) ? clip(x, -0.7, 1.1) : lecun_tanh(x);
            case 13:
                return one_in(2) ? gaussian_noise(x, {.deviation = 0.2})
                                 : spatial_dropout(x, {.rate = 0.25});
            case 14:
                return x * model_.parameter(
                               "",
                               one_in(2) ? std::vector<int64_t>{} : std::vector<int64_t>{shape[0]},
                               Init::ones());
            default:
                return x + model_.parameter("", shape, Init::normal(0.5));
        }
    }

    void pointwise(std::vector<Tensor>& tensors, const Tensor& x) {
        if (one_in(4)) return attempt(tensors, [&] { return bent(x); });
        attempt(tensors, [&] {
            switch (below(7)) {
                case 0:
                    return leaky_relu(x, {.slope = 0.1});
                case 1:
                    return emulsion::tanh(x);
                case 2:
                    return sigmoid(x);
                case 3:
                    return scale(x, of({0.5, -1.0, 3.0}));
                case 4:
                    return dropout(x, {.rate = of({0.0, 0.25, 0.5})});
                default:
                    return relu(x);
            }
        });
    }

    // A sum or a mean, of some axes at least.
    Tensor over_axes(const Tensor& x) {
        std::vector<int64_t> axes;
        for (int64_t axis = 0; axis < static_cast<int64_t>(x.shape().size()); axis++) {
            if (one_in(2)) axes.push_back(axis);
        }
        if (axes.empty()) axes = {0};
        return one_in(3) ? scale(sum(x, axes), 0.1) : mean(x, axes);
    }

    // x times a factor for some of its axes, or for its channels after a layer of their own.
    Tensor gated(const Tensor& x) {
        if (one_in(2)) return x * sigmoid(over_axes(x));
        const int64_t count = x.shape()[0];
        const Tensor all = dense(flatten(mean(x, {1, 2})), static_cast<int>(count));
        return x * reshape(sigmoid(all), {count, 1, 1});
    }

    // Two values of one shape, or with extents of 1, or beside each other.
    void join(std::vector<Tensor>& tensors, const Tensor& x) {
        std::vector<Tensor> equal, beside;
        for (const Tensor& other : tensors) {
            std::vector<int64_t> shape = other.shape();
            if (go_together(shape, x.shape())) equal.push_back(other);
            shape[0] = x.shape()[0];
            if (shape == x.shape()) beside.push_back(other);
        }
        const Tensor with = equal[static_cast<size_t>(below(static_cast<int>(equal.size())))];
        const Tensor next = beside[static_cast<size_t>(below(static_cast<int>(beside.size())))];
        attempt(tensors, [&] {
            switch (below(6)) {
                case 5:
                    return one_in(2) ? maximum(x, with) : minimum(x, with);
                case 0:
                    return x * with;
                case 1:
                    return x - with;
                case 2:
                    if (one_in(2)) return side_by_side(x);
                    return one_in(3) ? concatenate({x, next, x}) : concatenate({next, x});
                default:
                    return x + with;
            }
        });
    }

    // What several layers make of x, and maybe more of all that.
    Tensor side_by_side(const Tensor& x) {
        const auto layer = [&](const Tensor& from) {
            if (from.shape().size() != 3) return dense(from, 1 + below(20));
            const int kernel = of({1, 3});
            return conv(from, channels(), {.kernel = kernel, .padding = same});
        };
        const Tensor both =
            concatenate({relu(layer(x)), one_in(2) ? emulsion::tanh(layer(x)) : layer(x)});
        const Tensor all = one_in(2) ? concatenate({both, layer(both)}) : both;
        return one_in(3) ? all : emulsion::tanh(all);
    }

    static bool go_together(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
        return std::ranges::equal(a, b,
                                  [](int64_t m, int64_t n) { return m == n || m == 1 || n == 1; });
    }

    // Ops that a .emu file can name and the DSL does not.
    Tensor raw(const Tensor& x) {
        return internal::write_layer(
            "raw", "", {x}, Place::current(), [&](Layer& layer, const std::vector<Value>& in) {
                const int64_t count = layer.type(in[0]).shape[0];
                if (count == 1 || one_in(3)) return layer.add("", "negate", in);
                const int64_t begin = below(static_cast<int>(count));
                return layer.add("", "slice", in,
                                 {{"begin", begin},
                                  {"count", int64_t{1} + below(static_cast<int>(count - begin))}});
            });
    }

    // A layer on the weights of an earlier one that fit.
    Tensor shared(const Tensor& x, const std::string& kind, size_t rank) {
        return internal::write_layer(
            "shared", "", {x}, Place::current(), [&](Layer& layer, const std::vector<Value>& in) {
                const Graph& graph = layer.model().builder.graph();
                std::vector<Value> weights;
                for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
                    if (graph.op_as<Parameter>(i) == nullptr) continue;
                    const std::vector<int64_t>& shape = graph.type({i, 0}).shape;
                    if (shape.size() == rank && shape[1] == layer.type(in[0]).shape[0])
                        weights.push_back({i, 0});
                }
                if (weights.empty()) layer.refuse("shared", "no weights fit", "take others");
                const Value w =
                    weights[static_cast<size_t>(below(static_cast<int>(weights.size())))];
                const std::vector<int64_t> shape = layer.type(w).shape;
                if (rank != 4) return layer.add("", kind, {in[0], w});
                const std::vector<int64_t> padding = {shape[2] / 2, shape[2] / 2, shape[3] / 2,
                                                      shape[3] / 2};
                return layer.add("", kind, {in[0], w}, {{"padding", padding}});
            });
    }

    // ---- Features ----

    void add_features() {
        if (!maps_.empty()) {
            const Tensor x = maps_.back();
            vectors_.push_back(one_in(3)   ? global_average_pool(x)
                               : one_in(6) ? global_max_pool(x)
                                           : flatten(x));
            if (one_in(4)) vectors_.push_back(flatten(pick(maps_)));
        }
        const int layers = below(4);
        for (int i = 0; i < layers; i++) grow_vector();
    }

    void grow_vector() {
        const Tensor x = pick(vectors_);
        switch (below(11)) {
            case 10:
                return attempt(vectors_, [&] { return x - over_axes(x); });
            case 0:
                return attempt(vectors_, [&] { return normalized(x); });
            case 1:
                return pointwise(vectors_, x);
            case 2:
                return join(vectors_, x);
            case 3:
                return attempt(vectors_, [&] { return softmax(x); });
            case 4:
                return attempt(vectors_, [&] { return shared(x, "dense", 2); });
            case 5:
                return attempt(vectors_, [&] { return raw(x); });
            default:
                attempt(vectors_, [&] { return dense(x, channels(), {.bias = !one_in(3)}); });
                if (one_in(3)) attempt(vectors_, [&] { return normalized(vectors_.back()); });
                if (one_in(2)) pointwise(vectors_, vectors_.back());
        }
    }

    // ---- The end ----

    void add_heads() {
        const int heads = one_in(3) ? 2 : 1;
        for (int i = 0; i < heads; i++) add_head(i);
        if (one_in(4)) {
            const bool is_map = !maps_.empty() && one_in(2);
            model_.loss(pick(is_map ? maps_ : vectors_), {.weight = 0.1});
        }
        if (one_in(4)) model_.output("features", pick(vectors_));
        if (one_in(4) && !maps_.empty()) model_.output("map", pick(maps_));
        if (state().outputs.empty()) model_.output("features", vectors_.back());
    }

    void add_head(int index) {
        const std::string name = index > 0 || one_in(4) ? "head" + std::to_string(index) : "";
        const double weight = one_in(3) ? 0.5 : 1.0;
        // The first head has weights to train.
        const bool is_first = index == 0;
        const Tensor x =
            is_first ? dense(pick(vectors_), of({2, 3, 5, 10, 17, 33})) : pick(vectors_);
        const std::string target = "target" + std::to_string(index);
        switch (below(9)) {
            case 6:
                return one_in(2)
                           ? model_.binary_cross_entropy(
                                 x, {.target = target, .weight = weight, .name = name})
                           : model_.huber(x, {.target = target, .weight = weight, .name = name});
            case 7:
                return model_.hinge(
                    x, {.target = target, .squared = one_in(2), .weight = weight, .name = name});
            case 8:
                return model_.multi_margin(dense(x, of({2, 3, 10})),
                                           {.label = "label" + std::to_string(index),
                                            .squared = one_in(2),
                                            .weight = weight,
                                            .name = name});
            case 0: {
                const bool is_map = !is_first && !maps_.empty() && one_in(3);
                return model_.mean_squared_error(is_map ? maps_.back() : x,
                                                 {.target = "target" + std::to_string(index),
                                                  .half_sum = one_in(2),
                                                  .weight = weight,
                                                  .name = name});
            }
            case 1:
                return model_.loss(!is_first && !maps_.empty() && one_in(2) ? pick(maps_) : x,
                                   {.weight = weight});
            default:
                return model_.classify(
                    dense(x, of({2, 3, 5, 10, 17, 33})),
                    {.label = "label" + std::to_string(index), .weight = weight, .name = name});
        }
    }

    void add_settings() {
        if (one_in(3)) {
            model_.optimizer(
                adam({.beta1 = of({0.9, 0.5}),
                      .epsilon = of({1e-8, 1e-4}),
                      .form = of({AdamForm::outside, AdamForm::inside, AdamForm::keras}),
                      .weight_decay = of({0.0, 0.01}),
                      .decoupled = one_in(2),
                      .bias_correction = !one_in(4)}));
        } else if (one_in(3)) {
            model_.optimizer(one_in(2) ? rmsprop({.momentum = of({0.0, 0.9})})
                                       : adagrad({.epsilon = 1e-3}));
        } else {
            const double momentum = of({0.0, 0.9, 0.5});
            model_.optimizer(sgd({.momentum = momentum,
                                  .nesterov = momentum > 0 && one_in(3),
                                  .damped = momentum > 0 && one_in(3),
                                  .weight_decay = of({0.0, 0.01}),
                                  .clip_norm = one_in(4) ? 0.5 : 0.0}));
        }
        const std::vector<std::string> names = weights();
        if (names.size() < 2) return;
        const auto any = [&] {
            return names[static_cast<size_t>(below(static_cast<int>(names.size())))];
        };
        if (one_in(3)) {
            const std::string name = any();  // one weight, or its whole layer
            model_.freeze(one_in(2) ? name : name.substr(0, name.rfind('.')));
        }
        if (one_in(4)) model_.no_decay(any());
        if (one_in(4)) model_.learning_rate(any(), 0.5);
    }

    std::vector<std::string> weights() {
        std::vector<std::string> names;
        const Graph& graph = state().builder.graph();
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            if (graph.op_as<Parameter>(i) != nullptr) names.push_back(graph.node(i).name);
        }
        return names;
    }

    std::mt19937_64 random_;
    Model model_;
    bool is_wide_ = false;  // blocks of 16 channels: what Winograd takes
    std::vector<Tensor> maps_, vectors_;
};

}  // namespace

Network random_network(uint64_t seed) {
    return seed >= kOtherAxes ? random_axes_network(seed - kOtherAxes) : RandomModel(seed).build();
}

}  // namespace emulsion::test
