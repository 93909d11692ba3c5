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
    y = conv(y, 8,
             {.padding = 1,
              .border = Border::reflect(),
              .strict = true,
              .flip = true,
              .untied_bias = true});
    y = conv_transpose(pad(y, 1, {.border = Border::replicate()}), 8,
                       {.kernel = 2,
                        .stride = 2,
                        .dilation = 1,
                        .padding = same,
                        .output_padding = 0,
                        .groups = 2,
                        .bias = false});
    y = upsample(crop(y, {1, 0, 2, 1}), {.mode = Interpolation::bilinear, .size = {16, 8}});
    IndexedPool largest = max_pool_with_indices(y, {.window = 2});
    y = y + max_unpool(largest.value, largest);
    std::vector<Tensor> halves = split(y, 2, {.axis = 0});
    y = channel_shuffle(concatenate({flip(halves[1], {2}), slice(y, {.begin = 0, .end = 4})}), 2);
    y = transpose(concatenate({y, y}, {.axis = 1}), {0, 2, 1});
    y = transpose(slice(y, {.axis = 2, .step = 2}), {0, 2, 1});
    x = leaky_relu(x + y, {.slope = 0.1}) * sigmoid(x - y);
    x = concatenate({max_pool(x, {.window = 3, .stride = 1, .padding = same}), tanh(x),
                     scale(x, std::tanh(0.5))});
    x = x * sigmoid(mean(x, {1, 2})) - sum(x, {0}, {.name = "shade"});
    x = average_pool(x, {.window = {2, 3}, .padding = 1, .round_up = true, .count_padding = true});
    Tensor features = relu(dense(flatten(x), 12, {.bias = false, .init = Init::uniform(0.05)}));
    x = reshape(features, {3, 2, 2}, {.name = "map"});
    x = multiply(subtract(add(x, x), x), x);
    x = maxout(x, 3, {.pieces = 3, .kernel = 3, .init = Init::he_uniform()});
    x = prelu(highway(x, conv(x, 3, {.padding = same, .activation = tanh}), {.bias = -1}));
    x = prelu(squeeze_excitation(x, {.units = 2, .activation = silu, .gate = hard_sigmoid}),
              {.shared = true, .init = 0.1});
    x = gaussian_noise(spatial_dropout(x, {.rate = 0.2}), {.deviation = 0.05});
    x = local_response_norm(group_norm(x, 3), {.size = 3, .average = true});
    x = x + stochastic_depth(mish(instance_norm(x, {.epsilon = 1e-3})), {.rate = 0.1});
    x = pixel_shuffle(pixel_unshuffle(x, 2), 2);
    Tensor gain = m.parameter("gain", {}, Init::ones());
    Tensor place = m.parameter("place", {3, 2, 2}, Init::normal(0.1));
    x = gain * layer_norm(elu(x, {.alpha = 0.5}) + place, {.epsilon = 1e-3});
    x = gelu(x) + gelu(x, {.approximate = true}) - softplus(-x) * 0.5 + lecun_tanh(x) / 2;
    x = 1 - hard_swish(x) / (1 + abs(x)) + 2 / (1.5 + pow(x, 2));
    x = maximum(x, clip(x, -1, 1)) + minimum(x, log(1 + exp(-abs(x)))) -
        sqrt(reciprocal(x * x + 1));
    x = reshape(x, {3, -1}) * reshape(features, {3, 4});
    x = reshape(x, {3, 2, 2}) + subsample(upsample(reshape(x, {3, 2, 2})), {.window = 2});
    x = dropout(global_average_pool(x) + global_max_pool(x), {.rate = 0.25});
    Tensor sound = m.input("sound", {1, 400});
    Stft waves = stft(sound, {.n_fft = 30, .hop = 10, .center = false});
    Tensor bands = mel_bands(spectrogram(sound, {.n_fft = 64,
                                                 .hop = 16,
                                                 .window_length = 60,
                                                 .window = FrameWindow::hamming,
                                                 .center = true,
                                                 .border = Border::zeros(),
                                                 .power = 1}),
                             8,
                             {.sample_rate = 8000,
                              .low = 50,
                              .high = 3900,
                              .scale = MelScale::slaney,
                              .equal_area = true,
                              .n_fft = 64});
    m.output("bands", log(bands + 1e-6));
    m.output("waves", concatenate({waves.real, waves.imaginary}));
    ConvRbm machine = conv_rbm(stop_gradient(image), 4,
                               {.kernel = 3,
                                .padding = same,
                                .pool = 2,
                                .visible = Visible::gaussian,
                                .steps = 1,
                                .init = Init::normal(0.02),
                                .bias_init = Init::constant(-1)});
    m.loss(machine.loss, {.name = "dreams"});
    m.output("units", machine.pooled + max_pool(machine.hidden));
    m.output("dream", machine.reconstruction);
    m.output("features", features);
    m.output("softened", softmax(features));
    m.output(
        "distances",
        rbf(dense(features, 4,
                  {.bias_init = Init::constant(0.1),
                   .activation = [](const Tensor& t) { return leaky_relu(t, {.slope = 0.2}); }}),
            3));
    m.classify(dense(x, 4), {.label_smoothing = 0.1, .class_weights = {1, 2, 1, 1}, .weight = 0.5});
    m.classify(dense(features, 4), {.label = "kind", .name = "aux"});
    m.mean_squared_error(features, {.target = "wanted", .half_sum = true, .weight = 0.1});
    m.loss(features, {.weight = 1e-4});
    m.classify(conv(y, 3), {.label = "mask", .ignored = 255, .name = "pixels"});
    m.cross_entropy(dense(features, 4),
                    {.target = "share", .label_smoothing = 0.1, .name = "shares"});
    m.binary_cross_entropy(features,
                           {.target = "tag", .positive_weight = 2, .weight = 0.1, .name = "tags"});
    m.hinge(features, {.target = "side", .squared = true, .name = "sides"});
    m.multi_margin(dense(features, 4), {.label = "kind", .margin = 0.5, .name = "margin"});
    m.mean_absolute_error(features, {.target = "wanted", .name = "l1"});
    m.huber(features, {.target = "wanted", .delta = 2, .name = "robust"});
    m.smooth_l1(features, {.target = "wanted", .beta = 0.5, .name = "smooth"});
    m.output("logarithms", log_softmax(features));
    m.optimizer(adam(
        {.learning_rate = 0.002,
         .weight_decay = 0.01,
         .decoupled = true,
         .l1 = 1e-6,
         .clip_norm = 10,
         .schedule = warm_up({.steps = 3, .epochs = 1, .then = cosine_rate({.final = 1e-5})})}));
    for (const Optimizer& other :
         {sgd({.momentum = 0.9,
               .adjustable = true,
               .schedule = step_rate({.every = 3, .in_epochs = true})}),
          adamw({.clip_value = 1, .schedule = multi_step_rate({.at = {5, 9}, .gamma = 0.5})}),
          adagrad({.initial = 0.1, .schedule = exponential_rate({.every = 1, .gamma = 0.99})}),
          levenberg_marquardt({.damping = 0.1, .rho = 0.9}),
          adadelta({.rho = 0.95, .schedule = linear_rate({.final = 0.1})}),
          rmsprop({.rho = 0.9,
                   .epsilon = 1e-7,
                   .inside = true,
                   .centered = true,
                   .momentum = 0.5,
                   .schedule = polynomial_rate({.power = 0.9})}),
          sgd({.schedule = cosine_restarts_rate({.every = 9, .growth = 2})}),
          sgd({.schedule = cyclic_rate({.every = 9, .start = 0.2, .gamma = 0.5})}),
          sgd({.schedule = one_cycle_rate({.rise = 0.4, .start = 0.1, .end = 1e-3})}),
          sgd({.schedule = plateau_rate({.patience = 3, .metric = RateMetric::accuracy})})})
        static_cast<void>(other);
    m.classes({"a", "b", "c", "d"});
    m.normalize({0.5, 0.5, 0.5}, {0.2, 0.2, 0.2});
    m.freeze("conv1");
    m.no_decay("*.gamma");
    m.learning_rate("dense*", 0.5);
    return compile(m, argc, argv);
}
