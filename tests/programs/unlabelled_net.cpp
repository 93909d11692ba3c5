// Squeezes a picture of 8x8 through four numbers and draws it again: what it is trained towards is
// the picture itself.
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Model m("unlabelled");
    const Tensor image = m.input("image", {1, 8, 8});
    const Tensor code = tanh(dense(flatten(image), 4));
    const Tensor drawn = reshape(dense(code, 64), {1, 8, 8});
    m.loss(pow(drawn - image, 2));
    m.output("code", code);
    m.output("drawn", drawn);
    m.optimizer(adam({.learning_rate = 0.02}));
    return compile(m, argc, argv);
}
