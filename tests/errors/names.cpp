// Names that are none.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("2nd network");
    Tensor x = m.input("image", {1, 28, 28});
    Tensor y = relu(x, {.name = "my relu"});
    m.output("loss", x);
    m.output("", x);
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
