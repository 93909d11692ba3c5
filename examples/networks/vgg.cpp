// The VGG family for photographs of 224x224 in a thousand classes: 3x3 convolutions in five stages,
// each with pooling behind it, and three dense layers with dropout. Settings: form, which is one of
// the paper's columns, size, classes.
#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const std::string form = settings.word("form", "D", {"A", "A-LRN", "B", "C", "D", "E"});
    const bool normalizes = form == "A-LRN";
    // 3x3 convolutions of each stage; the last three stages of C have a 1x1 convolution more.
    const int counts[][5] = {
        {1, 1, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}};
    const int size = settings.integer("size", 224), widths[] = {64, 128, 256, 512, 512};

    Model m("vgg_" + form);
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    for (int stage = 0; stage < 5; stage++) {
        const int width = widths[stage];
        for (int i = 0; i < counts[form[0] - 'A'][stage]; i++) x = conv_relu(x, width);
        if (form == "C" && stage >= 2) x = conv_relu(x, width, 1);
        if (normalizes && stage == 0) x = local_response_norm(x);
        x = max_pool(x);
    }
    x = flatten(x);
    for (int i = 0; i < 2; i++) x = dropout(relu(dense(x, 4096)));
    m.classify(dense(x, settings.integer("classes", 1000)));
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9, .weight_decay = 0.0005}));
    return compile(m, settings);
}
