// Several mistakes, each reported once: what follows from one of them is silent.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("several");
    Tensor x = m.input("image", {1, 28, 28});
    Tensor bad = conv(x, 8, {.kernel = 40});
    Tensor after = relu(max_pool(bad));
    Tensor good = conv(x, 8, {.name = "first"});
    Tensor again = conv(good, 8, {.name = "first"});
    Tensor sum = after + again;
    Tensor flat = dense(good, 10);
    m.classify(dense(flatten(sum), 10));
    m.classes({"only one"});
    m.freeze("resnet*");
    return compile(m, argc, argv);
}
