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
    deform_conv(x, x, 3);
    deform_conv(x, 3, {.kernel = {5, 1}, .offsets = Offsets::per_tap});
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
            "channels, height, width), but is f32[n,40]{2,4,5}\n"
            "  fix: put it before the layers that flatten the map",
            "error[shape]: deform_sample 'deform_conv1.sampled': the offsets are f32[n,2,4,5], but "
            "must be f32[n,18,2,3]: down and right for each tap, at each position\n"
            "  fix: make them with 18 filters of the same kernel, stride, dilation and padding",
            "error[window]: deform_conv 'deform_conv2': the 5x1 filter is larger than its input "
            "4x5\n"
            "  fix: use a filter of at most 4x1, or pad the input to at least 5x5",
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
