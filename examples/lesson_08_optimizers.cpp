// Lesson 8: optimizers on a hill, and the library in a C program.
//
// A training library is plain C: whoever calls it owns the memory and the loop. This network has
// two numbers for weights and no data to speak of; its loss is Rosenbrock's valley, low along a
// curve and lowest at (1, 1). lesson_08_paths.c trains it with three optimizers from one place and
// draws where each of them goes.
//
// 1. Build one library for each optimizer, from this one file.
//
//     emulsion build lesson_08_optimizers.cpp -o paths --batch 1 --set rule=sgd
//     emulsion build lesson_08_optimizers.cpp -o paths --batch 1 --set rule=momentum
//     emulsion build lesson_08_optimizers.cpp -o paths --batch 1 --set rule=adam
//
// 2. Compile the C program with the three libraries, and run it: it prints where each path ends and
// writes paths.png, sgd in red, momentum in blue, adam in white; the small square is the start.
//
//     cc -std=c99 -O2 -Ipaths lesson_08_paths.c paths/paths_sgd_train.a
//     paths/paths_momentum_train.a paths/paths_adam_train.a -lpthread -lm -o draw_paths
//     ./draw_paths paths.png
#include "dsl/emulsion.h"

using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const std::string rule = settings.word("rule", "sgd", {"sgd", "momentum", "adam"});
    Model m("paths_" + rule);
    Tensor zero = m.input("zero", {1});  // a network reads something
    Tensor x = zero + m.parameter("x", {}), y = zero + m.parameter("y", {});
    Tensor across = 1 - x, along = y - x * x;
    m.loss(across * across + 5 * along * along);
    m.output("height", along);
    if (rule == "sgd") m.optimizer(sgd({.learning_rate = 0.02}));
    if (rule == "momentum") m.optimizer(sgd({.learning_rate = 0.02, .momentum = 0.9}));
    if (rule == "adam") m.optimizer(adam({.learning_rate = 0.1}));
    return compile(m, settings);
}
