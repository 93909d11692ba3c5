// A small convolutional network whose pictures of 12x12 are augmented in training.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("augment");
    Tensor x = m.input("image", {1, 12, 12});
    x = max_pool(relu(conv(x, 8, {.padding = same})), {.window = 2});
    m.classify(dense(flatten(x), 3));
    m.normalize({0.4}, {0.3});
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    m.augment({random_flip(), random_crop(2), rotate(15, {.probability = 0.5}), brightness(0.2),
               noise(5), elastic({.alpha = 4, .probability = 0.3})},
              {.fill = Fill::reflect, .untouched = 0.1});
    return compile(m, argc, argv);
}
