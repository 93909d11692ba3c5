// Axes that a tensor does not have, or has once.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("axes");
    Tensor x = m.input("image", {3, 32, 32});
    Tensor rows = sum(x, {3});
    Tensor twice = mean(x, {2, 1, 2});
    Tensor none = mean(x, {}, {.name = "none"});
    Tensor map = mean(flatten(x), {1});
    Tensor gate = x * mean(flatten(x), {0});
    m.classify(dense(flatten(relu(rows)), 10));
    return compile(m, argc, argv);
}
