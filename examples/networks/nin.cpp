// Network in network for photographs of 224x224 in a thousand classes: behind each convolution two
// of 1x1, a small network on every position, and means of maps as scores. Settings: size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

// The convolution's ReLU, and two layers that work on each position alone.
Tensor on_each_position(Tensor x, int hidden, int width) {
    return conv_relu(conv_relu(relu(x), hidden, 1), width, 1);
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 224);

    Model m("nin");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = on_each_position(conv(x, 96, {.kernel = 11, .stride = 4}), 96, 96);
    x = conv(overlapping_pool(x), 256, {.kernel = 5, .padding = 2});
    x = overlapping_pool(on_each_position(x, 256, 256));
    x = on_each_position(conv(x, 384, {.padding = 1}), 384, 384);
    x = conv(dropout(overlapping_pool(x)), 1024, {.padding = 1});
    x = on_each_position(x, 1024, settings.integer("classes", 1000));
    m.classify(global_average_pool(x));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 0.0005}));
    return compile(m, settings);
}
