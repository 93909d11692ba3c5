// GoogLeNet (Inception v1) for photographs of 224x224 in a thousand classes: modules of four
// branches side by side, and two auxiliary classifiers in the middle, whose losses count for 0.3;
// `--set auxiliary=false` leaves them out. Settings: auxiliary, size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

Tensor pool(Tensor x) { return max_pool(x, {.window = 3, .stride = 2, .round_up = true}); }

// Widths of the branches: 1x1, 3x3 and 5x5 behind a 1x1 that makes them cheap, and pooling.
struct Widths {
    int one, three_from, three, five_from, five, pooled;
};

Tensor inception(Tensor x, const Widths& widths) {
    Tensor one = conv_relu(x, widths.one, 1);
    Tensor three = conv_relu(conv_relu(x, widths.three_from, 1), widths.three, 3);
    Tensor five = conv_relu(conv_relu(x, widths.five_from, 1), widths.five, 5);
    Tensor pooled = max_pool(x, {.window = 3, .stride = 1, .padding = 1});
    return concatenate({one, three, five, conv_relu(pooled, widths.pooled, 1)});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const bool has_auxiliary = settings.boolean("auxiliary", true);
    const int size = settings.integer("size", 224), classes = settings.integer("classes", 1000);

    Model m("googlenet");
    const auto classify_early = [&](Tensor x, const std::string& name) {
        if (!has_auxiliary) return;
        x = conv_relu(average_pool(x, {.window = 5, .stride = 3}), 128, 1);
        x = dropout(relu(dense(flatten(x), 1024)), {.rate = 0.7});
        m.classify(dense(x, classes), {.weight = 0.3, .name = name});
    };
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = local_response_norm(pool(conv_relu(x, 64, 7, 2)));
    x = pool(local_response_norm(conv_relu(conv_relu(x, 64, 1), 192)));
    x = inception(x, {64, 96, 128, 16, 32, 32});
    x = pool(inception(x, {128, 128, 192, 32, 96, 64}));
    x = inception(x, {192, 96, 208, 16, 48, 64});
    classify_early(x, "auxiliary1");
    x = inception(x, {160, 112, 224, 24, 64, 64});
    x = inception(x, {128, 128, 256, 24, 64, 64});
    x = inception(x, {112, 144, 288, 32, 64, 64});
    classify_early(x, "auxiliary2");
    x = pool(inception(x, {256, 160, 320, 32, 128, 128}));
    x = inception(x, {256, 160, 320, 32, 128, 128});
    x = inception(x, {384, 192, 384, 48, 128, 128});
    m.classify(dense(dropout(global_average_pool(x), {.rate = 0.4}), classes));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    return compile(m, settings);
}
