// The second network of two_networks.c: a small convolutional network for pictures of 12x12, with
// an optimiser that has much state.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("small");
    Tensor x = m.input("image", {1, 12, 12});
    x = max_pool(relu(batch_norm(conv(x, 8, {.padding = same}))), {.window = 2});
    m.classify(dense(flatten(relu(conv(x, 20))), 5));
    m.optimizer(rmsprop({.learning_rate = 0.005,
                         .epsilon = 0.1,
                         .centered = true,
                         .momentum = 0.9,
                         .clip_norm = 1,
                         .adjustable = true}));
    return compile(m, argc, argv);
}
