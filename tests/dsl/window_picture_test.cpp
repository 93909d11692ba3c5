// Pictures of windows: what is drawn is counted, and compared as text.
#include "dsl/window_picture.h"

#include <gtest/gtest.h>

#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) found++;
    return found;
}

size_t rects(const std::string& svg, const std::string& name) {
    return count(svg, "<rect class=\"" + name + "\"");
}

WindowPicture picture_of(const std::function<Tensor(const Tensor&)>& layer, int64_t height,
                         int64_t width) {
    Model m("drawn");
    m.output("y", layer(m.input("x", {1, height, width})));
    return picture_of_layer(finished(m).graph, "it");
}

// Cells of the map, padding, zeros between cells, taps, cells of the result.
using Counts = std::vector<size_t>;
Counts counts_of(const WindowPicture& picture) {
    const std::string svg = svg_of(picture);
    const size_t results = rects(svg, "result");
    EXPECT_EQ(rects(svg, "made"), 1u);
    EXPECT_EQ(count(svg, ";"), 2 * (results - 1) + count(svg, "; ")) << "a place for each position";
    return {rects(svg, "cell"), rects(svg, "padding"), rects(svg, "zero"), rects(svg, "tap"),
            results};
}

TEST(WindowPicture, CountsOfConvolutions) {
    const auto conv_of = [](ConvOptions options) {
        options.name = "it";
        return [options](const Tensor& x) { return conv(x, 1, options); };
    };
    EXPECT_EQ(counts_of(picture_of(conv_of({.kernel = 3}), 5, 5)), (Counts{25, 0, 0, 9, 9}));
    EXPECT_EQ(counts_of(picture_of(conv_of({.kernel = 3, .stride = 2, .padding = same}), 5, 5)),
              (Counts{25, 24, 0, 9, 9}));
    EXPECT_EQ(counts_of(picture_of(conv_of({.kernel = {1, 3}, .dilation = 2}), 4, 9)),
              (Counts{36, 0, 0, 3, 20}));
    EXPECT_EQ(
        counts_of(picture_of(
            conv_of(
                {.kernel = 3, .stride = 2, .padding = {0, 1, 2, 0}, .border = Border::replicate()}),
            6, 5)),
        (Counts{30, 19, 0, 9, 9}));  // the row below, two columns at the left
    EXPECT_EQ(counts_of(picture_of(conv_of({.kernel = 1, .stride = 3}), 1, 1)),
              (Counts{1, 0, 0, 1, 1}));
}

// As a convolution of the same window, whose padding it makes by itself.
TEST(WindowPicture, LocallyConnectedLayersAreDrawnAsConvolutions) {
    const auto check = [](const ConvOptions& given, int64_t height, int64_t width) {
        ConvOptions options = given;
        options.name = "it";
        const auto local = [&](const Tensor& x) {
            return locally_connected(x, 1,
                                     {.kernel = options.kernel,
                                      .stride = options.stride,
                                      .dilation = options.dilation,
                                      .padding = options.padding,
                                      .border = options.border,
                                      .name = "it"});
        };
        const WindowPicture expected =
            picture_of([&](const Tensor& x) { return conv(x, 1, options); }, height, width);
        const WindowPicture picture = picture_of(local, height, width);
        EXPECT_EQ(text_of(picture), text_of(expected));
        EXPECT_EQ(svg_of(picture), svg_of(expected));
    };
    check({}, 5, 5);
    check({.kernel = 1}, 2, 3);
    check({.kernel = {3, 2}, .stride = 2, .padding = same}, 5, 4);
    check({.kernel = {1, 3}, .dilation = {1, 2}, .padding = {0, 1, 3, 0}}, 4, 9);
    check({.stride = {3, 1}, .padding = 1, .border = Border::reflect()}, 6, 4);
    check({.padding = 1, .border = Border::constant(0.5)}, 3, 3);
    Model m("lines");
    m.output("y", locally_connected(m.input("x", {2, 7}), 3, {.stride = 2, .name = "it"}));
    EXPECT_EQ(picture_of_layer(finished(m).graph, "it").title,
              "it: filter 1x3, stride 1x2; 1x7 to 1x3");
}

// Before any tap is moved.
TEST(WindowPicture, CountsOfDeformableConvolutions) {
    const auto deform = [](Offsets offsets) {
        return [offsets](const Tensor& x) {
            return deform_conv(x, 1,
                               {.kernel = {3, 2}, .stride = 2, .offsets = offsets, .name = "it"});
        };
    };
    for (const Offsets offsets : {Offsets::per_tap, Offsets::per_position})
        EXPECT_EQ(counts_of(picture_of(deform(offsets), 5, 6)), (Counts{30, 0, 0, 6, 6}));
}

TEST(WindowPicture, CountsOfTransposedConvolutions) {
    const auto picture = [](const ConvTransposeOptions& given, int64_t height, int64_t width) {
        ConvTransposeOptions options = given;
        options.name = "it";
        return counts_of(picture_of([&](const Tensor& x) { return conv_transpose(x, 1, options); },
                                    height, width));
    };
    // 2x2 cells among 5 zeros, two cells around them: 7x7 in all, and 5x5 positions.
    EXPECT_EQ(picture({.kernel = 3, .stride = 2}, 2, 2), (Counts{4, 40, 5, 9, 25}));
    EXPECT_EQ(picture({.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1}, 3, 3),
              (Counts{9, 39, 16, 9, 36}));
    EXPECT_EQ(picture({.kernel = 2, .stride = 1}, 3, 4), (Counts{12, 18, 0, 4, 20}));
    EXPECT_EQ(picture({.kernel = 1, .stride = 2}, 2, 2), (Counts{4, 0, 5, 1, 9}));
    EXPECT_EQ(picture({.kernel = 1, .stride = 2, .output_padding = 1}, 2, 2),
              (Counts{4, 7, 5, 1, 16}));
}

TEST(WindowPicture, CountsOfPoolings) {
    const auto picture = [](PoolOptions options, int64_t height, int64_t width) {
        options.name = "it";
        return counts_of(
            picture_of([&](const Tensor& x) { return max_pool(x, options); }, height, width));
    };
    EXPECT_EQ(picture({.window = 2}, 4, 4), (Counts{16, 0, 0, 4, 4}));
    EXPECT_EQ(picture({.window = 2}, 5, 5), (Counts{25, 0, 0, 4, 4}));
    EXPECT_EQ(picture({.window = 2, .round_up = true}, 5, 5), (Counts{25, 11, 0, 4, 9}));
    EXPECT_EQ(picture({.window = {2, 3}, .stride = 1}, 3, 3), (Counts{9, 0, 0, 6, 2}));
}

TEST(WindowPicture, Text) {
    const WindowPicture picture = picture_of(
        [](const Tensor& x) {
            return conv(x, 1, {.kernel = 3, .stride = 2, .padding = same, .name = "it"});
        },
        3, 4);
    EXPECT_EQ(text_of(picture),
              "it: filter 3x3, stride 2x2, padding 1 1 0 1 of zeros; 3x4 to 2x2\n"
              "o a cell, # a cell under the window, . padding, + either under the window\n"
              "\n"
              "step 1 of 4\n"
              "  + + + . .     # o\n"
              "  # # # o .     o o\n"
              "  # # # o .\n"
              "  o o o o .\n"
              "  . . . . .\n"
              "\n"
              "step 2 of 4\n"
              "  . . + + +     o #\n"
              "  o o # # +     o o\n"
              "  o o # # +\n"
              "  o o o o .\n"
              "  . . . . .\n"
              "\n"
              "step 3 of 4\n"
              "  . . . . .     o o\n"
              "  o o o o .     # o\n"
              "  # # # o .\n"
              "  # # # o .\n"
              "  + + + . .\n"
              "\n"
              "step 4 of 4\n"
              "  . . . . .     o o\n"
              "  o o o o .     o #\n"
              "  o o # # +\n"
              "  o o # # +\n"
              "  . . + + +\n");
}

TEST(WindowPicture, TextOfATransposedConvolution) {
    const WindowPicture picture = picture_of(
        [](const Tensor& x) {
            return conv_transpose(x, 1, {.kernel = 2, .stride = 2, .name = "it"});
        },
        1, 2);
    EXPECT_EQ(text_of(picture),
              "it: filter 2x2, stride 1x1, 1x1 zeros between cells, padding 1 1 1 1 of zeros; 1x2 "
              "to 2x4\n"
              "o a cell, # a cell under the window, . padding, : a zero between cells, + either "
              "under the window\n"
              "\n"
              "step 1 of 8\n"
              "  + + . . .     # o o o\n"
              "  + # : o .     o o o o\n"
              "  . . . . .\n"
              "\n"
              "step 2 of 8\n"
              "  . + + . .     o # o o\n"
              "  . # + o .     o o o o\n"
              "  . . . . .\n"
              "\n"
              "step 5 of 8\n"
              "  . . . . .     o o o o\n"
              "  + # : o .     # o o o\n"
              "  + + . . .\n"
              "\n"
              "step 8 of 8\n"
              "  . . . . .     o o o o\n"
              "  . o : # +     o o o #\n"
              "  . . . + +\n");
}

std::string error_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

TEST(WindowPicture, Refusals) {
    Model m("net");
    Tensor x = m.input("x", {1, 80, 80});
    x = max_pool(relu(conv(x, 2, {.kernel = 3})));
    m.output("y", dense(flatten(x), 2));
    const Graph graph = finished(m).graph;
    EXPECT_EQ(error_of([&] { picture_of_layer(graph, "conv3"); }),
              "error[layer]: the model has no layer 'conv3'\n  fix: the closest is 'conv1'; "
              "convolutions and poolings are conv1, max_pool1");
    EXPECT_EQ(error_of([&] { picture_of_layer(graph, "relu1"); }),
              "error[layer]: the layer 'relu1' has no window\n  fix: convolutions and poolings are "
              "conv1, max_pool1");
    EXPECT_EQ(
        error_of([&] { text_of(picture_of_layer(graph, "conv1")); }),
        "error[size]: a map of 80x80 cells, padding included, is too large to be drawn\n  fix: "
        "draw the same window on a smaller map, of at most 60 cells along an axis");
    Model plain("plain");
    plain.output("y", relu(plain.input("x", {4})));
    EXPECT_EQ(
        error_of([&] { picture_of_layer(finished(plain).graph, "relu1"); }),
        "error[layer]: the layer 'relu1' has no window\n  fix: name a convolution or pooling, "
        "of which this model has none");
}

}  // namespace
}  // namespace emulsion
