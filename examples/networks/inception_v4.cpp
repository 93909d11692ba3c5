// Inception v4 for photographs of 299x299 in a thousand classes: a branched stem, then four, seven
// and three modules of one kind each, with one that halves the map between them. Settings: size,
// classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

constexpr bool kCuts = true;

Tensor stem(Tensor x) {
    x = chain(x, {{32, 3, 2, kCuts}, {32, 3, 1, kCuts}, {64, 3}});
    x = concatenate({overlapping_pool(x), chain(x, {{96, 3, 2, kCuts}})});
    x = concatenate({chain(x, {{64}, {96, 3, 1, kCuts}}),
                     chain(x, {{64}, {64, {1, 7}}, {64, {7, 1}}, {96, 3, 1, kCuts}})});
    return concatenate({chain(x, {{192, 3, 2, kCuts}}), overlapping_pool(x)});
}

// Maps of 35x35
Tensor module_a(Tensor x) {
    return concatenate({chain(average_around(x), {{96}}), chain(x, {{96}}),
                        chain(x, {{64}, {96, 3}}), chain(x, {{64}, {96, 3}, {96, 3}})});
}

// Maps of 17x17
Tensor module_b(Tensor x) {
    return concatenate(
        {chain(average_around(x), {{128}}), chain(x, {{384}}),
         chain(x, {{192}, {224, {1, 7}}, {256, {7, 1}}}),
         chain(x, {{192}, {192, {7, 1}}, {224, {1, 7}}, {224, {7, 1}}, {256, {1, 7}}})});
}

// Maps of 8x8; two branches end in a 1x3 and a 3x1 side by side.
Tensor module_c(Tensor x) {
    Tensor short_branch = chain(x, {{384}});
    Tensor long_branch = chain(x, {{384}, {448, {3, 1}}, {512, {1, 3}}});
    return concatenate({chain(average_around(x), {{256}}), chain(x, {{256}}),
                        chain(short_branch, {{256, {1, 3}}}), chain(short_branch, {{256, {3, 1}}}),
                        chain(long_branch, {{256, {1, 3}}}), chain(long_branch, {{256, {3, 1}}})});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 299);

    Model m("inception_v4");
    Tensor x = stem(m.input("image", {3, size, size}));  // channels, height, width
    for (int i = 0; i < 4; i++) x = module_a(x);
    x = concatenate({overlapping_pool(x), chain(x, {{384, 3, 2, kCuts}}),
                     chain(x, {{192}, {224, 3}, {256, 3, 2, kCuts}})});
    for (int i = 0; i < 7; i++) x = module_b(x);
    x = concatenate({overlapping_pool(x), chain(x, {{192}, {192, 3, 2, kCuts}}),
                     chain(x, {{256}, {256, {1, 7}}, {320, {7, 1}}, {320, 3, 2, kCuts}})});
    for (int i = 0; i < 3; i++) x = module_c(x);
    x = dropout(global_average_pool(x), {.rate = 0.2});
    m.classify(dense(x, settings.integer("classes", 1000)), {.label_smoothing = 0.1});
    m.optimizer(rmsprop({.learning_rate = 0.045, .rho = 0.9, .epsilon = 1}));
    return compile(m, settings);
}
