// The ResNet family for photographs of 224x224 in a thousand classes: a 7x7 stem with pooling, four
// stages of residual blocks, in the deeper ones bottlenecks. `--set plain=true` leaves out the
// shortcuts: the plain twin of each. Settings: depth, plain, size, classes.
#include <map>

#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int depth = settings.integer("depth", 50, {.choices = {18, 34, 50, 101, 152}});
    const bool is_plain = settings.boolean("plain", false);
    const int size = settings.integer("size", 224);
    const bool is_wide = depth >= 50;  // bottlenecks, whose results are four times as wide
    const std::map<int, std::vector<int>> blocks = {{18, {2, 2, 2, 2}},
                                                    {34, {3, 4, 6, 3}},
                                                    {50, {3, 4, 6, 3}},
                                                    {101, {3, 4, 23, 3}},
                                                    {152, {3, 8, 36, 3}}};

    Model m((is_plain ? "plain" : "resnet") + std::to_string(depth));
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = overlapping_pool(relu(conv_norm(x, 64, 7, 2)), 1);
    int width = 64;
    for (int count : blocks.at(depth)) {
        for (int i = 0; i < count; i++) {
            const int stride = width > 64 && i == 0 ? 2 : 1;
            Tensor y = is_wide ? bottleneck_body(x, width, stride) : basic_body(x, width, stride);
            x = relu(is_plain ? y : y + shortcut(x, is_wide ? 4 * width : width, stride));
        }
        width *= 2;
    }
    m.classify(dense(global_average_pool(x), settings.integer("classes", 1000)));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.0001}));
    return compile(m, settings);
}
