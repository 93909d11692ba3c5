// Predicts two numbers of a row of four: a linear regression.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("numbers");
    m.mean_squared_error(dense(flatten(m.input("image", {1, 1, 4})), 2));
    m.optimizer(sgd({.learning_rate = 0.2}));
    return compile(m, argc, argv);
}
