// Classifies each pixel of pictures that are augmented: their masks move with them.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("augment_pixels");
    m.classify(conv(m.input("image", {1, 6, 6}), 2, {.kernel = 1}));
    m.augment({brightness(0.2), random_flip()});
    return compile(m, argc, argv);
}
