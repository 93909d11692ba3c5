// The EfficientNet family for photographs in a thousand classes: inverted residuals with squeeze
// and excitation, grown in width, depth and size of the picture together, from B0 to B7; Lite0 is
// B0 with ReLU6 and without squeezing. Settings: form, size, classes.
#include <cmath>
#include <map>

#include "examples/networks/blocks.h"
using namespace emulsion;
using namespace emulsion::blocks;

namespace {

struct Form {
    double width, depth;
    int size;
    double dropped;
};
const std::map<std::string, Form> kForms = {
    {"B0", {1, 1, 224, 0.2}},     {"B1", {1, 1.1, 240, 0.2}},   {"B2", {1.1, 1.2, 260, 0.3}},
    {"B3", {1.2, 1.4, 300, 0.3}}, {"B4", {1.4, 1.8, 380, 0.4}}, {"B5", {1.6, 2.2, 456, 0.4}},
    {"B6", {1.8, 2.6, 528, 0.5}}, {"B7", {2, 3.1, 600, 0.5}},   {"Lite0", {1, 1, 224, 0.2}}};

// So many times the channels, as a multiple of 8 that is at most a tenth less.
int widened(int channels, double factor) {
    const double wanted = channels * factor;
    const int rounded = std::max(8, static_cast<int>(wanted + 4) / 8 * 8);
    return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

// A convolution with batch norm. The odd cell of the padding lies right and below.
Tensor normed(Tensor x, int width, int kernel, int stride = 1) {
    return batch_norm(
        conv(x, width, {.kernel = kernel, .stride = stride, .padding = same, .bias = false}),
        {.epsilon = 1e-3, .momentum = 0.01});
}

struct Stage {
    int expand, width, blocks, stride, kernel;
};
constexpr Stage kStages[] = {{1, 16, 1, 1, 3}, {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5},
                             {6, 80, 3, 2, 3}, {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5},
                             {6, 320, 1, 1, 3}};

// x + body(x), or body(x) where the shape changes. The body is `expand` times as wide as x, and
// left out of this share of the samples.
Tensor inverted_residual(Tensor x, const Stage& stage, double left_out, bool is_lite) {
    const Activation activation = is_lite ? Activation(relu6) : Activation(silu);
    const auto activated = [&](Tensor y) { return is_lite ? relu6(y) : silu(y); };
    const int channels = channels_of(x);
    Tensor y = stage.expand == 1 ? x : activated(normed(x, stage.expand * channels, 1));
    y = depthwise_conv(
        y, {.kernel = stage.kernel, .stride = stage.stride, .padding = same, .bias = false});
    y = activated(batch_norm(y, {.epsilon = 1e-3, .momentum = 0.01}));
    if (!is_lite)
        y = squeeze_excitation(y, {.units = std::max(1, channels / 4), .activation = activation});
    y = normed(y, stage.width, 1);
    if (stage.stride != 1 || channels != stage.width) return y;
    return x + stochastic_depth(y, {.rate = left_out});
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const std::string name =
        settings.word("form", "B0", {"B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "Lite0"});
    const Form form = kForms.at(name);
    const bool is_lite = name == "Lite0";
    const int size = settings.integer("size", form.size);
    const auto activated = [&](Tensor x) { return is_lite ? relu6(x) : silu(x); };

    Model m("efficientnet_" + name);
    Tensor x = m.input("image", {3, size, size});  // channels, height, width
    x = activated(normed(x, is_lite ? 32 : widened(32, form.width), 3, 2));
    std::vector<Stage> blocks;
    for (Stage stage : kStages) {
        stage.width = widened(stage.width, form.width);
        const int count = static_cast<int>(std::ceil(stage.blocks * form.depth));
        for (int i = 0; i < count; i++) {
            blocks.push_back(stage);
            stage.stride = 1;
        }
    }
    for (size_t i = 0; i < blocks.size(); i++) {
        const double left_out = 0.2 * static_cast<double>(i) / static_cast<double>(blocks.size());
        x = inverted_residual(x, blocks[i], left_out, is_lite);
    }
    x = activated(normed(x, is_lite ? 1280 : widened(1280, form.width), 1));
    x = dropout(global_average_pool(x), {.rate = form.dropped});
    m.classify(dense(x, settings.integer("classes", 1000)), {.label_smoothing = 0.1});
    m.optimizer(
        rmsprop({.learning_rate = 0.016,
                 .rho = 0.9,
                 .epsilon = 1e-3,
                 .momentum = 0.9,
                 .schedule = exponential_rate({.every = 2, .gamma = 0.97, .in_epochs = true})}));
    return compile(m, settings);
}
