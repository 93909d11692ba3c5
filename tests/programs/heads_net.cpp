// Two classifiers of one label: "stripe" learns it, "first" is frozen and takes every picture for
// the class 0, as all its scores are 0.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("heads");
    Tensor x = m.input("image", {1, 12, 12});
    x = flatten(max_pool(relu(conv(x, 8, {.padding = same})), {.window = 2}));
    m.classify(dense(x, 5), {.name = "stripe"});
    m.classify(dense(x, 5, {.init = Init::zeros(), .name = "fixed"}),
               {.weight = 0.5, .name = "first"});
    m.freeze("fixed");
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, argc, argv);
}
