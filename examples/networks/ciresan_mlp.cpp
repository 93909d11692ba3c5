// Ciresan's plain networks of dense layers for digits of 29x29, trained on distorted pictures: five
// layers, or with `--set deep=true` nine of 1000 units and one of scores.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const bool is_deep = settings.boolean("deep", false);
    const std::vector<int> widths =
        is_deep ? std::vector<int>(9, 1000) : std::vector<int>{2500, 2000, 1500, 1000, 500};

    Model m("ciresan_mlp");
    Tensor x = flatten(m.input("image", {1, 29, 29}));  // channels, height, width
    for (int width : widths)
        x = dense(x, width, {.init = Init::uniform(0.05), .activation = lecun_tanh});
    m.classify(dense(x, 10, {.init = Init::uniform(0.05)}));
    m.optimizer(
        sgd({.learning_rate = 0.001,
             .schedule = exponential_rate({.every = 1, .gamma = 0.997, .in_epochs = true})}));
    m.normalize({0.5}, {0.5});
    return compile(m, settings);
}
