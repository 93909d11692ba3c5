// OverFeat, the fast one, for photographs of 231x231 in a thousand classes: pooling without
// overlap, wide convolutions behind it. With `--set boxes=true` a second head learns the corners of
// a box around what is seen, (left, top, right, bottom) as shares of the picture. Settings: boxes,
// size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int size = settings.integer("size", 231);

    Model m("overfeat");
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = max_pool(relu(conv(x, 96, {.kernel = 11, .stride = 4})));
    x = max_pool(relu(conv(x, 256, {.kernel = 5})));
    for (int width : {512, 1024, 1024}) x = conv_relu(x, width);
    Tensor features = flatten(max_pool(x));
    x = dropout(relu(dense(features, 3072)));
    x = dropout(relu(dense(x, 4096)));
    m.classify(dense(x, settings.integer("classes", 1000)));
    if (settings.boolean("boxes", false)) {
        Tensor box = relu(dense(relu(dense(features, 4096)), 1024));
        m.mean_squared_error(dense(box, 4), {.target = "box", .name = "corners"});
    }
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.6, .weight_decay = 1e-5}));
    return compile(m, settings);
}
