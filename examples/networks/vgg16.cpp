// VGG-16 for photographs of 224x224 in a thousand classes: thirteen 3x3 convolutions in five
// stages, each behind the pooling of the one before, and three dense layers with dropout.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    struct Stage {
        int width, layers;
    };
    Model m("vgg16");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    for (const Stage& stage : {Stage{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}}) {
        for (int i = 0; i < stage.layers; i++) {
            x = relu(conv(x, stage.width, {.kernel = 3, .padding = 1}));
        }
        x = max_pool(x, {.window = 2});
    }
    x = dropout(relu(dense(flatten(x), 4096)));
    x = dropout(relu(dense(x, 4096)));
    m.classify(dense(x, 1000));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, argc, argv);
}
