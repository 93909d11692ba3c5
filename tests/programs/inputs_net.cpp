// Classifies rows of a picture, two numbers and three words.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("inputs");
    Tensor picture = flatten(relu(conv(m.input("picture", {1, 4, 6}), 4)));
    Tensor sizes = m.input("sizes", {2});
    Tensor words = flatten(embedding(m.indices("words", {3}), 8, 4, {.padding_index = -1}));
    m.classify(dense(relu(dense(concatenate({picture, sizes, words}), 32)), 8));
    m.optimizer(adam({.learning_rate = 0.01}));
    return compile(m, argc, argv);
}
