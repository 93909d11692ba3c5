// ResNet-50 for photographs of 224x224 in a thousand classes: a 7x7 stem with pooling, four stages
// of bottlenecks. A stage halves the map in the 3x3 convolution of its first block, whose shortcut
// is a 1x1 convolution with the same stride.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    struct Stage {
        int width, blocks, stride;
    };
    Model m("resnet50");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = relu(conv_norm(x, 64, 7, 2));
    x = max_pool(x, {.window = 3, .stride = 2, .padding = 1});
    for (const Stage& stage : {Stage{64, 3, 1}, {128, 4, 2}, {256, 6, 2}, {512, 3, 2}}) {
        for (int i = 0; i < stage.blocks; i++) {
            x = bottleneck(x, stage.width, i == 0 ? stage.stride : 1);
        }
    }
    m.classify(dense(global_average_pool(x), 1000));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
