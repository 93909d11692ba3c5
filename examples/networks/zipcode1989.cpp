// LeCun's network of 1989 for digits of zip codes, 16x16 with -1 for paper: strides in place of
// pooling, a bias for each position, and second layer maps that each read eight of the twelve first
// ones. Trained on scores where the paper compares with targets of -1 and 1.
#include "dsl/emulsion.h"
using namespace emulsion;

namespace {

// `filters` maps of half the size. The paper is white where the filter reaches over the edge.
Tensor halve(Tensor x, int filters, int groups) {
    return conv(x, filters,
                {.kernel = 5,
                 .stride = 2,
                 .padding = 2,
                 .border = Border::constant(-1),
                 .groups = groups,
                 .untied_bias = true,
                 .init = Init::lecun_uniform(),
                 .activation = lecun_tanh});
}

}  // namespace

int main(int argc, char** argv) {
    Model m("zipcode1989");
    Tensor x = m.input("image", {1, 16, 16});  // channels, height, width
    x = halve(x, 12, 1);
    // Maps 0 to 3 read the first eight, 4 to 7 the last eight, 8 to 11 the first and last four.
    Tensor front = slice(x, {.end = 4}), middle = slice(x, {.begin = 4, .end = 8}),
           back = slice(x, {.begin = 8});
    x = halve(concatenate({front, middle, middle, back, front, back}), 12, 3);
    const DenseOptions hidden = {.init = Init::lecun_uniform(), .activation = lecun_tanh};
    m.classify(dense(dense(flatten(x), 30, hidden), 10, {.init = Init::lecun_uniform()}));
    m.optimizer(sgd({.learning_rate = 0.03, .schedule = constant_rate()}));
    m.normalize({0.5}, {0.5});
    return compile(m, argc, argv);
}
