// Classifies rows of words by the mean of their vectors.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("words");
    Tensor x = embedding(m.indices("words", {12}), 200, 16, {.padding_index = -1});
    m.classify(dense(flatten(mean(x, {1})), 4));
    m.optimizer(adam({.learning_rate = 0.02}));
    return compile(m, argc, argv);
}
