// Operands whose shapes do not go together.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("shapes");
    Tensor x = m.input("image", {3, 32, 32});
    Tensor a = conv(x, 16, {.padding = same});
    Tensor b = conv(x, 32, {.padding = same});
    Tensor sum = relu(a + b);
    Tensor both = concatenate({a, max_pool(b)});
    Tensor map = reshape(flatten(a), {16, 16, 16});
    m.classify(dense(global_average_pool(sum), 10));
    return compile(m, argc, argv);
}
