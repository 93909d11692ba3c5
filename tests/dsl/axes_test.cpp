// Layers of lines (C, L) and volumes (C, D, H, W): shapes, counts, receptive fields, and values of
// the layers that are made of several ops.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/graph/text.h"
#include "compiler/passes/two_axes.h"
#include "dsl/summary.h"
#include "tests/dsl/dsl_support.h"
#include "tests/reference/interpreter.h"

namespace emulsion {
namespace {

// What a layer makes of one sample 0, 1, 2, … of this shape.
template <class LayerFunction>
Values run_counted(const Shape& shape, const LayerFunction& layer) {
    Model m("m");
    m.output("y", layer(m.input("x", shape)));
    const Graph graph = finished(m).graph;
    const TensorType type = graph.type({graph.find("x"), 0});
    Values x;
    for (int64_t i = 0; i < element_count(type); i++) x.push_back(static_cast<double>(i));
    const Value y = graph.find_output("y")->value;
    const auto all = reference::evaluate(graph, {{"x", reference::make_tensor(type, 1, x)}}, 1);
    return all[static_cast<size_t>(y.node)][static_cast<size_t>(y.output)].values;
}

TEST(Axes, ShapesOfLines) {
    Model m("m");
    const Tensor x = m.input("x", {4, 10});
    EXPECT_EQ(conv(x, 8).shape(), (Shape{8, 8}));
    EXPECT_EQ(conv(x, 8, {.kernel = 4, .stride = 3, .padding = same}).shape(), (Shape{8, 4}));
    EXPECT_EQ(conv(x, 8, {.padding = {3, 1}}).shape(), (Shape{8, 12}));
    EXPECT_EQ(conv(x, 8, {.dilation = 2, .padding = 2, .border = Border::reflect()}).shape(),
              (Shape{8, 10}));
    EXPECT_EQ(depthwise_conv(x, {.multiplier = 3}).shape(), (Shape{12, 8}));
    EXPECT_EQ(conv_transpose(x, 6, {.kernel = 4, .stride = 2}).shape(), (Shape{6, 22}));
    EXPECT_EQ(conv_transpose(x, 6, {.stride = 2, .padding = same}).shape(), (Shape{6, 20}));
    EXPECT_EQ(max_pool(x).shape(), (Shape{4, 5}));
    EXPECT_EQ(average_pool(x, {.window = 3, .stride = 2, .round_up = true}).shape(), (Shape{4, 5}));
    EXPECT_EQ(global_average_pool(x).shape(), Shape{4});
    EXPECT_EQ(global_max_pool(x).shape(), Shape{4});
    EXPECT_EQ(subsample(x).shape(), (Shape{4, 5}));
    EXPECT_EQ(pad(x, {1, 2}).shape(), (Shape{4, 13}));
    EXPECT_EQ(crop(x, {1, 2}).shape(), (Shape{4, 7}));
    EXPECT_EQ(upsample(x, {.factor = 3}).shape(), (Shape{4, 30}));
    EXPECT_EQ(maxout(x, 5).shape(), (Shape{5, 10}));
    EXPECT_EQ(highway(x, relu(x)).shape(), (Shape{4, 10}));
    EXPECT_EQ(squeeze_excitation(x).shape(), (Shape{4, 10}));
    const IndexedPool pooled = max_pool_with_indices(x);
    EXPECT_EQ(max_unpool(pooled.value, pooled).shape(), (Shape{4, 10}));
}

TEST(Axes, ShapesOfVolumes) {
    Model m("m");
    const Tensor x = m.input("x", {2, 6, 8, 10});
    EXPECT_EQ(conv(x, 8).shape(), (Shape{8, 4, 6, 8}));
    EXPECT_EQ(conv(x, 8, {.kernel = {1, 3, 5}, .stride = {1, 2, 2}, .padding = same}).shape(),
              (Shape{8, 6, 4, 5}));
    EXPECT_EQ(conv(x, 8, {.padding = {0, 1, 2}}).shape(), (Shape{8, 4, 8, 12}));
    EXPECT_EQ(conv(x, 8, {.padding = {1, 0, 0, 2, 3, 0}}).shape(), (Shape{8, 5, 8, 11}));
    EXPECT_EQ(conv_transpose(x, 4, {.kernel = 2, .stride = 2}).shape(), (Shape{4, 12, 16, 20}));
    EXPECT_EQ(max_pool(x, {.window = {1, 2, 2}}).shape(), (Shape{2, 6, 4, 5}));
    EXPECT_EQ(average_pool(x).shape(), (Shape{2, 3, 4, 5}));
    EXPECT_EQ(global_max_pool(x).shape(), Shape{2});
    EXPECT_EQ(pad(x, 1).shape(), (Shape{2, 8, 10, 12}));
    EXPECT_EQ(crop(x, {1, 2, 3}).shape(), (Shape{2, 4, 4, 4}));
}

TEST(Axes, ValuesOfGlobalPooling) {
    EXPECT_EQ(run_counted({2, 5}, [](Tensor x) { return global_max_pool(x); }), (Values{4, 9}));
    EXPECT_EQ(run_counted({2, 5}, [](Tensor x) { return global_average_pool(x); }), (Values{2, 7}));
    EXPECT_EQ(run_counted({1, 3, 2, 7}, [](Tensor x) { return global_max_pool(x); }), Values{41});
    EXPECT_EQ(run_counted({2, 2, 1, 3}, [](Tensor x) { return global_average_pool(x); }),
              (Values{2.5, 8.5}));
}

TEST(Axes, ValuesOfPadsAndUpsampledLines) {
    EXPECT_EQ(
        run_counted({1, 3}, [](Tensor x) { return pad(x, {2, 1}, {.border = Border::reflect()}); }),
        (Values{2, 1, 0, 1, 2, 1}));
    EXPECT_EQ(run_counted({1, 3}, [](Tensor x) { return upsample(x); }),
              (Values{0, 0, 1, 1, 2, 2}));
}

TEST(Axes, ValuesOfUpsampledVolumes) {
    EXPECT_EQ(
        run_counted({1, 2, 1, 2}, [](Tensor x) { return upsample(x, {.factor = {1, 2, 1}}); }),
        (Values{0, 1, 0, 1, 2, 3, 2, 3}));
    EXPECT_EQ(run_counted({1, 2, 2, 1},
                          [](Tensor x) {
                              return upsample(
                                  x, {.mode = Interpolation::trilinear, .size = {1, 1, 2}});
                          }),
              (Values{1.5, 1.5}));
}

// Channels 0 and 6 apart, whatever the position.
TEST(Axes, ValuesOfSoftmaxOfVolumes) {
    const Values y = run_counted({2, 1, 2, 3}, [](Tensor x) { return log_softmax(x); });
    ASSERT_EQ(y.size(), 12U);
    for (size_t i = 0; i < 6; i++) {
        EXPECT_NEAR(y[i], -6 - std::log1p(std::exp(-6)), 1e-9);
        EXPECT_NEAR(y[i + 6], -std::log1p(std::exp(-6)), 1e-9);
    }
}

TEST(Axes, TheSummaryOfALine) {
    Model m("speech");
    Tensor x = max_pool(conv(m.input("sound", {2, 100}), 8, {.kernel = 5, .stride = 2}));
    x = conv(x, 16, {.dilation = 2});
    m.classify(dense(global_average_pool(x), 3));
    const std::vector<LayerRow> rows = layer_rows(finished(m));
    EXPECT_EQ(rows[1].parameters, (2 * 5 + 1) * 8);
    EXPECT_EQ(rows[1].multiply_adds, 8 * 48 * 2 * 5);
    const std::string table = summary(finished(m));
    for (const char* cells :
         {"8 x 48           88          3,840  5 every 2 from 0", "8 x 24 ", " 7 every 4 from 0",
          "16 x 20         400          7,680  23 every 4 from 0"}) {
        EXPECT_NE(table.find(cells), std::string::npos) << cells << "\n" << table;
    }
}

TEST(Axes, TheSummaryOfAVolume) {
    Model m("clip");
    Tensor x = conv(m.input("clip", {1, 8, 16, 16}), 4, {.kernel = {3, 5, 5}, .padding = same});
    m.classify(dense(flatten(max_pool(x, {.window = {1, 2, 2}})), 3));
    const std::string table = summary(finished(m));
    for (const char* cells :
         {"4 x 8 x 16 x 16         304        614,400  3x5x5 every 1 from -1x-2x-2",
          " 3x6x6 every 1x2x2 from -1x-2x-2"}) {
        EXPECT_NE(table.find(cells), std::string::npos) << cells << "\n" << table;
    }
}

// What stands between two layers of a line is done on maps: no view is left between them.
TEST(Axes, LinesAreMapsToTheRecipes) {
    Model m("m");
    Tensor x = relu(batch_norm(conv(m.input("x", {4, 10}), 8, {.padding = same})));
    x = max_pool(conv(x, 8, {.kernel = 3, .name = "second"}) + crop(x, 1));
    m.classify(dense(flatten(x), 3));
    const std::string text = print(two_axes(finished(m).graph));
    EXPECT_NE(text.find("%second = conv2d(%relu1, %second.filter)"), std::string::npos) << text;
    EXPECT_NE(text.find("%flatten1 = flatten(%max_pool1.line)"), std::string::npos) << text;
}

}  // namespace
}  // namespace emulsion
