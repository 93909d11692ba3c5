// Inception v2 for photographs of 224x224 in a thousand classes: GoogLeNet with batch norm, and two
// 3x3 convolutions in place of a 5x5. Settings: size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

// Widths of the branches: 1x1, 3x3, two 3x3, and behind the mean around each cell.
struct Widths {
    int one, three_from, three, twice_from, twice, pooled;
};

Tensor inception(Tensor x, const Widths& w) {
    return concatenate({chain(x, {{w.one}}), chain(x, {{w.three_from}, {w.three, 3}}),
                        chain(x, {{w.twice_from}, {w.twice, 3}, {w.twice, 3}}),
                        chain(average_around(x), {{w.pooled}})});
}

// Halves the map; the fourth branch is the maximum, as it is.
Tensor halve(Tensor x, const Widths& w) {
    return concatenate({chain(x, {{w.three_from}, {w.three, 3, 2}}),
                        chain(x, {{w.twice_from}, {w.twice, 3}, {w.twice, 3, 2}}),
                        overlapping_pool(x, 1)});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 224);

    Model m("inception_v2");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = overlapping_pool(chain(x, {{64, 7, 2}}), 1);
    x = overlapping_pool(chain(x, {{64}, {192, 3}}), 1);
    x = inception(x, {64, 64, 64, 64, 96, 32});
    x = inception(x, {64, 64, 96, 64, 96, 64});
    x = halve(x, {0, 128, 160, 64, 96, 0});
    x = inception(x, {224, 64, 96, 96, 128, 128});
    x = inception(x, {192, 96, 128, 96, 128, 128});
    x = inception(x, {160, 128, 160, 128, 160, 128});
    x = inception(x, {96, 128, 192, 160, 192, 128});
    x = halve(x, {0, 128, 192, 192, 256, 0});
    x = inception(x, {352, 192, 320, 160, 224, 128});
    x = concatenate({chain(x, {{352}}), chain(x, {{192}, {320, 3}}),
                     chain(x, {{192}, {224, 3}, {224, 3}}),
                     chain(max_pool(x, {.window = 3, .stride = 1, .padding = 1}), {{128}})});
    m.classify(dense(global_average_pool(x), settings.integer("classes", 1000)));
    m.optimizer(sgd({.learning_rate = 0.045, .momentum = 0.9}));
    return compile(m, settings);
}
