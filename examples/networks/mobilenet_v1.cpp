// MobileNet v1 for photographs of 224x224 in a thousand classes: thirteen separable convolutions,
// each a 3x3 convolution of every channel by itself and a 1x1 convolution across the channels.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    struct Layer {
        int width, stride;
    };
    Model m("mobilenet_v1");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = relu(conv_norm(x, 32, 3, 2));
    for (const Layer& layer : {Layer{64, 1},
                               {128, 2},
                               {128, 1},
                               {256, 2},
                               {256, 1},
                               {512, 2},
                               {512, 1},
                               {512, 1},
                               {512, 1},
                               {512, 1},
                               {512, 1},
                               {1024, 2},
                               {1024, 1}}) {
        x = relu(depthwise_norm(x, 3, layer.stride));
        x = relu(conv_norm(x, layer.width, 1));
    }
    m.classify(dense(global_average_pool(x), 1000));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
