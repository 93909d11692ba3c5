// Layers and options by the names of Keras and PyTorch, and one that is misspelled;
// what a header of the user's own declares is not.
#include "dsl/emulsion.h"
#include "tests/errors/own_blocks.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("unknown");
    Tensor x = m.input("image", {2, 8, 8});
    x = LeakyReLU(Conv2D(conv_norm(x), 4));
    x = max_pool(x, {.pool_size = 2, .strides = 2});
    x = nn::GroupNorm(batch_nrom(x), 2);
    m.classify(Linear(flatten(x), 10), {.ignore_index = 3});
    return compile(m, argc, argv);
}
