// Options that a model file names and no function has.
#include "dsl/option_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

// "LINE FUNCTION NAME" of each.
std::vector<std::string> found(const std::string& model) {
    static const std::string header =
        read_text(source_path("dsl/emulsion.h")) + read_text(source_path("dsl/training.h")) +
        read_text(source_path("dsl/augmentation.h")) + read_text(source_path("dsl/signal.h")) +
        read_text(source_path("dsl/unsupervised.h"));
    std::vector<std::string> lines;
    for (const UnknownOption& option : find_unknown_options(model, header))
        lines.push_back(fmt::format("{} {} {}", option.line, option.function, option.name));
    return lines;
}

using Lines = std::vector<std::string>;

TEST(OptionNames, OfEveryFunction) {
    for (const char* call : {"conv(x, 4, ",
                             "depthwise_conv(x, ",
                             "conv_transpose(x, 4, ",
                             "relu6(x, ",
                             "dense(x, 4, ",
                             "max_pool(x, ",
                             "average_pool(x, ",
                             "global_average_pool(x, ",
                             "relu(x, ",
                             "leaky_relu(x, ",
                             "max_pool_with_indices(x, ",
                             "max_unpool(x, p, ",
                             "global_max_pool(x, ",
                             "subsample(x, ",
                             "concatenate({x, y}, ",
                             "pad(x, 1, ",
                             "crop(x, {1, 2}, ",
                             "slice(x, ",
                             "split(x, 2, ",
                             "transpose(x, {1, 0, 2}, ",
                             "flip(x, {1}, ",
                             "channel_shuffle(x, 2, ",
                             "upsample(x, ",
                             "reshape(x, {1, 2, 3}, ",
                             "batch_norm(x, ",
                             "gelu(x, ",
                             "prelu(x, ",
                             "maxout(x, 4, ",
                             "group_norm(x, 4, ",
                             "local_response_norm(x, ",
                             "gaussian_noise(x, ",
                             "highway(x, y, ",
                             "squeeze_excitation(x, ",
                             "dropout(x, ",
                             "stft(x, ",
                             "spectrogram(x, ",
                             "mel_bands(x, 40, ",
                             "stop_gradient(x, ",
                             "conv_rbm(x, 8, ",
                             "step_rate(",
                             "multi_step_rate(",
                             "exponential_rate(",
                             "linear_rate(",
                             "polynomial_rate(",
                             "cosine_rate(",
                             "cosine_restarts_rate(",
                             "cyclic_rate(",
                             "one_cycle_rate(",
                             "plateau_rate(",
                             "warm_up(",
                             "sgd(",
                             "adam(",
                             "adamw(",
                             "adagrad(",
                             "adadelta(",
                             "rmsprop(",
                             "levenberg_marquardt(",
                             "m.classify(x, ",
                             "m.mean_squared_error(x, ",
                             "m.loss(x, "}) {
        const std::string function(call, std::string_view(call).find('('));
        const std::string name = function.substr(function.find('.') + 1);
        EXPECT_EQ(found(fmt::format("{}{{.nothing = 1}});", call)),
                  Lines{"1 " + name + " nothing"});
    }
}

TEST(OptionNames, AllThatAreThereAreKnown) {
    EXPECT_EQ(found("conv(x, 4, {.kernel = 3, .stride = {1, 2}, .dilation = 1, .padding = same,\n"
                    ".border = Border::reflect(), .strict = true, .groups = 1, .flip = true,\n"
                    ".bias = false, .init = Init::he(), .bias_init = Init::ones(),\n"
                    ".activation = relu, .name = \"c\"});\n"
                    "slice(x, {.axis = 1, .begin = 0, .end = -1, .step = 2});\n"
                    "conv_transpose(x, 4, {.output_padding = 1});\n"
                    "average_pool(x, {.window = 2, .stride = 0, .padding = 1, .round_up = true,\n"
                    ".count_padding = true, .name = \"\"});\n"
                    "sgd({.learning_rate = .1, .schedule = step_rate({.every = 1'000})});\n"
                    "adam({.form = AdamForm::keras, .decoupled = true});\n"),
              Lines{});
}

TEST(OptionNames, CommentsLiteralsAndOtherCallsDoNotCount) {
    EXPECT_EQ(found("// conv(x, 4, {.a = 1})\n/* conv(x, 4, {.b = 1}) */ \"conv(x, {.c = 1})\"\n"
                    "mine(x, {.d = 1}); Mine y{.e = 1}; conv(x, f(1, .5), y.g, z[.3]);\n"
                    "conv(x, 4, {.name = \"(\", .h = '}'});"),
              Lines{"4 conv h"});
}

TEST(OptionNames, TextThatIsNoProgram) {
    for (const char* text : {"", ".", "{.", "({.a", "conv({.a", "}}}.a", "conv(\"", "'", "/*", "//",
                             "\\", "\"\\", "conv(x, {.}", "conv(x, {,.,.,"})
        EXPECT_LE(found(text).size(), 1u) << text;
}

}  // namespace
}  // namespace emulsion::test
