// A weight that never has a gradient would be divided by 0.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("adam_epsilon");
    m.classify(dense(m.input("x", {3}), 2));
    m.optimizer(adam({.epsilon = 0}));
    return compile(m, argc, argv);
}
