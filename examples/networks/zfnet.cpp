// ZFNet for photographs of 224x224 in a thousand classes: AlexNet with smaller filters and strides
// in front, and without groups. Settings: size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 224);

    Model m("zfnet");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = relu(conv(x, 96, {.kernel = 7, .stride = 2, .padding = 1}));
    x = local_response_norm(overlapping_pool(x, 1));
    x = relu(conv(x, 256, {.kernel = 5, .stride = 2}));
    x = local_response_norm(overlapping_pool(x, 1));
    for (int width : {384, 384, 256}) x = conv_relu(x, width);
    x = flatten(overlapping_pool(x));
    for (int i = 0; i < 2; i++) x = dropout(relu(dense(x, 4096)));
    m.classify(dense(x, settings.integer("classes", 1000)));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, settings);
}
