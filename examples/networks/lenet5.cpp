// LeNet-5 of 1998 for digits of 32x32: scaled tanh, subsampling with a trained weight and bias, a
// third layer whose maps read some of the maps before, and outputs that are distances from one code
// for each class. The codes, pictures of the characters in the paper, are drawn at random here and
// stay as they are.
#include "dsl/emulsion.h"
using namespace emulsion;

namespace {

const Init kInit = Init::lecun_uniform();

Tensor convolve(Tensor x, int filters, int groups = 1) {
    return conv(x, filters,
                {.kernel = 5, .groups = groups, .init = kInit, .activation = lecun_tanh});
}

// One map for each row of the table: a convolution of these maps of x. All rows are of one length.
Tensor convolve_some(Tensor x, const std::vector<std::vector<int>>& table) {
    const std::vector<Tensor> maps = split(x, 6);
    std::vector<Tensor> read;
    for (const std::vector<int>& row : table) {
        for (int map : row) read.push_back(maps[static_cast<size_t>(map)]);
    }
    const int filters = static_cast<int>(table.size());
    return convolve(concatenate(read), filters, filters);
}

}  // namespace

int main(int argc, char** argv) {
    Model m("lenet5");
    Tensor x = m.input("image", {1, 32, 32});  // channels, height, width
    x = lecun_tanh(subsample(convolve(x, 6)));
    Tensor threes =
        convolve_some(x, {{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {0, 4, 5}, {0, 1, 5}});
    Tensor fours = convolve_some(x, {{0, 1, 2, 3},
                                     {1, 2, 3, 4},
                                     {2, 3, 4, 5},
                                     {0, 3, 4, 5},
                                     {0, 1, 4, 5},
                                     {0, 1, 2, 5},
                                     {0, 1, 3, 4},
                                     {1, 2, 4, 5},
                                     {0, 2, 3, 5}});
    x = concatenate({threes, fours, convolve(x, 1)});
    x = convolve(lecun_tanh(subsample(x)), 120);
    x = dense(flatten(x), 84, {.init = kInit, .activation = lecun_tanh});
    m.classify(-rbf(x, 10, {.name = "codes"}));  // the nearest code has the highest score
    m.freeze("codes");
    m.optimizer(sgd({.learning_rate = 0.002,
                     .schedule = step_rate({.every = 3, .gamma = 0.5, .in_epochs = true})}));
    m.normalize({0.1}, {0.85});
    return compile(m, argc, argv);
}
