// Inception v3 for photographs of 299x299 in a thousand classes: a 7x7 convolution is a 1x7 and a
// 7x1, maps are halved in branches. With `--set auxiliary=true` a second classifier learns from the
// maps of 17x17. Settings: auxiliary, size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

// Maps of 35x35
Tensor module_a(Tensor x, int pooled) {
    return concatenate({chain(x, {{64}}), chain(x, {{48}, {64, 5}}),
                        chain(x, {{64}, {96, 3}, {96, 3}}), chain(average_around(x), {{pooled}})});
}

// Maps of 17x17, with filters as long as that is wide
Tensor module_b(Tensor x, int w) {
    return concatenate({chain(x, {{192}}), chain(x, {{w}, {w, {1, 7}}, {192, {7, 1}}}),
                        chain(x, {{w}, {w, {7, 1}}, {w, {1, 7}}, {w, {7, 1}}, {192, {1, 7}}}),
                        chain(average_around(x), {{192}})});
}

// Maps of 8x8; a branch ends in a 1x3 and a 3x1 side by side.
Tensor module_c(Tensor x) {
    Tensor short_branch = chain(x, {{384}}), long_branch = chain(x, {{448}, {384, 3}});
    return concatenate({chain(x, {{320}}), chain(short_branch, {{384, {1, 3}}}),
                        chain(short_branch, {{384, {3, 1}}}), chain(long_branch, {{384, {1, 3}}}),
                        chain(long_branch, {{384, {3, 1}}}), chain(average_around(x), {{192}})});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 299), classes = settings.integer("classes", 1000);
    const bool cuts = true;

    Model m("inception_v3");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = overlapping_pool(chain(x, {{32, 3, 2, cuts}, {32, 3, 1, cuts}, {64, 3}}));
    x = overlapping_pool(chain(x, {{80}, {192, 3, 1, cuts}}));
    for (int pooled : {32, 64, 64}) x = module_a(x, pooled);
    x = concatenate({chain(x, {{384, 3, 2, cuts}}), chain(x, {{64}, {96, 3}, {96, 3, 2, cuts}}),
                     overlapping_pool(x)});
    for (int width : {128, 160, 160, 192}) x = module_b(x, width);
    if (settings.boolean("auxiliary", false)) {
        Tensor y = chain(average_pool(x, {.window = 5, .stride = 3}), {{128}, {768, 5, 1, cuts}});
        m.classify(dense(global_average_pool(y), classes), {.weight = 0.4, .name = "auxiliary"});
    }
    x = concatenate({chain(x, {{192}, {320, 3, 2, cuts}}),
                     chain(x, {{192}, {192, {1, 7}}, {192, {7, 1}}, {192, 3, 2, cuts}}),
                     overlapping_pool(x)});
    x = module_c(module_c(x));
    m.classify(dense(dropout(global_average_pool(x)), classes), {.label_smoothing = 0.1});
    m.optimizer(rmsprop({.learning_rate = 0.045, .rho = 0.9, .epsilon = 1, .clip_norm = 2}));
    return compile(m, settings);
}
