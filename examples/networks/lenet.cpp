// The LeNet of the quickstart: two convolutions with pooling, two dense layers; ten kinds of
// clothes.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("lenet");
    Tensor x = m.input("image", {1, 28, 28});  // channels, height, width
    x = max_pool(relu(conv(x, 32, {.kernel = 5, .padding = same})), {.window = 2});
    x = max_pool(relu(conv(x, 64, {.kernel = 5, .padding = same})), {.window = 2});
    x = relu(dense(flatten(x), 128));
    m.classify(dense(x, 10));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    m.classes({"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
               "bag", "boot"});
    return compile(m, argc, argv);
}
