// ResNet-18 for photographs of 224x224 in a thousand classes: a 7x7 stem with pooling, four stages
// of two residual blocks. Where a stage halves the map, the shortcut is a 1x1 convolution with the
// same stride.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Model m("resnet18");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = relu(conv_norm(x, 64, 7, 2));
    x = max_pool(x, {.window = 3, .stride = 2, .padding = 1});
    for (int width : {64, 128, 256, 512}) {
        x = basic_block(x, width, width == 64 ? 1 : 2);
        x = basic_block(x, width, 1);
    }
    m.classify(dense(global_average_pool(x), 1000));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
