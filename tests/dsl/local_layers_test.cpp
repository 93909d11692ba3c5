// Locally connected and deformable layers, and filters of a table: shapes, counts, worked examples
// and the whole message of each mistake.
#include <gtest/gtest.h>

#include <map>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "tests/dsl/dsl_support.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion {
namespace {

// Values of the parameters of a layer over a map.
template <class Layer>
int64_t parameters_of(const Shape& shape, const Layer& layer) {
    Model m("m");
    m.output("y", layer(m.input("x", shape)));
    const Network network = finished(m);
    int64_t count = 0;
    for (int i = 0; i < static_cast<int>(network.graph.nodes().size()); i++) {
        if (network.graph.op_as<Parameter>(i) != nullptr)
            count += element_count(network.graph.type({i, 0}));
    }
    return count;
}

const Shape kFive = {1, 5, 5};
const Values kX = {1, 1, 1, 0, 0,  //
                   0, 1, 1, 1, 0,  //
                   0, 0, 1, 1, 1,  //
                   0, 0, 1, 1, 0,  //
                   0, 1, 1, 0, 0};
const Values kW = {1, 0, 1,  //
                   0, 1, 0,  //
                   1, 0, 1};

TEST(LocallyConnected, HasAFilterForEachPosition) {
    EXPECT_EQ(parameters_of({3, 32, 32},
                            [](const Tensor& x) {
                                return locally_connected(x, 6, {.kernel = 5, .bias = false});
                            }),
              352800);
    EXPECT_EQ(parameters_of({3, 32, 32},
                            [](const Tensor& x) { return locally_connected(x, 6, {.kernel = 5}); }),
              352800 + 28 * 28 * 6);
}

// With the same filter everywhere it is the convolution; then position (0, 0) gets twice that.
TEST(LocallyConnected, IsTheConvolutionWhereFiltersAreEqual) {
    constexpr size_t kPositions = 25;
    Values w;
    for (double tap : kW) w.insert(w.end(), kPositions, tap);
    const auto layer = [](const Tensor& x) {
        return locally_connected(x, 1, {.padding = same, .bias = false, .name = "l"});
    };
    Values expected = run_layer(
        kFive, kX,
        [](const Tensor& x) { return conv(x, 1, {.padding = same, .bias = false, .name = "c"}); },
        {{"c.w", kW}});
    EXPECT_EQ(run_layer(kFive, kX, layer, {{"l.w", w}}), expected);
    for (size_t tap = 0; tap < kW.size(); tap++) w[tap * kPositions] *= 2;
    expected[0] *= 2;
    EXPECT_EQ(run_layer(kFive, kX, layer, {{"l.w", w}}), expected);
}

// Filters that are equal everywhere are those of the convolution, with each border.
TEST(LocallyConnected, BordersAreThoseOfAConvolution) {
    const Values map = {1, 2, 4, 8, -3, 5, 7, 0, 9, 6, -2, 3};
    const Values filter = {1, -2, 3, 0.5, 2, -1, 4, 1, -3};
    Values w;
    for (double tap : filter) w.insert(w.end(), 12, tap);
    for (const Border& border : {Border::zeros(), Border::constant(2), Border::reflect(),
                                 Border::symmetric(), Border::replicate()}) {
        EXPECT_EQ(
            run_layer({1, 3, 4}, map,
                      [&](const Tensor& x) {
                          return locally_connected(
                              x, 1, {.padding = 1, .border = border, .bias = false, .name = "l"});
                      },
                      {{"l.w", w}}),
            run_layer({1, 3, 4}, map,
                      [&](const Tensor& x) {
                          return conv(x, 1,
                                      {.padding = 1, .border = border, .bias = false, .name = "c"});
                      },
                      {{"c.w", filter}}))
            << border.kind;
    }
}

// Of a line position i reads cells 2 i and 2 i + 2; of a volume of two cells each position all.
TEST(LocallyConnected, OfLinesAndVolumes) {
    EXPECT_EQ(
        run_layer({1, 5}, {1, 2, 3, 4, 5},
                  [](const Tensor& x) {
                      return locally_connected(
                          x, 1,
                          {.kernel = 2, .stride = 2, .dilation = 2, .bias = false, .name = "l"});
                  },
                  {{"l.w", {1, 10, 100, 1000}}}),
        (Values{1 + 300, 30 + 5000}));
    EXPECT_EQ(run_layer({1, 2, 1, 1}, {3, 4},
                        [](const Tensor& x) {
                            return locally_connected(
                                x, 2, {.kernel = {2, 1, 1}, .bias = false, .name = "l"});
                        },
                        {{"l.w", {1, 10, 100, 1000}}}),
              (Values{43, 4300}));
    EXPECT_EQ(parameters_of({2, 4, 5, 6},
                            [](const Tensor& x) {
                                return locally_connected(x, 3,
                                                         {.stride = {1, 2, 3}, .padding = same});
                            }),
              (3 * 2 * 27 + 3) * 4 * 3 * 2);
}

Values deformed(const Values& offsets) {
    return run_layer(kFive, kX,
                     [](const Tensor& x) {
                         return deform_conv(
                             x, 1, {.offsets = Offsets::per_tap, .bias = false, .name = "d"});
                     },
                     {{"d.w", kW}, {"d.offsets", offsets}});
}

TEST(DeformConv, WorkedExample) {
    EXPECT_EQ(deformed(Values(18, 0)), (Values{4, 3, 4, 2, 4, 3, 2, 3, 4}));
    Values right;
    for (int tap = 0; tap < 9; tap++) right.insert(right.end(), {0, 0.25});
    Values first = deformed(right);
    first.resize(3);
    EXPECT_EQ(first, (Values{3.75, 3.25, 3.25}));
}

// A line is the map of one row: what moves right there moves along the line.
TEST(DeformConv, OfALine) {
    const Values x = {1, 2, 4, 8, 16, 32}, w = {1, -1, 3}, right = {0.25, -0.5, 1};
    Values both;
    for (double offset : right) both.insert(both.end(), {0, offset});
    const DeformConvOptions options{.stride = 2,
                                    .padding = 1,
                                    .offsets = Offsets::per_tap,
                                    .modulated = true,
                                    .bias = false,
                                    .name = "d"};
    DeformConvOptions of_map = options;
    of_map.kernel = {1, 3};
    of_map.stride = {1, 2};
    of_map.padding = {0, 0, 1, 1};
    const Values mask = {0, 2, -1};
    const Values y =
        run_layer({1, 6}, x, [&](const Tensor& t) { return deform_conv(t, 1, options); },
                  {{"d.w", w}, {"d.offsets", right}, {"d.mask", mask}});
    EXPECT_EQ(y, run_layer({1, 1, 6}, x, [&](const Tensor& t) { return deform_conv(t, 1, of_map); },
                           {{"d.w", w}, {"d.offsets", both}, {"d.mask", mask}}));
    EXPECT_EQ(y.size(), 3U);
}

// Masks are those of PyTorch: a factor for each tap, at each position.
TEST(DeformConv, MaskWeighsTaps) {
    const auto run_masked = [](const Values& mask) {
        Model m("m");
        const Tensor x = m.input("x", kFive);
        m.output("y", deform_conv(x, m.input("offsets", {18, 3, 3}), m.input("mask", {9, 3, 3}), 1,
                                  {.bias = false, .name = "d"}));
        return run(m, {{"x", kX}, {"d.w", kW}, {"offsets", Values(162, 0)}, {"mask", mask}});
    };
    EXPECT_EQ(run_masked(Values(81, 0.5)), (Values{2, 1.5, 2, 1, 2, 1.5, 1, 1.5, 2}));
    Values corner(81, 0);  // the last tap alone, and of the first position twice
    for (size_t position = 0; position < 9; position++) corner[72 + position] = 1;
    corner[72] = 2;
    EXPECT_EQ(run_masked(corner), (Values{2, 1, 1, 1, 1, 0, 1, 0, 0}));
}

// Two groups of channels with offsets of their own are two layers that are added.
TEST(DeformConv, OffsetGroupsMoveTheirChannels) {
    const Shape shape = {2, 3, 3};
    const Values x = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 0, 2, 0, 3, 0, 4, 0, 5};
    const Values first = {0.5, 0, 0, 1, -1, 0.25, 0, 0}, second = {0, 0, 2, 0, 0, -0.75, 1, 1};
    const Values w = {1, 2, 3, 4, -1, -2, -3, -4};
    const auto part = [&](int64_t channel, const Values& offsets) {
        return run_layer(shape, x,
                         [&](const Tensor& t) {
                             return deform_conv(slice(t, {.begin = channel, .end = channel + 1}), 1,
                                                {.kernel = 2,
                                                 .offsets = Offsets::per_tap,
                                                 .modulated = true,
                                                 .bias = false,
                                                 .name = "d"});
                         },
                         {{"d.w", Values(w.begin() + 4 * channel, w.begin() + 4 * channel + 4)},
                          {"d.offsets", offsets},
                          {"d.mask", {0, 1, 2, 3}}});
    };
    Values expected = part(0, first), offsets = first, mask = {0, 1, 2, 3, 0, 1, 2, 3};
    const Values other = part(1, second);
    for (size_t i = 0; i < expected.size(); i++) expected[i] += other[i];
    offsets.insert(offsets.end(), second.begin(), second.end());
    const Values y = run_layer(shape, x,
                               [](const Tensor& t) {
                                   return deform_conv(t, 1,
                                                      {.kernel = 2,
                                                       .offsets = Offsets::per_tap,
                                                       .modulated = true,
                                                       .offset_groups = 2,
                                                       .bias = false,
                                                       .name = "d"});
                               },
                               {{"d.w", w}, {"d.offsets", offsets}, {"d.mask", mask}});
    test::expect_near(y, expected, 1e-5);
    EXPECT_EQ(parameters_of(shape,
                            [](const Tensor& t) {
                                return deform_conv(t, 4,
                                                   {.kernel = 2,
                                                    .modulated = true,
                                                    .offset_groups = 2,
                                                    .groups = 2,
                                                    .bias = false});
                            }),
              2 * 4 * 16 + 16 + 2 * 4 * 8 + 8 + 4 * 4);
}

// Offsets from a convolution that knows its bias alone are those of each tap.
TEST(DeformConv, OffsetsOfAConvolution) {
    Values right;
    for (int tap = 0; tap < 9; tap++) right.insert(right.end(), {0, 0.25});
    const auto layer = [](const Tensor& x) {
        return deform_conv(x, 1, {.bias = false, .name = "d"});
    };
    EXPECT_EQ(run_layer(kFive, kX, layer,
                        {{"d.w", kW}, {"d.offsets.w", Values(18 * 9, 0)}, {"d.offsets.b", right}}),
              deformed(right));
    EXPECT_EQ(parameters_of({3, 8, 8}, [](const Tensor& x) { return deform_conv(x, 4); }),
              3 * 9 * 18 + 18 + 3 * 9 * 4 + 4);
}

TEST(Connections, LeNetsThirdLayer) {
    const std::vector<std::vector<int>> c3 = {
        {0, 1, 2},    {1, 2, 3},    {2, 3, 4},    {3, 4, 5},         {0, 4, 5},    {0, 1, 5},
        {0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {0, 3, 4, 5},      {0, 1, 4, 5}, {0, 1, 2, 5},
        {0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};
    EXPECT_EQ(parameters_of(
                  {6, 14, 14},
                  [&](const Tensor& x) { return conv(x, 16, {.kernel = 5, .connections = c3}); }),
              1516);
}

// Filter 0 reads channel 1, filter 1 both.
TEST(Connections, FiltersReadTheirChannelsAlone) {
    const Values y = run_layer(
        {2, 1, 2}, {1, 2, 30, 40},
        [](const Tensor& x) {
            return conv(x, 2,
                        {.kernel = 1, .connections = {{1}, {0, 1}}, .bias = false, .name = "c"});
        },
        {{"c.w", {5, 6, 7}}});
    EXPECT_EQ(y, (Values{150, 200, 6 + 210, 12 + 280}));
}

TEST(LocalLayers, MistakesNameBoth) {
    Model m("m");
    const Tensor x = m.input("image", {2, 4, 5});
    locally_connected(x, 0);
    locally_connected(x, 3, {.kernel = 6});
    locally_connected(flatten(x), 3);
    locally_connected(x, 3, {.stride = 2, .padding = {1, 0, 0, 0}, .strict = true});  // 4x5 fits
    locally_connected(x, 3, {.kernel = 2, .stride = 2, .strict = true});
    locally_connected(x, 3, {.padding = 4, .border = Border::reflect()});
    deform_conv(x, x, 3);
    deform_conv(x, 3, {.kernel = {5, 1}, .offsets = Offsets::per_tap});
    deform_conv(m.input("volume", {2, 4, 5, 6}), 3);
    deform_conv(x, 3, {.offset_groups = 3});
    deform_conv(x, 3, {.groups = 0});
    deform_conv(m.input("line", {2, 9}), m.input("moves", {3, 9}), m.input("mask", {3, 7}), 3);
    deform_conv(m.input("other", {2, 9}), m.input("fits", {3, 7}), m.input("gates", {6, 7}), 3);
    conv(x, 2, {.connections = {{0}}});
    conv(x, 2, {.connections = {{0}, {2}}});
    conv(x, 2, {.connections = {{0, 0}, {1}}});
    conv(x, 2, {.groups = 2, .connections = {{0}, {1}}});
    m.classify(dense(flatten(x), 2));
    std::vector<std::string> texts = mistakes_of(m);
    for (std::string& text : texts) {
        const size_t notes = text.find("\n    operand"), fix = text.find("\n  fix");
        if (notes != std::string::npos) text.erase(notes, fix - notes);
    }
    EXPECT_EQ(
        texts,
        (std::vector<std::string>{
            "error[attribute]: locally_connected 'locally_connected1': it has 0 filters, but must "
            "have 1 to 1048576\n"
            "  fix: choose the number of filters in this range",
            "error[window]: locally_connected 'locally_connected2': the 6x6 filter is larger than "
            "its input 4x5\n"
            "  fix: use a filter of at most 4x5, or pad the input to at least 6x6",
            "error[rank]: locally_connected 'locally_connected3': the input must be a map (n, "
            "channels, height, width), or one with a length, or a depth, height and width behind "
            "the channels, but is f32[n,40]{2,4,5}\n"
            "  fix: put it before the layers that flatten the map",
            "error[window]: locally_connected 'locally_connected5': (5 - 2 + 0) / 2 + 1 = 2.50 "
            "positions along the width is no whole number (input, window, padding, stride)\n"
            "  fix: pad 1 more, crop 1, choose a stride that divides 3, or leave strict out",
            "error[padding]: pad 'locally_connected6.padded': the border 'reflect' is 4 cells wide "
            "along the height, but the input has 4: 3 of them can be mirrored\n"
            "  fix: pad at most 3 per side, or use the border replicate",
            "error[shape]: deform_conv 'deform_conv1': the offsets are f32[n,2,4,5], but must be "
            "f32[n,18,2,3]: down and right for each tap of each offset group, at each position\n"
            "  fix: make them with 18 filters of the same kernel, stride, dilation and padding",
            "error[window]: deform_conv 'deform_conv2': the 5x1 filter is larger than its input "
            "4x5\n"
            "  fix: use a filter of at most 4x1, or pad the input to at least 5x5",
            "error[rank]: deform_conv 'deform_conv3': the input is the volume f32[n,2,4,5,6], but "
            "the "
            "taps of lines and maps alone can be moved\n"
            "  fix: use conv, or join two axes with reshape",
            "error[groups]: deform_conv 'deform_conv4': 2 channels and 2 filters cannot be cut "
            "into "
            "3 equal groups\n"
            "  fix: choose a number of groups that divides both",
            "error[groups]: deform_conv 'deform_conv5': 2 channels and 3 filters cannot be cut "
            "into "
            "0 equal groups\n"
            "  fix: choose a number of groups that divides both",
            "error[shape]: deform_conv 'deform_conv6': the offsets are f32[n,3,9], but must be "
            "f32[n,3,7]: a number for each tap of each offset group, at each position\n"
            "  fix: make them with 3 filters of the same kernel, stride, dilation and padding",
            "error[shape]: deform_conv 'deform_conv7': the mask is f32[n,6,7], but must be "
            "f32[n,3,7]: a factor for each tap of each offset group, at each position\n"
            "  fix: make them with 3 filters of the same kernel, stride, dilation and padding",
            "error[connections]: conv 'conv1': the connections are those of 1 filters, but it has "
            "2, and 2 channels\n"
            "  fix: give a list of channels for each filter, at most 4096 pairs in all",
            "error[connections]: conv 'conv2': filter 1 reads channel 2, but there are 2\n"
            "  fix: name each once, of the channels 0 to 1",
            "error[connections]: conv 'conv3': filter 0 reads channel 0 twice\n"
            "  fix: name each once, of the channels 0 to 1",
            "error[groups]: conv 'conv4': it has 2 groups and connections of its own\n"
            "  fix: leave one of the two out"}));
}

}  // namespace
}  // namespace emulsion
