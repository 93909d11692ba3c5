// The LeNet family for digits of 28x28: two or three 5x5 convolutions, each with average pooling,
// ever wider, and one or two dense layers. All but the last convolution keep the size. Without
// settings it is LeNet-5 as it is written today.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int convolutions = settings.integer("convolutions", 2, {.choices = {2, 3}});
    const int layers = settings.integer("dense", 2, {.choices = {1, 2}});
    const int widths[] = {6, 16, 32}, units[] = {120, 84};

    Model m("lenet_family");
    Tensor x = m.input("image", {1, 28, 28});  // channels, height, width
    for (int i = 0; i < convolutions; i++) {
        const Padding padding = i + 1 < convolutions ? same : valid;
        x = conv(x, widths[i],
                 {.kernel = 5, .padding = padding, .init = Init::glorot(), .activation = tanh});
        x = average_pool(x);
    }
    x = flatten(x);
    for (int i = 0; i < layers; i++)
        x = dense(x, units[i], {.init = Init::glorot(), .activation = tanh});
    m.classify(dense(x, 10, {.init = Init::glorot()}));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return compile(m, settings);
}
