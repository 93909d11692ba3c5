// Each function is written as a user writes a layer of a paper, and named as in
// tests/reference/unknown_layers.py. Nothing here reaches into the compiler.
#include "tests/reference/unknown_layer_cases.h"

namespace emulsion::test {

namespace {

using T = const Tensor&;
using N = const std::string&;

// The layer NAME.PART, of padding that keeps the size.
Tensor convolved(T x, N name, int filters, Size kernel = 1) {
    return conv(x, filters, {.kernel = kernel, .padding = same, .name = name});
}

Tensor depthwise(T x, N name, Size kernel = 3) {
    return depthwise_conv(x, {.kernel = kernel, .padding = same, .name = name});
}

Tensor dense_layer(T x, N name, int units) { return dense(x, units, {.name = name}); }

// Means of maps as features (C).
Tensor means(T x) { return global_average_pool(x); }

int64_t positions_of(T x) { return x.shape()[1] * x.shape()[2]; }

// Channels {C, H, W} as a factor {C, 1, 1} of any map.
Tensor as_factor(T features) { return reshape(features, {-1, 1, 1}); }

// ---- Attention between positions ----

// Maps as (C, positions, 1): of rows in a product of matrices, which sums over the channels.
Tensor in_rows(T x) { return reshape(x, {x.shape()[0], positions_of(x), 1}); }
Tensor in_columns(T x) { return reshape(x, {x.shape()[0], 1, positions_of(x)}); }

// For each position of q the mean of v, weighed by how well k fits: (C, positions, 1).
Tensor attended(T q, T k, T v, double factor) {
    const Tensor fits = factor * sum(in_columns(q) * in_rows(k), {0});  // (1, of k, of q)
    const Tensor shares = transpose(softmax(transpose(fits, {1, 0, 2})), {1, 2, 0});
    return sum(in_columns(v) * shares, {2});  // shares: (1, of q, of k)
}

Tensor self_attention(Model&, T x, N name) {
    const Tensor q = convolved(x, name + ".q", 4), k = convolved(x, name + ".k", 4),
                 v = convolved(x, name + ".v", 4);
    return x + reshape(attended(q, k, v, 0.5), x.shape());
}

Tensor multi_head_attention(Model&, T x, N name) {
    const std::vector<Tensor> q = split(convolved(x, name + ".q", 4), 2),
                              k = split(convolved(x, name + ".k", 4), 2),
                              v = split(convolved(x, name + ".v", 4), 2);
    const Tensor both =
        concatenate({attended(q[0], k[0], v[0], 0.7), attended(q[1], k[1], v[1], 0.7)});
    return convolved(reshape(both, x.shape()), name + ".out", 4);
}

Tensor non_local(Model&, T x, N name) {
    const Tensor q = convolved(x, name + ".theta", 2), k = convolved(x, name + ".phi", 2),
                 v = convolved(x, name + ".g", 2);
    return x + convolved(reshape(attended(q, k, v, 1), q.shape()), name + ".out", 4);
}

// Softmax over the positions of each channel.
Tensor softmax_of_positions(T x) {
    const Tensor flat = reshape(x, {x.shape()[0], positions_of(x), 1});
    return transpose(softmax(transpose(flat, {1, 0, 2})), {1, 0, 2});
}

Tensor linear_attention(Model&, T x, N name) {
    const Tensor q = convolved(x, name + ".q", 3), k = convolved(x, name + ".k", 3),
                 v = convolved(x, name + ".v", 3);
    const int64_t positions = positions_of(x);
    const Tensor keys = reshape(softmax_of_positions(k), {3, 1, positions});
    const Tensor values = reshape(v, {1, 3, positions});
    const Tensor context = sum(keys * values, {2});  // (key, value, 1)
    const Tensor queries = reshape(softmax(q), {3, 1, positions});
    return reshape(sum(context * queries, {0}), x.shape());
}

Tensor global_context(Model&, T x, N name) {
    const Tensor mask = softmax_of_positions(convolved(x, name + ".mask", 1));
    const Tensor context = flatten(sum(in_rows(x) * mask, {1}));
    const Tensor s = relu(dense_layer(context, name + ".squeeze", 2));
    return x + as_factor(dense_layer(s, name + ".excite", 4));
}

// ---- Attention to channels and places ----

Tensor squeeze_excite(Model&, T x, N name) {
    const Tensor s = relu(dense_layer(means(x), name + ".squeeze", 2));
    return x * as_factor(sigmoid(dense_layer(s, name + ".excite", 6)));
}

Tensor scse(Model& m, T x, N name) {
    return squeeze_excite(m, x, name) + x * sigmoid(convolved(x, name + ".place", 1));
}

Tensor gather_excite(Model&, T x, N) { return x * sigmoid(upsample(average_pool(x))); }

Tensor eca(Model&, T x, N name) {
    const Tensor row = reshape(means(x), {1, -1, 1});
    const Tensor across =
        conv(row, 1, {.kernel = {3, 1}, .padding = same, .bias = false, .name = name + ".across"});
    return x * sigmoid(reshape(across, {-1, 1, 1}));
}

// The largest channel of each position (1, H, W): of a picture whose rows are the channels.
Tensor largest_channel(T x) {
    const std::vector<int64_t> shape = x.shape();
    const Tensor rows = reshape(x, {1, shape[0], shape[1] * shape[2]});
    return reshape(max_pool(rows, {.window = {static_cast<int>(shape[0]), 1}}),
                   {1, shape[1], shape[2]});
}

Tensor cbam(Model&, T x, N name) {
    // Two positions share the layers: the means and the largest.
    const Tensor pooled =
        concatenate({as_factor(means(x)), as_factor(global_max_pool(x))}, {.axis = 1});
    const Tensor s = convolved(relu(convolved(pooled, name + ".squeeze", 2)), name + ".excite", 4);
    const Tensor y = x * sigmoid(sum(s, {1}));
    const Tensor places = concatenate({mean(y, {0}), largest_channel(y)});
    return y * sigmoid(convolved(places, name + ".place", 1, 3));
}

Tensor coordinate_attention(Model&, T x, N name) {
    const int64_t height = x.shape()[1];
    const Tensor across = transpose(mean(x, {1}), {0, 2, 1});
    const Tensor both = concatenate({mean(x, {2}), across}, {.axis = 1});
    const Tensor s = hard_swish(convolved(both, name + ".squeeze", 2));
    const Tensor rows = slice(s, {.axis = 1, .end = height});
    const Tensor columns = transpose(slice(s, {.axis = 1, .begin = height}), {0, 2, 1});
    return x * sigmoid(convolved(rows, name + ".rows", 4)) *
           sigmoid(convolved(columns, name + ".columns", 4));
}

Tensor strip_pooling(Model&, T x, N name) {
    const Tensor rows = convolved(mean(x, {2}), name + ".rows", 3, {3, 1});
    const Tensor columns = convolved(mean(x, {1}), name + ".columns", 3, {1, 3});
    return x * sigmoid(convolved(relu(rows + columns), name + ".out", 3));
}

Tensor simam(Model&, T x, N) {
    const Tensor centred = x - mean(x, {1, 2});
    const Tensor square = centred * centred;
    const Tensor variance = sum(square, {1, 2}) / static_cast<double>(positions_of(x) - 1);
    return x * sigmoid(square / (4 * (variance + 1e-4)) + 0.5);
}

Tensor selective_kernel(Model&, T x, N name) {
    const Tensor near = relu(convolved(x, name + ".near", 4, 3));
    const Tensor far = relu(conv(x, 4, {.dilation = 2, .padding = same, .name = name + ".far"}));
    const Tensor s = relu(dense_layer(means(near + far), name + ".squeeze", 2));
    const Tensor both = concatenate(
        {dense_layer(s, name + ".near_share", 4), dense_layer(s, name + ".far_share", 4)});
    const std::vector<Tensor> shares = split(softmax(reshape(both, {2, 4, 1})), 2);
    return near * as_factor(flatten(shares[0])) + far * as_factor(flatten(shares[1]));
}

Tensor film(Model&, T x, N name) {
    const Tensor about = means(x);
    return (1 + as_factor(dense_layer(about, name + ".gamma", 4))) * x +
           as_factor(dense_layer(about, name + ".beta", 4));
}

// ---- Gates and activations ----

Tensor gated_conv(Model&, T x, N name) {
    return elu(convolved(x, name + ".feature", 3, 3)) * sigmoid(convolved(x, name + ".gate", 3, 3));
}

Tensor glu(Model&, T x, N) {
    const std::vector<Tensor> halves = split(x, 2);
    return halves[0] * sigmoid(halves[1]);
}

Tensor geglu(Model&, T x, N name) {
    const std::vector<Tensor> halves = split(dense_layer(x, name + ".in", 6), 2);
    return dense_layer(halves[0] * gelu(halves[1]), name + ".out", 5);
}

Tensor crelu(Model&, T x, N) { return concatenate({relu(x), relu(-x)}); }

Tensor frelu(Model&, T x, N name) { return maximum(x, depthwise(x, name + ".funnel")); }

// ---- Normalisation ----

Tensor normalized_channels(Model& m, T x, N name) {
    const int64_t channels = x.shape()[0];
    const Tensor centred = x - mean(x, {0});
    const Tensor unit = centred / sqrt(mean(centred * centred, {0}) + 1e-6);
    return unit * m.parameter(name + ".gamma", {channels}, Init::ones()) +
           m.parameter(name + ".beta", {channels});
}

Tensor layer_norm_of_positions(Model& m, T x, N name) {
    return normalized_channels(m, x, name + ".norm");
}

Tensor convnext(Model& m, T x, N name) {
    Tensor y = normalized_channels(m, depthwise(x, name + ".depthwise", 7), name + ".norm");
    y = convolved(gelu(convolved(y, name + ".wide", 16)), name + ".narrow", 4);
    return x + m.parameter(name + ".scale", {4}, Init::constant(1e-6)) * y;
}

Tensor rms_norm(Model& m, T x, N name) {
    return x / sqrt(mean(x * x, {0}) + 1e-6) * m.parameter(name + ".gamma", {6}, Init::ones());
}

Tensor global_response_norm(Model& m, T x, N name) {
    const Tensor size = sqrt(sum(x * x, {1, 2}) + 1e-6);
    const Tensor share = size / (mean(size, {0}) + 1e-6);
    return m.parameter(name + ".gamma", {4}) * (x * share) + m.parameter(name + ".beta", {4}) + x;
}

// ---- Convolutions ----

Tensor ghost_module(Model&, T x, N name) {
    const Tensor y = relu(convolved(x, name + ".primary", 3));
    return concatenate({y, relu(depthwise(y, name + ".cheap"))});
}

Tensor inverted_residual(Model&, T x, N name) {
    const Tensor y = relu6(convolved(x, name + ".expand", 6));
    return x + convolved(relu6(depthwise(y, name + ".depthwise")), name + ".project", 3);
}

// The largest of 1, 2x2 and 4x4 parts of a map.
Tensor spatial_pyramid(Model&, T x, N) {
    std::vector<Tensor> bins;
    for (const int parts : {1, 2, 4}) {
        const Size window(static_cast<int>(x.shape()[1]) / parts,
                          static_cast<int>(x.shape()[2]) / parts);
        bins.push_back(flatten(max_pool(x, {.window = window})));
    }
    return concatenate(bins);
}

Tensor aspp(Model&, T x, N name) {
    std::vector<Tensor> branches = {convolved(x, name + ".one", 2)};
    for (const int rate : {2, 3}) {
        branches.push_back(conv(
            x, 2,
            {.dilation = rate, .padding = same, .name = name + ".rate" + std::to_string(rate)}));
    }
    const Tensor picture = convolved(mean(x, {1, 2}), name + ".picture", 2);
    branches.push_back(upsample(
        picture, {.size = {static_cast<int>(x.shape()[1]), static_cast<int>(x.shape()[2])}}));
    return convolved(concatenate(branches), name + ".out", 3);
}

Tensor shuffle_unit(Model&, T x, N name) {
    const std::vector<Tensor> halves = split(x, 2);
    Tensor y = relu(convolved(halves[1], name + ".before", 3));
    y = relu(convolved(depthwise(y, name + ".depthwise"), name + ".after", 3));
    return channel_shuffle(concatenate({halves[0], y}), 2);
}

Tensor res2net(Model&, T x, N name) {
    std::vector<Tensor> parts = split(x, 3);
    parts[1] = relu(convolved(parts[1], name + ".scale0", 2, 3));
    parts[2] = relu(convolved(parts[2] + parts[1], name + ".scale1", 2, 3));
    return concatenate(parts);
}

Tensor conditional_conv(Model&, T x, N name) {
    const std::vector<Tensor> shares =
        split(as_factor(sigmoid(dense_layer(means(x), name + ".route", 2))), 2);
    return shares[0] * convolved(x, name + ".expert0", 3, 3) +
           shares[1] * convolved(x, name + ".expert1", 3, 3);
}

Tensor involution(Model&, T x, N name) {
    const std::vector<Tensor> taps = split(convolved(x, name + ".kernel", 9), 9);
    const Tensor wide = pad(x, 1);
    std::vector<Tensor> moved;
    for (int down = 0; down < 3; down++) {
        for (int across = 0; across < 3; across++)
            moved.push_back(crop(wide, {down, 2 - down, across, 2 - across}) * taps[moved.size()]);
    }
    Tensor y = moved[0];
    for (size_t i = 1; i < moved.size(); i++) y = y + moved[i];
    return y;
}

// Scores are cosines of the angle to a unit's weights.
Tensor cosine_dense(Model& m, T x, N name) {
    const Tensor w = m.parameter(name + ".w", {3, 5, 1}, Init::normal(1));
    const Tensor units = w / sqrt(sum(w * w, {1}) + 1e-6);
    const Tensor direction = x / sqrt(sum(x * x, {0}) + 1e-6);
    return flatten(sum(4 * reshape(direction, {1, 5, 1}) * units, {1}));
}

}  // namespace

const WrittenCases& unknown_layer_cases() {
    static const WrittenCases cases = {
        {"self_attention", {{4, 2, 3}, self_attention, {}}},
        {"multi_head_attention", {{4, 2, 3}, multi_head_attention, {}}},
        {"non_local", {{4, 3, 2}, non_local, {}}},
        {"linear_attention", {{3, 2, 3}, linear_attention, {}}},
        {"global_context", {{4, 2, 3}, global_context, {}}},
        {"squeeze_excite", {{6, 2, 3}, squeeze_excite, {}}},
        {"scse", {{6, 2, 3}, scse, {}}},
        {"gather_excite", {{2, 4, 2}, gather_excite, {}}},
        {"eca", {{5, 2, 3}, eca, {}}},
        {"cbam", {{4, 3, 4}, cbam, {}}},
        {"coordinate_attention", {{4, 2, 3}, coordinate_attention, {}}},
        {"strip_pooling", {{3, 3, 4}, strip_pooling, {}}},
        {"simam", {{2, 3, 3}, simam, {}}},
        {"selective_kernel", {{3, 4, 3}, selective_kernel, {}}},
        {"film", {{4, 2, 3}, film, {}}},
        {"gated_conv", {{2, 4, 3}, gated_conv, {}}},
        {"glu", {{6, 2, 2}, glu, {}}},
        {"geglu", {{5}, geglu, {}}},
        {"crelu", {{3, 2, 2}, crelu, {}}},
        {"frelu", {{3, 3, 4}, frelu, {}}},
        {"layer_norm_of_positions", {{5, 2, 3}, layer_norm_of_positions, {}}},
        {"rms_norm", {{6}, rms_norm, {}}},
        {"global_response_norm", {{4, 3, 2}, global_response_norm, {}}},
        {"convnext", {{4, 4, 5}, convnext, {}}},
        {"ghost_module", {{4, 3, 3}, ghost_module, {}}},
        {"inverted_residual", {{3, 4, 3}, inverted_residual, {}}},
        {"spatial_pyramid", {{2, 4, 8}, spatial_pyramid, {}}},
        {"aspp", {{2, 5, 4}, aspp, {}}},
        {"shuffle_unit", {{6, 3, 3}, shuffle_unit, {}}},
        {"res2net", {{6, 3, 3}, res2net, {}}},
        {"conditional_conv", {{2, 4, 3}, conditional_conv, {}}},
        {"involution", {{2, 3, 4}, involution, {}}},
        {"cosine_dense", {{5}, cosine_dense, {}}},
    };
    return cases;
}

}  // namespace emulsion::test
