// Uses every layer and every option once: the text must compile without any warning.
#include <cmath>

#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("every-layer");
    Tensor image = m.input("image", {3, 16, 16});
    Tensor x = conv(image, 8,
                    {.kernel = {3, 5},
                     .stride = {1, 2},
                     .dilation = 1,
                     .padding = {1, 1, 2, 2},
                     .bias = false});
    x = batch_norm(x, {.epsilon = 1e-3, .momentum = 0.01, .unbiased = false, .name = "norm"});
    Tensor y = conv(x, 8, {.padding = same, .init = Init::lecun()});
    y = depthwise_conv(
        relu6(y),
        {.kernel = 5, .stride = 1, .dilation = 1, .padding = same, .multiplier = 1, .bias = false});
    y = conv(y, 8, {.padding = same, .groups = 4});
    x = leaky_relu(x + y, {.slope = 0.1}) * sigmoid(x - y);
    x = concatenate({max_pool(x, {.window = 3, .stride = 1, .padding = same}), tanh(x),
                     scale(x, std::tanh(0.5))});
    x = x * sigmoid(mean(x, {1, 2})) - sum(x, {0}, {.name = "shade"});
    x = average_pool(x, {.window = {2, 3}, .padding = 1, .round_up = true, .count_padding = true});
    Tensor features = relu(dense(flatten(x), 12, {.bias = false, .init = Init::uniform(0.05)}));
    x = reshape(features, {3, 2, 2}, {.name = "map"});
    x = multiply(subtract(add(x, x), x), x);
    x = dropout(global_average_pool(x), {.rate = 0.25});
    m.output("features", features);
    m.output("softened", softmax(features));
    m.classify(dense(x, 4), {.weight = 0.5});
    m.classify(dense(features, 4), {.label = "kind", .name = "aux"});
    m.mean_squared_error(features, {.target = "wanted", .half_sum = true, .weight = 0.1});
    m.loss(features, {.weight = 1e-4});
    m.optimizer(adam({.learning_rate = 0.002,
                      .weight_decay = 0.01,
                      .decoupled = true,
                      .schedule = cosine_rate({.final = 1e-5})}));
    m.classes({"a", "b", "c", "d"});
    m.normalize({0.5, 0.5, 0.5}, {0.2, 0.2, 0.2});
    m.freeze("conv1");
    m.no_decay("*.gamma");
    return compile(m, argc, argv);
}
