// The LeNet of examples/networks/lenet.cpp on pictures that are flipped and moved: what
// tests/bench/augmented trains, here and in PyTorch.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("augmented");
    Tensor x = m.input("image", {1, 28, 28});  // channels, height, width
    m.augment({random_flip(), random_crop(2)});
    x = max_pool(relu(conv(x, 32, {.kernel = 5, .padding = same})), {.window = 2});
    x = max_pool(relu(conv(x, 64, {.kernel = 5, .padding = same})), {.window = 2});
    x = relu(dense(flatten(x), 128));
    m.classify(dense(x, 10));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return compile(m, argc, argv);
}
