// A crop that is larger than what it is cut from, in the second of two augmentations.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("augmentation");
    Tensor x = m.input("image", {3, 8, 8});
    m.classify(dense(flatten(x), 10));
    m.augment({rotate(10)}, {.untouched = 0.1});
    m.augment({random_flip(), random_crop(2, {.height = 13})});
    return compile(m, argc, argv);
}
