// Classifies each voxel of a small volume: dark, light, or not counted.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("voxels");
    const Tensor x = relu(conv(m.input("scan", {1, 3, 4, 5}), 4, {.padding = same}));
    m.classify(conv(x, 2, {.kernel = 1}), {.ignored = 255});
    m.optimizer(adam({.learning_rate = 0.05}));
    return compile(m, argc, argv);
}
