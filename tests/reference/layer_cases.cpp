// A case has the name of its row in tests/reference/pytorch.py, and so has the layer.
#include "tests/reference/layer_cases.h"

namespace emulsion::test {

namespace {

using Written = WrittenCases::value_type;

WrittenCase conv_case(const std::vector<int64_t>& x, int filters, ConvOptions options) {
    return {x,
            [=](Model&, const Tensor& map, const std::string& name) mutable {
                options.name = name;
                return conv(map, filters, options);
            },
            {}};
}

WrittenCase transposed_case(const std::vector<int64_t>& x, int filters,
                            ConvTransposeOptions options) {
    return {x,
            [=](Model&, const Tensor& map, const std::string& name) mutable {
                options.name = name;
                return conv_transpose(map, filters, options);
            },
            {}};
}

WrittenCase deformed_case(const std::vector<int64_t>& x, int filters, DeformConvOptions options) {
    return {x,
            [=](Model&, const Tensor& map, const std::string& name) mutable {
                options.name = name;
                return deform_conv(map, filters, options);
            },
            {}};
}

// A layer that needs nothing but its operand.
WrittenCase plain_case(const std::vector<int64_t>& x,
                       const std::function<Tensor(const Tensor&)>& layer) {
    return {x, [layer](Model&, const Tensor& map, const std::string&) { return layer(map); }, {}};
}

// The same of 3 x, which reaches all pieces of an activation.
WrittenCase activation_case(const std::function<Tensor(const Tensor&)>& layer) {
    return plain_case({3, 2, 3}, [layer](const Tensor& x) { return layer(3 * x); });
}

// A layer with a name of its own.
template <class Layer>
WrittenCase named_case(const std::vector<int64_t>& x, Layer layer) {
    return {
        x,
        [layer](Model&, const Tensor& map, const std::string& name) { return layer(map, name); },
        {}};
}

const Padding kUneven = {1, 2, 2, 1};

WrittenCases convolutions() {
    return {
        {"conv", conv_case({3, 5, 7}, 4, {.padding = 1})},
        {"conv_strided",
         conv_case({2, 7, 5}, 3, {.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}})},
        {"conv_dilated", conv_case({2, 7, 6}, 3, {.dilation = {2, 1}, .padding = {2, 1}})},
        {"conv_strided_dilated",
         conv_case({1, 9, 8}, 2, {.kernel = {2, 3}, .stride = 2, .dilation = {3, 2}})},
        {"conv_groups", conv_case({4, 5, 4}, 6, {.padding = 1, .groups = 2})},
        {"conv_depthwise",
         named_case({3, 6, 5},
                    [](const Tensor& x, const std::string& name) {
                        return depthwise_conv(
                            x, {.stride = 2, .padding = 1, .multiplier = 2, .name = name});
                    })},
        {"conv_one", conv_case({5, 3, 1}, 3, {.kernel = 1, .bias = false})},
        {"conv_row", conv_case({2, 1, 9}, 2, {.kernel = {1, 7}, .padding = {0, 3}})},
        {"conv_same", conv_case({2, 5, 6}, 2, {.kernel = {4, 3}, .padding = same})},
        {"conv_reflect",
         conv_case({2, 4, 5}, 2, {.padding = kUneven, .border = Border::reflect()})},
        {"conv_replicate",
         conv_case({2, 4, 5}, 2, {.padding = kUneven, .border = Border::replicate()})},
        {"conv_transpose",
         transposed_case({3, 3, 4}, 2, {.stride = 2, .padding = 1, .output_padding = 1})},
        {"conv_transpose_wide",
         transposed_case({2, 3, 2}, 2,
                         {.kernel = {2, 4}, .stride = {1, 3}, .output_padding = {0, 2}})},
        {"conv_transpose_dilated",
         transposed_case({2, 3, 4}, 3,
                         {.kernel = {3, 2}, .stride = 2, .dilation = {2, 3}, .padding = {1, 2}})},
        {"conv_transpose_groups",
         transposed_case({4, 3, 3}, 4, {.stride = 2, .padding = 1, .groups = 2})},
        {"conv_line", conv_case({3, 9}, 2, {.kernel = 4, .stride = 2, .padding = 1})},
        {"conv_transpose_line", transposed_case({2, 4}, 3, {.stride = 2, .output_padding = 1})},
        {"conv_volume",
         conv_case({2, 3, 5, 3}, 3,
                   {.kernel = {2, 3, 1}, .stride = {1, 2, 1}, .padding = {1, 1, 0}})},
        {"deform_conv", deformed_case({2, 4, 5}, 3, {.padding = 1})},
        {"deform_conv_modulated", deformed_case({3, 7, 6}, 2,
                                                {.kernel = {3, 2},
                                                 .stride = {2, 1},
                                                 .dilation = {1, 2},
                                                 .padding = {0, 1},
                                                 .modulated = true})},
        {"deform_conv_groups", deformed_case({4, 5, 4}, 4,
                                             {.kernel = {2, 3},
                                              .stride = {1, 2},
                                              .dilation = {2, 1},
                                              .padding = {1, 0},
                                              .modulated = true,
                                              .offset_groups = 2,
                                              .groups = 2})},
        {"embedding",
         {{3, 5},
          [](Model& m, const Tensor& x, const std::string& name) {
              return x + embedding(m.indices(name + ".index", {5}), 6, 3, {.name = name});
          },
          {}}},
        {"scatter_max",
         {{3, 6},
          [](Model& m, const Tensor& x, const std::string& name) {
              return scatter_max(x, m.indices(name + ".index", {6}), 5);
          },
          {}}},
        {"scatter_max_ties",  // of zeros, whose gradient is that of x
         {{2, 9},
          [](Model& m, const Tensor& x, const std::string& name) {
              return scatter_max(x - stop_gradient(x), m.indices(name + ".index", {9}), 4);
          },
          {}}},
        {"dense", named_case({5}, [](const Tensor& x, const std::string& name) {
             return dense(x, 3, {.name = name});
         })}};
}

WrittenCases pools() {
    const PoolOptions three = {.window = 3, .stride = 2, .padding = 1};
    const PoolOptions up = {.window = {3, 2}, .stride = 2, .round_up = true};
    PoolOptions counted = three;
    counted.count_padding = true;
    return {
        {"max_pool", plain_case({2, 7, 5}, [=](const Tensor& x) { return max_pool(x, three); })},
        {"max_pool_up", plain_case({2, 6, 5}, [=](const Tensor& x) { return max_pool(x, up); })},
        {"max_pool_volume", plain_case({2, 4, 3, 5}, [](const Tensor& x) { return max_pool(x); })},
        {"average_pool_line",
         plain_case({2, 8}, [=](const Tensor& x) { return average_pool(x, three); })},
        {"average_pool",
         plain_case({2, 7, 5}, [=](const Tensor& x) { return average_pool(x, three); })},
        {"average_pool_counted",
         plain_case({2, 7, 5}, [=](const Tensor& x) { return average_pool(x, counted); })},
        {"average_pool_up",
         plain_case({2, 6, 5}, [=](const Tensor& x) { return average_pool(x, up); })},
        {"global_average_pool",
         plain_case({3, 3, 5}, [](const Tensor& x) { return global_average_pool(x); })},
        {"global_max_pool",
         plain_case({3, 3, 5}, [](const Tensor& x) { return global_max_pool(x); })},
        {"max_unpool", plain_case({2, 4, 6}, [](const Tensor& x) {
             const IndexedPool pooled = max_pool_with_indices(x);
             return max_unpool(pooled.value, pooled);
         })}};
}

WrittenCases norms() {
    const auto batch = [](const Tensor& x, const std::string& name) {
        return batch_norm(x, {.name = name});
    };
    const auto layer = [](const Tensor& x, const std::string& name) {
        return layer_norm(x, {.name = name});
    };
    const auto groups = [](const Tensor& x, const std::string& name) {
        return group_norm(x, 3, {.name = name});
    };
    return {{"batch_norm", named_case({3, 2, 4}, batch)},
            {"batch_norm_volume", named_case({2, 2, 1, 3}, batch)},
            {"batch_norm_features", named_case({5}, batch)},
            {"group_norm", named_case({6, 2, 3}, groups)},
            {"instance_norm", named_case({3, 3, 4},
                                         [](const Tensor& x, const std::string& name) {
                                             return instance_norm(x, {.name = name});
                                         })},
            {"layer_norm", named_case({7}, layer)},
            {"layer_norm_map", named_case({3, 2, 4}, layer)},
            {"local_response_norm", plain_case({7, 2, 2},
                                               [](const Tensor& x) {
                                                   return local_response_norm(
                                                       x, {.alpha = 0.1, .k = 1, .average = true});
                                               })},
            {"local_response_norm_even", plain_case({6, 1, 3}, [](const Tensor& x) {
                 return local_response_norm(
                     x, {.size = 4, .alpha = 0.3, .beta = 0.5, .average = true});
             })}};
}

WrittenCases activations() {
    using T = const Tensor&;
    return {
        {"relu", activation_case([](T x) { return relu(x); })},
        {"relu6", activation_case([](T x) { return relu6(4 * x); })},
        {"leaky_relu", activation_case([](T x) { return leaky_relu(x, {.slope = 0.1}); })},
        {"tanh", activation_case([](T x) { return tanh(x); })},
        {"sigmoid", activation_case([](T x) { return sigmoid(x); })},
        {"elu", activation_case([](T x) { return elu(x, {.alpha = 0.7}); })},
        {"silu", activation_case([](T x) { return silu(x); })},
        {"hard_sigmoid", activation_case([](T x) { return hard_sigmoid(2 * x); })},
        {"hard_swish", activation_case([](T x) { return hard_swish(2 * x); })},
        {"mish", activation_case([](T x) { return mish(x); })},
        {"softplus", activation_case([](T x) { return softplus(x); })},
        {"gelu", activation_case([](T x) { return gelu(x); })},
        {"gelu_tanh", activation_case([](T x) { return gelu(x, {.approximate = true}); })},
        {"prelu",
         named_case({3, 2, 3},
                    [](T x, const std::string& name) { return prelu(x, {.name = name}); })},
        {"clip", activation_case([](T x) { return clip(x, -0.5, 1.5); })},
        {"softmax", activation_case([](T x) { return softmax(x); })},
        {"log_softmax", activation_case([](T x) { return log_softmax(x); })},
        {"exp", activation_case([](T x) { return exp(x); })},
        {"abs", activation_case([](T x) { return abs(x); })},
        {"log", activation_case([](T x) { return log(abs(x) + 0.5); })},
        {"sqrt", activation_case([](T x) { return sqrt(abs(x) + 0.5); })},
        {"pow", activation_case([](T x) { return pow(abs(x) + 0.5, 1.7); })},
    };
}

WrittenCases spectra() {
    using T = const Tensor&;
    const auto stft_case = [](int64_t length, const StftOptions& options) {
        return plain_case({1, length}, [=](T x) {
            const Stft y = stft(x, options);
            return concatenate({y.real, y.imaginary});
        });
    };
    return {
        {"stft", stft_case(37, {.n_fft = 8, .hop = 3})},
        {"stft_odd", stft_case(31, {.n_fft = 9,
                                    .hop = 4,
                                    .window_length = 6,
                                    .window = FrameWindow::hamming,
                                    .center = false})},
        {"stft_odd_centered",
         stft_case(12,
                   {.n_fft = 7, .hop = 5, .window_length = 4, .window = FrameWindow::rectangular})},
        {"spectrogram",
         plain_case({1, 21},
                    [](T x) {
                        return spectrogram(
                            x,
                            {.n_fft = 8, .hop = 2, .window_length = 5, .border = Border::zeros()});
                    })},
        {"spectrogram_magnitude",
         plain_case({1, 25},
                    [](T x) {
                        return spectrogram(
                            x, {.n_fft = 10, .hop = 3, .window = FrameWindow::hamming, .power = 1});
                    })},
        {"mel_bands", plain_case({1, 29},
                                 [](T x) {
                                     return mel_bands(spectrogram(x, {.n_fft = 16, .hop = 4}), 4,
                                                      {.sample_rate = 8000});
                                 })},
        {"mel_bands_slaney", plain_case({9, 5},
                                        [](T x) {
                                            return mel_bands(x, 3,
                                                             {.sample_rate = 8000,
                                                              .low = 300,
                                                              .high = 3800,
                                                              .scale = MelScale::slaney,
                                                              .equal_area = true});
                                        })},
    };
}

WrittenCases structure() {
    using T = const Tensor&;
    return {
        {"upsample", plain_case({2, 2, 3}, [](T x) { return upsample(x, {.factor = {2, 3}}); })},
        {"upsample_nearest",
         plain_case({2, 4, 3}, [](T x) { return upsample(x, {.size = {7, 5}}); })},
        {"upsample_bilinear",
         plain_case({2, 2, 3}, [](T x) { return upsample(x, {.mode = Interpolation::bilinear}); })},
        {"upsample_size", plain_case({2, 4, 3},
                                     [](T x) {
                                         return upsample(
                                             x, {.mode = Interpolation::bilinear, .size = {3, 7}});
                                     })},
        {"channel_shuffle", plain_case({6, 2, 1}, [](T x) { return channel_shuffle(x, 3); })},
        {"pixel_shuffle", plain_case({8, 2, 3}, [](T x) { return pixel_shuffle(x, 2); })},
        {"pixel_shuffle_three", plain_case({9, 3, 1}, [](T x) { return pixel_shuffle(x, 3); })},
        {"pixel_unshuffle", plain_case({2, 4, 6}, [](T x) { return pixel_unshuffle(x, 2); })},
        {"transpose", plain_case({2, 3, 4}, [](T x) { return transpose(x, {2, 0, 1}); })},
        {"flip", plain_case({2, 3, 2}, [](T x) { return flip(x, {1, 2}); })},
        {"pad",
         plain_case({2, 3, 3},
                    [](T x) { return pad(x, {1, 1, 0, 2}, {.border = Border::constant(0.5)}); })},
        {"pad_reflect",
         plain_case({2, 3, 3},
                    [](T x) { return pad(x, {1, 1, 0, 2}, {.border = Border::reflect()}); })},
        {"mean", plain_case({3, 2, 4}, [](T x) { return mean(x, {0, 2}); })},
        {"divide",
         {{3, 2, 2},
          [](Model& m, T x, const std::string& name) {
              return x / (m.parameter(name + ".by", {3}) + 2);
          },
          {}}},
        {"maximum",
         {{3, 2, 2},
          [](Model& m, T x, const std::string& name) {
              return maximum(x, m.parameter(name + ".with", {1, 2, 2}));
          },
          {}}},
    };
}

// ---- Losses ----

WrittenCase classify_case(const std::vector<int64_t>& x, ClassifyOptions options) {
    return {x, {}, [=](Model& m, const Tensor& scores, const std::string& name) mutable {
                options.label = name + ".label";
                m.classify(scores, options);
            }};
}

template <class Loss>
WrittenCase loss_case(const std::vector<int64_t>& x, Loss loss) {
    return {x, {}, loss};
}

WrittenCases classifiers() {
    const std::vector<double> weights = {0.5, 2, 1.25, 0.75};
    return {
        {"classify", classify_case({5}, {})},
        {"classify_smoothed", classify_case({4}, {.label_smoothing = 0.1})},
        {"classify_weighted", classify_case({4}, {.class_weights = weights})},
        {"classify_weighted_smoothed",
         classify_case({4}, {.label_smoothing = 0.2, .class_weights = weights})},
        {"classify_ignored", classify_case({4}, {.ignored = 1})},
        {"classify_pixels", classify_case({4, 3, 5}, {.class_weights = weights, .ignored = 2})},
        {"classify_line", classify_case({4, 7}, {})},
        {"classify_volume",
         classify_case({4, 2, 3, 2},
                       {.label_smoothing = 0.1, .class_weights = weights, .ignored = 2})},
    };
}

WrittenCases other_losses() {
    using T = const Tensor&;
    using N = const std::string&;
    return {
        {"cross_entropy",
         loss_case({5}, [](Model& m, T x, N n) { m.cross_entropy(x, {.target = n + ".share"}); })},
        {"cross_entropy_volume",
         loss_case({3, 2, 1, 4},
                   [](Model& m, T x, N n) { m.cross_entropy(x, {.target = n + ".share"}); })},
        {"cross_entropy_smoothed", loss_case({5},
                                             [](Model& m, T x, N n) {
                                                 m.cross_entropy(x, {.target = n + ".share",
                                                                     .label_smoothing = 0.3});
                                             })},
        {"binary_cross_entropy", loss_case({4, 2, 2},
                                           [](Model& m, T x, N n) {
                                               m.binary_cross_entropy(
                                                   3 * x, {.target = n + ".probability"});
                                           })},
        {"binary_cross_entropy_weighted", loss_case({5},
                                                    [](Model& m, T x, N n) {
                                                        m.binary_cross_entropy(
                                                            3 * x, {.target = n + ".probability",
                                                                    .positive_weight = 2.5});
                                                    })},
        {"mean_squared_error",
         loss_case({3, 2, 2}, [](Model& m, T x,
                                 N n) { m.mean_squared_error(3 * x, {.target = n + ".target"}); })},
        {"mean_absolute_error",
         loss_case({7}, [](Model& m, T x,
                           N n) { m.mean_absolute_error(3 * x, {.target = n + ".target"}); })},
        {"huber",
         loss_case({7}, [](Model& m, T x,
                           N n) { m.huber(3 * x, {.target = n + ".target", .delta = 0.6}); })},
        {"smooth_l1",
         loss_case({7}, [](Model& m, T x,
                           N n) { m.smooth_l1(3 * x, {.target = n + ".target", .beta = 0.6}); })},
        {"multi_margin",
         loss_case({5}, [](Model& m, T x,
                           N n) { m.multi_margin(x, {.label = n + ".label", .margin = 0.7}); })},
        {"multi_margin_squared",
         loss_case({5}, [](Model& m, T x,
                           N n) { m.multi_margin(x, {.label = n + ".label", .squared = true}); })},
        {"hinge",
         loss_case({6}, [](Model& m, T x, N n) { m.hinge(3 * x, {.target = n + ".sign"}); })},
    };
}

WrittenCases all_of(std::initializer_list<WrittenCases> families) {
    WrittenCases all;
    for (const WrittenCases& family : families) all.insert(family.begin(), family.end());
    return all;
}

}  // namespace

const WrittenCases& layer_cases() {
    static const WrittenCases cases =
        all_of({convolutions(), pools(), norms(), spectra(), activations(), structure()});
    return cases;
}

const WrittenCases& loss_cases() {
    static const WrittenCases cases = all_of({classifiers(), other_losses()});
    return cases;
}

}  // namespace emulsion::test
