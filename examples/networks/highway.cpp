// A highway network for digits of 28x28: a dense layer to 50 units, then layers of which each has a
// gate for what it carries on as it is. Settings: depth.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int depth = settings.integer("depth", 20);

    Model m("highway");
    Tensor x = flatten(m.input("image", {1, 28, 28}));  // channels, height, width
    x = relu(dense(x, 50));
    for (int i = 0; i < depth; i++) x = highway(x, relu(dense(x, 50)));
    m.classify(dense(x, 10));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, settings);
}
