// Two convolutions and a pooling: small enough for loops in Python.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("seen");
    Tensor x = m.input("image", {1, 8, 10});
    x = max_pool(relu(conv(x, 3, {.kernel = 3, .padding = same})), {.window = 2});
    x = relu(conv(x, 4, {.kernel = 3, .padding = same}));
    m.output("maps", x);
    m.classify(dense(flatten(x), 3));
    return compile(m, argc, argv);
}
