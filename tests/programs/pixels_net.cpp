// Classifies each pixel of a small picture: dark, light, or not counted; and hands out inner maps.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("pixels");
    Tensor x = m.input("image", {1, 8, 8});
    x = relu(conv(x, 6, {.kernel = 3, .padding = same}));
    m.output("maps", x);
    m.classify(conv(x, 2, {.kernel = 1}), {.ignored = 255});
    m.optimizer(adam({.learning_rate = 0.05}));
    return compile(m, argc, argv);
}
