// An option that no layer has.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("unknown");
    Tensor x = m.input("image", {2, 8, 8});
    m.classify(dense(flatten(conv(x, 4, {.groups = 2})), 10));
    return compile(m, argc, argv);
}
