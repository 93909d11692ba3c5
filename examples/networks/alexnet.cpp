// AlexNet for photographs of 227x227 in a thousand classes: five convolutions, three of them in two
// groups, which two devices could share, response normalisation, pooling with overlap, and three
// dense layers with dropout. Settings: groups, size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int groups = settings.integer("groups", 2, {.choices = {1, 2}});
    const int size = settings.integer("size", 227);
    const auto paired = [&](Tensor x, int width, int kernel) {
        return relu(conv(x, width, {.kernel = kernel, .padding = kernel / 2, .groups = groups}));
    };

    Model m("alexnet");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = relu(conv(x, 96, {.kernel = 11, .stride = 4}));
    x = overlapping_pool(local_response_norm(x));
    x = overlapping_pool(local_response_norm(paired(x, 256, 5)));
    x = conv_relu(x, 384);
    x = overlapping_pool(paired(paired(x, 384, 3), 256, 3));
    x = flatten(x);
    for (int i = 0; i < 2; i++) x = relu(dense(dropout(x), 4096));
    m.classify(dense(x, settings.integer("classes", 1000)));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 0.0005}));
    return compile(m, settings);
}
