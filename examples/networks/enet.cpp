// ENet for pictures of streets, 512x512, whose pixels are of one of 19 classes: it halves the map
// early, works in bottlenecks of a quarter of the channels, some with long or spread filters, and
// comes back up by putting values where the pooling had found the largest. Settings: size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

// How a bottleneck reads its neighbours.
struct Middle {
    enum class Kind { regular, dilated, asymmetric } kind = Kind::regular;
    int reach = 1;  // the dilation, or the length of the two filters
};

Tensor norm_prelu(Tensor x) { return prelu(batch_norm(x)); }

Tensor project(Tensor x, int width) {
    return batch_norm(conv(x, width, {.kernel = 1, .bias = false}));
}

Tensor convolve(Tensor x, int width, const Middle& middle) {
    if (middle.kind == Middle::Kind::asymmetric) {
        const int n = middle.reach;
        x = conv(x, width, {.kernel = {n, 1}, .padding = same, .bias = false});
        return conv(x, width, {.kernel = {1, n}, .padding = same});
    }
    return conv(x, width, {.dilation = middle.reach, .padding = same});
}

// x and a quarter as wide body added; `dropped` is the share of the body's channels.
Tensor bottleneck(Tensor x, double dropped, const Middle& middle = {}) {
    const int width = channels_of(x);
    Tensor y = prelu(project(x, width / 4));
    y = norm_prelu(convolve(y, width / 4, middle));
    return prelu(x + spatial_dropout(project(y, width), {.rate = dropped}));
}

// To a map half as large with more channels, which beside the body are zero.
Tensor halve(Tensor x, const IndexedPool& pooled, int width, double dropped) {
    Tensor y = norm_prelu(conv(x, width / 4, {.kernel = 2, .stride = 2, .bias = false}));
    y = norm_prelu(convolve(y, width / 4, {}));
    y = spatial_dropout(project(y, width), {.rate = dropped});
    std::vector<Tensor> channels = {pooled.value};
    for (int there = channels_of(x); there < width; there += channels_of(x))
        channels.push_back(scale(pooled.value, 0));
    return prelu(concatenate(channels) + y);
}

// To a map twice as large, by the indices of the pooling that halved it.
Tensor double_up(Tensor x, const IndexedPool& pooled, int width) {
    Tensor y = relu(project(x, channels_of(x) / 4));
    y = conv_transpose(y, channels_of(y), {.stride = 2, .padding = same});
    y = spatial_dropout(project(relu(batch_norm(y)), width), {.rate = 0.1});
    return relu(max_unpool(project(x, width), pooled) + y);
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 512), classes = settings.integer("classes", 19);
    const auto dilated = [](int reach) { return Middle{Middle::Kind::dilated, reach}; };
    const Middle long_filters = {Middle::Kind::asymmetric, 5};

    Model m("enet");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    Tensor first = conv(x, 13, {.stride = 2, .padding = 1, .bias = false});
    x = norm_prelu(concatenate({first, max_pool(x)}));
    const IndexedPool first_pool = max_pool_with_indices(x);
    x = halve(x, first_pool, 64, 0.01);
    for (int i = 0; i < 4; i++) x = bottleneck(x, 0.01);
    const IndexedPool second_pool = max_pool_with_indices(x);
    x = halve(x, second_pool, 128, 0.1);
    for (int i = 0; i < 2; i++) {
        for (const Middle& middle : {Middle(), dilated(2), long_filters, dilated(4), Middle(),
                                     dilated(8), long_filters, dilated(16)})
            x = bottleneck(x, 0.1, middle);
    }
    x = double_up(x, second_pool, 64);
    for (int i = 0; i < 2; i++) x = bottleneck(x, 0.1);
    x = bottleneck(double_up(x, first_pool, 16), 0.1);
    m.classify(conv_transpose(x, classes, {.kernel = 2, .stride = 2}));
    m.optimizer(adam({.learning_rate = 5e-4, .weight_decay = 2e-4}));
    return compile(m, settings);
}
