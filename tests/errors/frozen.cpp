// Nothing is left to train.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("frozen");
    Tensor x = m.input("image", {3, 8, 8});
    m.classify(dense(flatten(x), 10));
    m.freeze("*");
    m.normalize({0.5, 0.5, 0.5}, {0.2, 0, 0.2});
    return compile(m, argc, argv);
}
