// ResNet-20 for pictures of 32x32: three stages of three residual blocks, each two 3x3 convolutions
// wide. Where a stage halves the map, the shortcut is a 1x1 convolution with the same stride.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Model m("resnet20");
    Tensor x = m.input("image", {3, 32, 32});  // channels, height, width
    x = relu(conv_norm(x, 16, 3));
    for (int width : {16, 32, 64}) {
        x = basic_block(x, width, width == 16 ? 1 : 2);
        x = basic_block(x, width, 1);
        x = basic_block(x, width, 1);
    }
    m.classify(dense(global_average_pool(x), 10));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
