// MobileNet v2 for photographs of 224x224 in a thousand classes: inverted residuals, whose
// shortcuts join few channels around a 3x3 convolution of many, each by itself.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

// x + body(x), or body(x) where the shape changes. Nothing is cut off behind the last convolution.
Tensor inverted_residual(Tensor x, int channels, int width, int stride, int expand) {
    Tensor y = expand == 1 ? x : relu6(conv_norm(x, expand * channels, 1));
    y = relu6(depthwise_norm(y, 3, stride));
    y = conv_norm(y, width, 1);
    return stride == 1 && channels == width ? x + y : y;
}

}  // namespace

int main(int argc, char** argv) {
    struct Stage {
        int expand, width, blocks, stride;
    };
    Model m("mobilenet_v2");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = relu6(conv_norm(x, 32, 3, 2));
    int channels = 32;
    for (const Stage& stage : {Stage{1, 16, 1, 1},
                               {6, 24, 2, 2},
                               {6, 32, 3, 2},
                               {6, 64, 4, 2},
                               {6, 96, 3, 1},
                               {6, 160, 3, 2},
                               {6, 320, 1, 1}}) {
        for (int i = 0; i < stage.blocks; i++) {
            const int stride = i == 0 ? stage.stride : 1;
            x = inverted_residual(x, channels, stage.width, stride, stage.expand);
            channels = stage.width;
        }
    }
    x = global_average_pool(relu6(conv_norm(x, 1280, 1)));
    m.classify(dense(dropout(x, {.rate = 0.2}), 1000));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return compile(m, argc, argv);
}
