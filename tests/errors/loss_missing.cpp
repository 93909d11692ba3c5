// A model that says nowhere what it is trained for.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("aimless");
    Tensor x = m.input("image", {1, 28, 28});
    x = dense(flatten(x), 10);
    return compile(m, argc, argv);
}
