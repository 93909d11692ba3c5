// SqueezeNet 1.1 for photographs of 224x224 in a thousand classes: fire modules, and no dense layer
// at the end.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

Tensor pool(Tensor x) { return max_pool(x, {.window = 3, .stride = 2, .round_up = true}); }

}  // namespace

int main(int argc, char** argv) {
    Model m("squeezenet1_1");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = pool(relu(conv(x, 64, {.kernel = 3, .stride = 2})));
    x = pool(fire(fire(x, 16, 64), 16, 64));
    x = pool(fire(fire(x, 32, 128), 32, 128));
    for (int squeeze : {48, 64}) {
        x = fire(fire(x, squeeze, 4 * squeeze), squeeze, 4 * squeeze);
    }
    x = relu(conv(dropout(x), 1000, {.kernel = 1}));
    m.classify(global_average_pool(x));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, argc, argv);
}
