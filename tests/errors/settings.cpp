// Settings that do not go with the model, all reported.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("settings");
    Tensor x = m.input("image", {3, 8, 8});
    m.classify(dense(flatten(x), 10));
    m.classes({"cat", "dog"});
    m.normalize({0.5}, {0.2});
    m.optimizer(sgd({.learning_rate = -0.1, .schedule = step_rate({.every = 0})}));
    m.freeze("conv*");
    m.no_decay("*.bias");
    m.learning_rate("dense1.weights", 0.1);
    m.learning_rate("dense1", -0.1);
    return compile(m, argc, argv);
}
