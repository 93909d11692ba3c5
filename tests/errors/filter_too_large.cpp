// Maps shrink by 4 with every 5x5 convolution; the eighth does not fit: 32, 28, 24, 20, 16, 12, 8,
// 4, refused.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("shrinking");
    Tensor x = m.input("image", {3, 32, 32});
    for (int i = 0; i < 8; i++) x = conv(x, 6, {.kernel = 5});
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
