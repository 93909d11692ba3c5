// A loss of the user's own, and nothing that inference could hand out.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("silent");
    Tensor x = m.input("image", {3, 8, 8});
    m.loss(dense(flatten(x), 2));
    return compile(m, argc, argv);
}
