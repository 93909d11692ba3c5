// ResNet-18 on pictures that are flipped and moved: what tests/bench/feeding trains from JPEG
// files.
#include "dsl/emulsion.h"
using namespace emulsion;

namespace {

Tensor conv_norm(Tensor x, int width, int kernel, int stride) {
    return batch_norm(
        conv(x, width, {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false}));
}

Tensor basic_block(Tensor x, int width, int stride) {
    Tensor body = conv_norm(relu(conv_norm(x, width, 3, stride)), width, 3, 1);
    return relu(body + (stride == 1 ? x : conv_norm(x, width, 1, stride)));
}

}  // namespace

int main(int argc, char** argv) {
    Model m("feeding");
    Tensor x = m.input("image", {3, 224, 224});  // channels, height, width
    m.augment({random_flip(), random_crop(16)});
    x = relu(conv_norm(x, 64, 7, 2));
    x = max_pool(x, {.window = 3, .stride = 2, .padding = 1});
    for (int width : {64, 128, 256, 512}) {
        x = basic_block(x, width, width == 64 ? 1 : 2);
        x = basic_block(x, width, 1);
    }
    m.classify(dense(global_average_pool(x), 10));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, argc, argv);
}
