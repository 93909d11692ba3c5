// One name for two layers, whether written or automatic, and for two outputs.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("twice");
    Tensor x = m.input("image", {1, 28, 28});
    x = conv(x, 8, {.name = "stem"});
    x = conv(x, 8, {.name = "stem"});
    x = relu(m.input("relu1", {1, 28, 28}));
    m.output("features", m.input("other", {4}));
    m.output("features", m.input("more", {4}));
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
