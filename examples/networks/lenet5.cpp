// LeNet-5 of 1998 for digits of 32x32: scaled tanh, subsampling with a trained weight and bias, a
// third layer whose maps read some of the maps before, and outputs that are distances from one code
// for each class; trained as there, with a rate for each weight by the curvature of the loss. The
// codes, pictures of the characters in the paper, are drawn at random here and stay as they are.
#include "dsl/emulsion.h"
using namespace emulsion;

namespace {

const Init kInit = Init::lecun_uniform();

// The maps of S2 that each map of C3 reads.
const std::vector<std::vector<int>> kConnections = {
    {0, 1, 2},    {1, 2, 3},    {2, 3, 4},    {3, 4, 5},         {0, 4, 5},    {0, 1, 5},
    {0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {0, 3, 4, 5},      {0, 1, 4, 5}, {0, 1, 2, 5},
    {0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};

Tensor convolve(Tensor x, int filters, const std::vector<std::vector<int>>& connections = {}) {
    return conv(x, filters,
                {.kernel = 5, .connections = connections, .init = kInit, .activation = lecun_tanh});
}

}  // namespace

int main(int argc, char** argv) {
    Model m("lenet5");
    Tensor x = m.input("image", {1, 32, 32});  // channels, height, width
    x = lecun_tanh(subsample(convolve(x, 6)));
    x = convolve(x, 16, kConnections);
    x = convolve(lecun_tanh(subsample(x)), 120);
    x = dense(flatten(x), 84, {.init = kInit, .activation = lecun_tanh});
    m.classify(-rbf(x, 10, {.name = "codes"}));  // the nearest code has the highest score
    m.freeze("codes");
    m.optimizer(levenberg_marquardt(
        {.schedule = step_rate({.every = 3, .gamma = 0.5, .in_epochs = true})}));
    m.normalize({0.1}, {0.85});
    return compile(m, argc, argv);
}
