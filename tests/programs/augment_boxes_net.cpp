// Predicts a box of a picture that is always flipped, which moves the box.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("augment_boxes");
    m.mean_squared_error(dense(flatten(m.input("image", {1, 3, 4})), 4));
    m.augment({random_flip({.probability = 1})});
    m.optimizer(sgd({.learning_rate = 0.3}));
    return compile(m, argc, argv);
}
