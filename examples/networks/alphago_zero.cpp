// A residual tower as AlphaGo Zero's: 17 planes of a 19x19 board (stones of both sides over eight
// moves, and whose turn it is), and two heads: a distribution over 361 moves and a pass, and the
// value of the position from -1 to 1. Settings: blocks, width.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int blocks = settings.integer("blocks", 19), width = settings.integer("width", 256);

    Model m("alphago_zero");
    Tensor x = m.input("board", {17, 19, 19});
    x = relu(conv_norm(x, width, 3));
    for (int i = 0; i < blocks; i++) x = basic_block(x, width, 1);

    Tensor moves = dense(flatten(relu(conv_norm(x, 2, 1))), 19 * 19 + 1);
    m.cross_entropy(moves, {.target = "moves", .name = "policy"});
    Tensor value = relu(dense(flatten(relu(conv_norm(x, 1, 1))), 256));
    value = tanh(dense(value, 1, {.init = Init::glorot()}));
    m.mean_squared_error(value, {.target = "winner", .name = "value"});
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 1e-4}));
    return compile(m, settings);
}
