// Worked examples of the field with known answers, each written as a user writes it and run through
// the plain lowerings of its graph.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "dsl/summary.h"
#include "tests/dsl/dsl_support.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion {
namespace {

using test::expect_near;

Values first(Values values, size_t count) {
    values.resize(count);
    return values;
}

// ---- Convolution ----

const Shape kFive = {1, 5, 5};
const Values kX = {1, 1, 1, 0, 0,  //
                   0, 1, 1, 1, 0,  //
                   0, 0, 1, 1, 1,  //
                   0, 0, 1, 1, 0,  //
                   0, 1, 1, 0, 0};
const Values kW = {1, 0, 1,  //
                   0, 1, 0,  //
                   1, 0, 1};

// The convolution of X with W.
Values convolved(ConvOptions options) {
    options.bias = false;
    options.name = "c";
    return run_layer(kFive, kX, [&](Tensor x) { return conv(x, 1, options); }, {{"c.w", kW}});
}

TEST(WorkedExamples, ConvolutionOfAFiveByFiveMap) {
    EXPECT_EQ(convolved({}), (Values{4, 3, 4, 2, 4, 3, 2, 3, 4}));
    EXPECT_EQ(convolved({.stride = 2}), (Values{4, 4, 2, 4}));
    EXPECT_EQ(convolved({.dilation = 2}), (Values{2}));
}

TEST(WorkedExamples, BordersOfTheSameMap) {
    EXPECT_EQ(first(convolved({.padding = same}), 5), (Values{2, 2, 3, 1, 1}));
    EXPECT_EQ(first(convolved({.padding = same, .border = Border::reflect()}), 5),
              (Values{5, 3, 5, 2, 4}));
    EXPECT_EQ(first(convolved({.padding = same, .border = Border::symmetric()}), 5),
              (Values{4, 4, 4, 2, 1}));
    EXPECT_EQ(first(convolved({.padding = same, .border = Border::replicate()}), 5),
              (Values{4, 4, 4, 2, 1}));  // one cell wide, the same
}

// Filters on one patch; the Sobel filters change their sign where they are turned round.
TEST(WorkedExamples, FiltersOnOnePatch) {
    const Values patch = {221, 198, 149, 205, 147, 173, 149, 170, 222};
    const auto filtered = [&](const Values& w, bool flip = false) {
        return run_layer(
            {1, 3, 3}, patch,
            [&](Tensor x) { return conv(x, 1, {.flip = flip, .bias = false, .name = "c"}); },
            {{"c.w", w}});
    };
    const Values sobel_x = {-1, 0, 1, -2, 0, 2, -1, 0, 1}, sobel_y = {-1, -2, -1, 0, 0, 0, 1, 2, 1};
    EXPECT_EQ(filtered(sobel_x), Values{-63});
    EXPECT_EQ(filtered(sobel_x, /*flip=*/true), Values{63});
    EXPECT_EQ(filtered(sobel_y), Values{-55});
    EXPECT_EQ(filtered({0, -1, 0, -1, 4, -1, 0, -1, 0}), Values{-158});
    EXPECT_EQ(filtered({0, -1, 0, -1, 5, -1, 0, -1, 0}), Values{-11});
    expect_near(filtered(Values(9, 1.0 / 9)), {1634.0 / 9}, 1e-4);
}

TEST(WorkedExamples, TransposedConvolution) {
    const Values y = run_layer(
        {1, 2, 2}, {1, 2, 3, 4},
        [](Tensor x) { return conv_transpose(x, 1, {.stride = 2, .bias = false, .name = "c"}); },
        {{"c.w", Values(9, 1)}});
    EXPECT_EQ(y, (Values{1, 1, 3,  2, 2,  //
                         1, 1, 3,  2, 2,  //
                         4, 4, 10, 6, 6,  //
                         3, 3, 7,  4, 4,  //
                         3, 3, 7,  4, 4}));
}

// A kernel of n over m inputs in a row gives m - n + 1 values.
TEST(WorkedExamples, ConvolutionAlongARow) {
    for (int n = 1; n <= 6; n++) {
        Model m("m");
        EXPECT_EQ(conv(m.input("x", {1, 6}), 1, {.kernel = n}).shape(), (Shape{1, 6 - n + 1}));
    }
    Model m("m");
    EXPECT_EQ(conv(m.input("x", {1, 6}), 1, {.kernel = 7}).shape(), Shape{});
}

// Over 6 inputs, kernel 3 and padding 1 are a banded matrix: 16 weights set, at stride 2 it is 8.
TEST(WorkedExamples, ConvolutionAsABandedMatrix) {
    const Values kernel = {2, 3, 5};
    for (const auto& [stride, weights_set] : {std::pair(1, 16), std::pair(2, 8)}) {
        const int64_t outputs = 6 / stride;
        Values matrix;
        for (int64_t i = 0; i < outputs; i++)
            for (int64_t j = 0; j < 6; j++) {
                const int64_t tap = j - i * stride + 1;
                matrix.push_back(tap >= 0 && tap < 3 ? kernel[static_cast<size_t>(tap)] : 0);
            }
        EXPECT_EQ(std::ranges::count_if(matrix, [](double w) { return w != 0; }), weights_set);
        const Values x = {1, -2, 4, 7, -3, 6};
        const ConvOptions options = {
            .kernel = 3, .stride = stride, .padding = 1, .bias = false, .name = "c"};
        const Values convolved =
            run_layer({1, 6}, x, [&](Tensor t) { return conv(t, 1, options); }, {{"c.w", kernel}});
        const Values multiplied =
            run_layer({6}, x,
                      [&](Tensor t) {
                          return dense(t, static_cast<int>(outputs), {.bias = false, .name = "d"});
                      },
                      {{"d.w", matrix}});
        EXPECT_EQ(convolved, multiplied);
    }
}

// Shifting the input shifts the map, away from the border.
TEST(WorkedExamples, AShiftedInputShiftsTheMap) {
    const auto blurred = [&](auto before) {
        return run_layer(kFive, kX,
                         [&](Tensor x) {
                             return conv(before(x), 1,
                                         {.padding = same, .bias = false, .name = "c"});
                         },
                         {{"c.w", kW}});
    };
    const Values map = blurred([](Tensor x) { return x; });
    const Values shifted =
        blurred([](Tensor x) { return pad(crop(x, {0, 0, 0, 1}), {0, 0, 1, 0}); });
    for (size_t y = 1; y < 4; y++)
        for (size_t x = 2; x < 4; x++) EXPECT_EQ(shifted[5 * y + x], map[5 * y + x - 1]);
}

// ---- Pooling ----

TEST(WorkedExamples, PoolingOfAFourByFourMap) {
    const Values map = {1, 3, 2, 0, 0, 5, 1, 1, 3, 0, 1, 4, 0, 0, 7, 1};
    const auto pooled = [&](auto layer) { return run_layer({1, 4, 4}, map, layer); };
    EXPECT_EQ(pooled([](Tensor x) { return max_pool(x); }), (Values{5, 2, 3, 7}));
    EXPECT_EQ(pooled([](Tensor x) { return average_pool(x); }), (Values{2.25, 1, 0.75, 3.25}));
    EXPECT_EQ(pooled([](Tensor x) { return max_pool(x, {.window = 3, .stride = 1}); }),
              (Values{5, 5, 7, 7}));
    EXPECT_EQ(pooled([](Tensor x) { return global_max_pool(x); }), Values{7});
    EXPECT_EQ(pooled([](Tensor x) { return global_average_pool(x); }), Values{29.0 / 16});
}

TEST(WorkedExamples, AMaximumMayMoveInsideItsWindow) {
    const auto largest = [](const Values& map) {
        return run_layer({1, 2, 2}, map, [](Tensor x) { return max_pool(x); });
    };
    EXPECT_EQ(largest({9, 1, 2, 3}), largest({1, 2, 3, 9}));
}

// ---- Dense ----

TEST(WorkedExamples, LinearLayer) {
    const Values y =
        run_layer({4}, {56, 231, 24, 2}, [](Tensor x) { return dense(x, 3, {.name = "d"}); },
                  {{"d.w", {0.2, -0.5, 0.1, 2.0, 1.5, 1.3, 2.1, 0.0, 0, 0.25, 0.2, -0.3}},
                   {"d.b", {1.1, 3.2, -1.2}}});
    expect_near(y, {-96.8, 437.9, 60.75}, 1e-4);
}

// ---- Structure ----

// A residual of zeros is the identity; a gate of 1 gives the layer, of 0 the input.
TEST(WorkedExamples, ResidualAndHighway) {
    const Sources zeros = {{"c.w", Values(9, 0)}};
    const ConvOptions options = {.padding = same, .bias = false, .name = "c"};
    EXPECT_EQ(run_layer(kFive, kX, [&](Tensor x) { return x + conv(x, 1, options); }, zeros), kX);
    for (double gate : {0.0, 1.0}) {
        Model m("highway");
        Tensor x = m.input("x", kFive), g = m.input("gate", kFive);
        Tensor y = conv(x, 1, options);
        m.output("y", x + g * (y - x));
        Values layer = first(convolved({.padding = same}), 25);
        EXPECT_EQ(run(m, {{"x", kX}, {"gate", Values(25, gate)}, {"c.w", kW}}),
                  gate == 1 ? layer : kX);
    }
}

TEST(WorkedExamples, UpsamplingKeepsWhatItCopies) {
    EXPECT_EQ(run_layer({1, 1, 2}, {3, 8}, [](Tensor x) { return upsample(x); }),
              (Values{3, 3, 8, 8, 3, 3, 8, 8}));
    EXPECT_EQ(run_layer({1, 1, 2}, {0, 8},
                        [](Tensor x) {
                            return upsample(x, {.factor = {1, 2}, .mode = Interpolation::bilinear});
                        }),
              (Values{0, 2, 6, 8}));
}

// LeNet-5's subsampling: the sum of four cells, times a weight, plus a bias.
TEST(WorkedExamples, TrainableSubsampling) {
    EXPECT_EQ(run_layer({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8},
                        [](Tensor x) { return subsample(x, {.name = "s"}); },
                        {{"s.w", {0.5, 2}}, {"s.b", {1, -1}}}),
              (Values{6, 51}));
}

// ---- Counts ----

int64_t parameters_of(const std::function<Tensor(Model&)>& layers) {
    Model m("m");
    const Tensor y = layers(m);
    m.output("y", y);
    m.loss(y);
    return parameter_count(finished(m));
}

TEST(WorkedExamples, ParametersOfSubsamplingAndTransposedConvolution) {
    EXPECT_EQ(parameters_of([](Model& m) { return subsample(m.input("x", {6, 28, 28})); }), 12);
    EXPECT_EQ(parameters_of([](Model& m) { return subsample(m.input("x", {16, 10, 10})); }), 32);
    EXPECT_EQ(parameters_of([](Model& m) { return conv_transpose(m.input("x", {64, 8, 8}), 128); }),
              64 * 9 * 128 + 128);
}

// The maps of S2 that each map of C3 reads.
const std::vector<std::vector<int>> kC3 = {
    {0, 1, 2},    {1, 2, 3},    {2, 3, 4},    {3, 4, 5},         {0, 4, 5},    {0, 1, 5},
    {0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {0, 3, 4, 5},      {0, 1, 4, 5}, {0, 1, 2, 5},
    {0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};

// A connection is a product that is added, or a bias: of each value, what the layer report counts.
// The sums of subsampling, which are no products, have the cells of their window.
TEST(WorkedExamples, ConnectionsOfLeNetFive) {
    Model m("lenet5");
    Tensor x = m.input("image", {1, 32, 32});
    x = lecun_tanh(subsample(conv(x, 6, {.kernel = 5, .name = "C1"}), {.name = "S2"}));
    x = conv(x, 16, {.kernel = 5, .connections = kC3, .name = "C3"});
    x = lecun_tanh(subsample(lecun_tanh(x), {.name = "S4"}));
    x = flatten(lecun_tanh(conv(x, 120, {.kernel = 5, .name = "C5"})));
    x = lecun_tanh(dense(x, 84, {.name = "F6"}));
    m.classify(-rbf(x, 10, {.name = "codes"}));
    std::map<std::string, int64_t> connections;
    for (const LayerRow& row : layer_rows(finished(m))) {
        const bool is_subsampling = row.name[0] == 'S', has_bias = row.name != "codes";
        const int64_t sums = is_subsampling ? 4 : 0, biases = has_bias ? 1 : 0;
        if (row.parameters == 0) continue;
        connections[row.name] = row.multiply_adds + (sums + biases) * element_count(row.output);
        connections["all"] += connections[row.name];
    }
    const std::map<std::string, int64_t> expected = {{"C1", 122304}, {"S2", 5880},   {"C3", 151600},
                                                     {"S4", 2000},   {"C5", 48120},  {"F6", 10164},
                                                     {"codes", 840}, {"all", 340908}};
    EXPECT_EQ(connections, expected);
}

// The first convolution of LeCun's net of 1989: 12 filters of 5x5 at stride 2 over 16x16 cells, a
// bias for each position.
TEST(WorkedExamples, UntiedBiases) {
    const ConvOptions options = {
        .kernel = 5, .stride = 2, .padding = same, .untied_bias = true, .name = "c"};
    EXPECT_EQ(parameters_of([&](Model& m) { return conv(m.input("x", {1, 16, 16}), 12, options); }),
              1068);
    EXPECT_EQ(run_layer({1, 1, 2}, {3, 4},
                        [](Tensor x) {
                            return conv(x, 1, {.kernel = 1, .untied_bias = true, .name = "c"});
                        },
                        {{"c.w", {2}}, {"c.b", {10, 20}}}),
              (Values{16, 28}));
}

TEST(WorkedExamples, StrictStrides) {
    Model m("m");
    Tensor x = m.input("x", {1, 7, 7});
    EXPECT_EQ(conv(x, 1, {.strict = true}).shape(), (Shape{1, 5, 5}));
    EXPECT_EQ(conv(x, 1, {.stride = 2, .strict = true}).shape(), (Shape{1, 3, 3}));
    EXPECT_EQ(conv(x, 1, {.stride = 3, .strict = true}).shape(), Shape{});
}

}  // namespace
}  // namespace emulsion
