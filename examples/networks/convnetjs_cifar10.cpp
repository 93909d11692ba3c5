// The network of ConvNetJS for the pictures of CIFAR-10, 32x32 in ten classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Model m("convnetjs_cifar10");
    Tensor x = m.input("image", {3, 32, 32});  // channels, height, width
    for (int width : {16, 20, 20}) x = max_pool(conv_relu(x, width, 5));
    m.classify(dense(flatten(x), 10));
    m.optimizer(adadelta({.learning_rate = 1, .rho = 0.95, .weight_decay = 1e-4}));
    return compile(m, argc, argv);
}
