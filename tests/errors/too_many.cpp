// Counts and windows beyond any memory.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("numbers");
    Tensor x = m.input("image", {3, 8, 8});
    conv(x, 2000000000);
    conv(x, 4, {.kernel = 2000000000});
    max_pool(x, {.window = 2, .stride = {1, 100000}});
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
