// SqueezeNet 1.0 for photographs of 224x224 in a thousand classes: a wide 7x7 convolution in front
// of fire modules, which are pooled later than in 1.1. Settings: size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

Tensor pool(Tensor x) { return max_pool(x, {.window = 3, .stride = 2, .round_up = true}); }

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 224);

    Model m("squeezenet1_0");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = pool(relu(conv(x, 96, {.kernel = 7, .stride = 2})));
    x = fire(fire(fire(x, 16, 64), 16, 64), 32, 128);
    x = fire(fire(pool(x), 32, 128), 48, 192);
    x = fire(fire(x, 48, 192), 64, 256);
    x = dropout(fire(pool(x), 64, 256));
    x = relu(conv(x, settings.integer("classes", 1000), {.kernel = 1}));
    m.classify(global_average_pool(x));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, settings);
}
