// DenseNet-121 for photographs of 224x224 in a thousand classes: a 7x7 stem with pooling, four
// blocks of layers that read what all layers before them made, and between two blocks a transition,
// which halves channels and map. Batch norm and ReLU stand in front of a convolution.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

constexpr int kGrowth = 32;

Tensor norm_relu_conv(Tensor x, int width, int kernel) {
    x = relu(batch_norm(x));
    return conv(x, width, {.kernel = kernel, .padding = kernel / 2, .bias = false});
}

// Each layer adds its maps behind those that it read.
Tensor dense_block(Tensor x, int layers) {
    for (int i = 0; i < layers; i++) {
        Tensor y = norm_relu_conv(x, 4 * kGrowth, 1);
        x = concatenate({x, norm_relu_conv(y, kGrowth, 3)});
    }
    return x;
}

}  // namespace

int main(int argc, char** argv) {
    Model m("densenet121");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    x = relu(conv_norm(x, 64, 7, 2));
    x = max_pool(x, {.window = 3, .stride = 2, .padding = 1});
    x = dense_block(x, 6);
    for (int layers : {12, 24, 16}) {
        const std::vector<int64_t> shape = x.shape();
        x = norm_relu_conv(x, static_cast<int>(shape[0]) / 2, 1);
        x = dense_block(average_pool(x, {.window = 2}), layers);
    }
    x = global_average_pool(relu(batch_norm(x)));
    m.classify(dense(x, 1000));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return compile(m, argc, argv);
}
