// Tensors of two models in one layer, and in the loss.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model a("first"), b("second");
    Tensor x = a.input("image", {8, 4, 4});
    Tensor y = b.input("image", {8, 4, 4});
    Tensor sum = x + y;
    b.classify(dense(flatten(y), 10));
    a.classify(dense(flatten(y), 10));
    return compile(a, argc, argv);
}
