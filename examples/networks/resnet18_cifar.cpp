// ResNet-18 for pictures of 32x32: the four stages of ResNet-18, two residual blocks each, behind a
// 3x3 stem that keeps the size. Where a stage halves the map, the shortcut is a 1x1 convolution
// with the same stride.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Model m("resnet18_cifar");
    Tensor x = m.input("image", {3, 32, 32});  // channels, height, width
    x = relu(conv_norm(x, 64, 3));
    for (int width : {64, 128, 256, 512}) {
        x = basic_block(x, width, width == 64 ? 1 : 2);
        x = basic_block(x, width, 1);
    }
    m.classify(dense(global_average_pool(x), 10));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
