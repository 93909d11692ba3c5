// Options that no function has, beside ones that look like it.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("unknown");
    Tensor x = m.input("image", {2, 8, 8});
    const Size large{3, 3};  // conv(x, 4, {.not_read = 1})
    x = batch_norm(conv(x, 4,
                        {.kernal = {3, large.w},  // 3x3
                         .padding = same}),
                   {.epsilon = 1e-3, .name = "(.unbalanced = {"});
    x = max_pool(relu(x), {
                              .window = 2,
                              .dilation = 2,
                          });
    m.optimizer(sgd({.learning_rate = 0.1, .clip = 1}));
    m.classify(dense(flatten(conv(x, 4, {.grupo = 2})), 10), {.weigth = 2});
    return compile(m, argc, argv);
}
