// Layers for maps on features, and the other way round.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("rank");
    Tensor x = m.input("image", {1, 28, 28});
    Tensor scores = dense(x, 10);
    Tensor map = conv(flatten(x), 8);
    Tensor probabilities = softmax(x);
    Tensor mean = global_average_pool(flatten(x));
    m.classify(x);
    return compile(m, argc, argv);
}
