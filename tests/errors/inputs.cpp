// Inputs of a shape that is none, and names that losses need for inputs of their own.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("inputs");
    Tensor flat = m.input("flat", {28, 0});
    Tensor x = m.input("image", {1, 28, 28});
    Tensor label = m.input("label", {10});
    Tensor scores = dense(flatten(x), 10, {.name = "target"});
    m.mean_squared_error(scores);
    m.classify(scores);
    return compile(m, argc, argv);
}
