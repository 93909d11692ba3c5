// Softmax over a single score, in both heads.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("one_score");
    Tensor x = dense(m.input("x", {4}), 1);
    Tensor probabilities = softmax(x);
    m.classify(x);
    return compile(m, argc, argv);
}
