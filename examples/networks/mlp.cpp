// One hidden layer of 800 units: the classic that needs no convolution (784-800-10).
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("mlp");
    Tensor x = m.input("image", {1, 28, 28});  // channels, height, width
    x = relu(dense(flatten(x), 800));
    m.classify(dense(x, 10));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    m.classes({"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker",
               "bag", "boot"});
    return compile(m, argc, argv);
}
