// What is suggested in place of a word that is unknown.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ops/registry.h"
#include "compiler/support/closest.h"
#include "compiler/support/synonyms.h"
#include "dsl/option_names.h"
#include "tests/support/paths.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

std::string headers() {
    return read_text(source_path("dsl/emulsion.h")) + read_text(source_path("dsl/training.h")) +
           read_text(source_path("dsl/signal.h")) + read_text(source_path("dsl/unsupervised.h"));
}

std::string op_for(std::string_view word) {
    return suggest(word, op_kinds(), Vocabulary::layers).to_string(word, "op");
}

std::string function_for(std::string_view word) {
    static const std::vector<std::string> known = find_unknown_functions("", headers()).known;
    return suggest(word, {known.begin(), known.end()}, Vocabulary::layers).word;
}

TEST(Suggestions, OpsThatMeanTheSame) {
    for (const char* word : {"deconvolution", "conv_transpose", "ConvTranspose2d",
                             "Conv2DTranspose", "transposed_conv", "nn.ConvTranspose3d"}) {
        EXPECT_EQ(op_for(word), fmt::format("'{}' is called 'conv2d_backward_data' here", word));
    }
    EXPECT_EQ(op_for("LayerNorm"), "'LayerNorm' is called 'group_norm' here, with {groups=1}");
    EXPECT_EQ(op_for("upsample"), "'upsample' is called 'resize' here");
    EXPECT_EQ(op_for("convolve"), "'convolve' is called 'conv2d' here");
    EXPECT_EQ(op_for("rela"), "the closest op is 'relu'");
    EXPECT_EQ(op_for("Softmax"), "'Softmax' is called 'softmax' here");
    EXPECT_EQ(op_for("GlobalMaxPooling2D"),
              "'GlobalMaxPooling2D' is called 'max_pool' here, with a window of the whole map");
}

TEST(Suggestions, NothingWhereNothingIsNear) {
    for (const char* word : {"lstm", "attention", "transformer", "x", "", "__", "conv2d_lstm_cell"})
        EXPECT_EQ(op_for(word), "") << word;
    // Written like sigmoid's kin, sqrt, crop and sgd, and something else.
    for (const char* word : {"LSTM", "GRU", "Bilinear", "CircularPad2d", "AlphaDropout", "sort",
                             "Rprop", "std", "Adamax"})
        EXPECT_EQ(function_for(word), "") << word;
}

// What is no layer here is written with others; only what such a text calls is known.
TEST(Suggestions, LayersMadeOfOthers) {
    const std::pair<const char*, const char*> pairs[] = {
        {"SeparableConv2D", "conv(depthwise_conv(x), filters, {.kernel = 1})"},
        {"nn.EmbeddingBag", "mean(embedding(index, vocabulary, width), {1})"},
        {"SELU", "1.0507 * elu(x, {.alpha = 1.67326})"},
        {"CELU", "alpha * elu(x / alpha)"},
        {"GLU", "halves[0] * sigmoid(halves[1]), of halves = split(x, 2)"},
        {"LogSigmoid", "-softplus(-x)"},
        {"Softmin", "softmax(-x)"},
        {"Softsign", "x / (1 + abs(x))"},
        {"RMSNorm", "gain * x / sqrt(mean(x * x, {0}) + 1e-6), with a parameter gain"},
    };
    for (const auto& [word, expected] : pairs) {
        EXPECT_EQ(op_for(word), fmt::format("'{}' is written here as {}", word, expected));
        EXPECT_EQ(function_for(word), expected);
    }
    for (const Composite& layer : composites(Vocabulary::layers)) {
        std::vector<std::string> unknown;
        const std::string all = headers() + read_text(source_path("dsl/augmentation.h"));
        for (const UnknownFunction& f :
             find_unknown_functions(std::string(layer.written), all).unknown)
            unknown.push_back(f.name);
        EXPECT_EQ(unknown, std::vector<std::string>()) << layer.written;
        for (std::string_view word : words_of(layer.others)) EXPECT_EQ(bare(word), word);
    }
    EXPECT_TRUE(composites(Vocabulary::options).empty());
}

TEST(Suggestions, FunctionsOfKerasAndPyTorch) {
    const std::pair<const char*, const char*> pairs[] = {
        {"Conv2D", "conv"},
        {"nn::Conv2d", "conv"},
        {"Conv2DTranspose", "conv_transpose"},
        {"DepthwiseConv2D", "depthwise_conv"},
        {"Dense", "dense"},
        {"Linear", "dense"},
        {"MaxPooling2D", "max_pool"},
        {"MaxPool2d", "max_pool"},
        {"AvgPool2d", "average_pool"},
        {"AveragePooling2D", "average_pool"},
        {"GlobalAveragePooling2D", "global_average_pool"},
        {"AdaptiveAvgPool2d", "global_average_pool"},
        {"BatchNormalization", "batch_norm"},
        {"BatchNorm2d", "batch_norm"},
        {"LayerNorm", "layer_norm"},
        {"LayerNormalization", "layer_norm"},
        {"GroupNorm", "group_norm"},
        {"InstanceNorm2d", "instance_norm"},
        {"LocalResponseNorm", "local_response_norm"},
        {"Flatten", "flatten"},
        {"LeakyReLU", "leaky_relu"},
        {"swish", "silu"},
        {"GELU", "gelu"},
        {"ReLU", "relu"},
        {"Hardswish", "hard_swish"},
        {"cat", "concatenate"},
        {"Concatenate", "concatenate"},
        {"UpSampling2D", "upsample"},
        {"interpolate", "upsample"},
        {"ZeroPadding2D", "pad"},
        {"PixelShuffle", "pixel_shuffle"},
        {"SpatialDropout2D", "spatial_dropout"},
        {"CrossEntropyLoss", "classify"},
        {"BCEWithLogitsLoss", "binary_cross_entropy"},
        {"MSELoss", "mean_squared_error"},
        {"DropPath", "stochastic_depth"},
        {"Embedding", "embedding"},
        {"DeformableConv2d", "deform_conv"},
        {"MelScale", "mel_bands"},
        {"detach", "stop_gradient"},
        {"CRBM", "conv_rbm"},
        {"AdamW", "adamw"},
        {"CosineAnnealingLR", "cosine_rate"},
        {"ReduceLROnPlateau", "plateau_rate"},
        {"OneCycleLR", "one_cycle_rate"},
        {"max_poll", "max_pool"},
        {"ConvTranspose2d", "conv_transpose"},
        {"Conv1DTranspose", "conv_transpose"},
        {"LazyConv2d", "conv"},
        {"LazyLinear", "dense"},
        {"PReLU", "prelu"},
        {"RReLU", "leaky_relu"},
        {"Softplus", "softplus"},
        {"Softmax", "softmax"},
        {"Mish", "mish"},
        {"Dropout2d", "spatial_dropout"},
        {"Dropout3d", "spatial_dropout"},
        {"SyncBatchNorm", "batch_norm"},
        {"Reshape", "reshape"},
        {"view", "reshape"},
        {"unsqueeze", "reshape"},
        {"Permute", "transpose"},
        {"UpsamplingBilinear2d", "upsample"},
        {"CategoricalCrossentropy", "cross_entropy"},
        {"SparseCategoricalCrossentropy", "classify"},
        {"KLDivLoss", "cross_entropy"},
        {"Sum", "sum"},
        {"Adam", "adam"},
        {"dilated_conv", "conv"},
    };
    for (const auto& [word, expected] : pairs) EXPECT_EQ(function_for(word), expected) << word;
}

TEST(Suggestions, OptionsOfTheFunctionAtHand) {
    const auto of = [](std::string_view word, const std::vector<std::string_view>& known) {
        return suggest(word, known, Vocabulary::options).word;
    };
    EXPECT_EQ(of("kernel_size", {"kernel", "stride", "padding"}), "kernel");
    EXPECT_EQ(of("kernel_size", {"window", "stride", "padding"}), "window");
    EXPECT_EQ(of("pool_size", {"window", "stride"}), "window");
    EXPECT_EQ(of("strides", {"window", "stride"}), "stride");
    EXPECT_EQ(of("use_bias", {"kernel", "bias", "bias_init"}), "bias");
    EXPECT_EQ(of("kernel_initializer", {"init", "bias_init"}), "init");
    EXPECT_EQ(of("ceil_mode", {"round_up"}), "round_up");
    EXPECT_EQ(of("count_include_pad", {"count_padding"}), "count_padding");
    EXPECT_EQ(of("p", {"rate", "name"}), "rate");
    EXPECT_EQ(of("eps", {"epsilon", "momentum"}), "epsilon");
    EXPECT_EQ(of("lr", {"learning_rate", "l1"}), "learning_rate");
    EXPECT_EQ(of("ignore_index", {"ignored", "weight"}), "ignored");
    EXPECT_EQ(of("dim", {"axis", "name"}), "axis");
    EXPECT_EQ(of("hop_length", {"n_fft", "hop", "window_length"}), "hop");
    EXPECT_EQ(of("win_length", {"n_fft", "hop", "window_length"}), "window_length");
    EXPECT_EQ(of("kernal", {"kernel", "name"}), "kernel");
    EXPECT_EQ(of("device", {"kernel", "name"}), "");
}

TEST(Suggestions, EveryRowLeadsSomewhere) {
    std::string here = headers();
    for (std::string_view kind : op_kinds()) here += fmt::format(" {} ", kind);
    for (const Vocabulary vocabulary : {Vocabulary::layers, Vocabulary::options}) {
        for (const Synonyms& row : synonyms(vocabulary)) {
            const auto is_here = [&](std::string_view name) {
                return here.find(fmt::format(" {}", name)) != std::string::npos;
            };
            const std::vector<std::string_view> names = words_of(row.names);
            EXPECT_TRUE(std::ranges::any_of(names, is_here)) << row.names;
            for (std::string_view word : words_of(row.others)) EXPECT_EQ(bare(word), word);
            EXPECT_TRUE(row.remarked.empty() || std::ranges::count(names, row.remarked) == 1);
        }
    }
}

TEST(Suggestions, FunctionsThatAModelCalls) {
    const auto called = [](const std::string& model) {
        std::vector<std::string> found;
        for (const UnknownFunction& f : find_unknown_functions(model, headers()).unknown)
            found.push_back(fmt::format("{} {}{}", f.line, f.is_member ? "." : "", f.name));
        return found;
    };
    using Lines = std::vector<std::string>;
    EXPECT_EQ(called("x = Conv2D(x, 4);\ny = relu(Dense(x));"), (Lines{"1 Conv2D", "2 Dense"}));
    EXPECT_EQ(called("Tensor block(Tensor x) { return conv(x, 4); }\nblock(x); std::max(1, 2);\n"
                     "if (a) while (b) m.classify(x); m.fit(x); // Conv2D(x)"),
              (Lines{"3 .fit"}));
    EXPECT_EQ(called("const Tensor& f(int); return Linear(x); p->go(); torch::nn::Linear(y);"),
              (Lines{"1 Linear", "1 .go"}));
    for (const char* text : {"", "(", ")", "f(", "((((", ".(", "::(", "->(", "\"(", "a b("})
        EXPECT_LE(called(text).size(), 1u) << text;
}

TEST(Suggestions, ClosestWord) {
    EXPECT_EQ(closest("size", {"slice"}), "");
    EXPECT_EQ(closest("conv2", {"add", "conv2d", "dense"}), "conv2d");
    EXPECT_EQ(closest("maxpool", {"average_pool", "max_pool"}), "max_pool");
    EXPECT_EQ(closest("MaxPool", {"average_pool", "max_pool"}), "max_pool");
    EXPECT_EQ(closest("grupo", {"stride", "groups"}), "groups");
    EXPECT_EQ(closest("convolve", {"concatenate", "conv2d"}), "");
    EXPECT_EQ(closest("conv2d_transpose", {"concatenate", "conv2d"}), "");
    EXPECT_EQ(closest("upsample", {"scale", "softmax"}), "");
    EXPECT_EQ(closest("", {"add", "sub"}), "");
    EXPECT_EQ(closest("_", {"add", "sub"}), "");
}

}  // namespace
}  // namespace emulsion::test
