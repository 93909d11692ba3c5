// Parameters, multiply-adds and receptive fields of the layer table against figures of the
// literature.
#include "dsl/summary.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

int64_t parameters(int channels, int filters, Size kernel, bool bias = true) {
    Model m("m");
    Tensor x = m.input("image", {channels, 16, 16});
    Tensor map = conv(x, filters, {.kernel = kernel, .padding = same, .bias = bias});
    m.output("map", map);
    m.loss(map);
    return parameter_count(finished(m));
}

// The receptive field of the map of `layer`.
ReceptiveField field_of(const Network& network, const std::string& layer) {
    for (const LayerRow& row : layer_rows(network)) {
        if (row.name == layer) return row.fields.at(0);
    }
    ADD_FAILURE() << "no layer " << layer;
    return {};
}

// A network that classifies what `body` makes of a picture of `size` cells.
template <class Body>
Network classifier(int size, Body body) {
    Model m("m");
    Tensor x = body(m.input("image", {3, size, size}));
    m.classify(dense(global_average_pool(x), 10));
    return finished(m);
}

TEST(Summary, ParametersOfAConvolution) {
    EXPECT_EQ(parameters(64, 128, 3), 73856);  // (M p q + 1) K
    EXPECT_EQ(parameters(64, 128, 3, /*bias=*/false), 73728);
    EXPECT_EQ(parameters(3, 6, 5), 456);
    EXPECT_EQ(parameters(8, 8, {1, 7}) + parameters(8, 8, {7, 1}), 2 * (8 * 7 + 1) * 8);
}

// (M / g p q + 1) K, of 64 channels
TEST(Summary, ParametersOfGroups) {
    const auto count = [](const std::function<Tensor(Tensor)>& layers) {
        Model m("m");
        Tensor map = layers(m.input("image", {64, 16, 16}));
        m.output("map", map);
        m.loss(map);
        return parameter_count(finished(m));
    };
    EXPECT_EQ(count([](Tensor x) { return conv(x, 128, {.groups = 4}); }), 18560);
    EXPECT_EQ(count([](Tensor x) { return depthwise_conv(x); }), 640);
    EXPECT_EQ(count([](Tensor x) { return depthwise_conv(x, {.multiplier = 2}); }), 1280);
    EXPECT_EQ(count([](Tensor x) { return conv(x, 64, {.groups = 64}); }), 640);
    EXPECT_EQ(count([](Tensor x) { return conv(depthwise_conv(x), 128, {.kernel = 1}); }), 8960);
}

TEST(Summary, TwoThreeByThreeAgainstOneFiveByFive) {
    int64_t small = 2 * parameters(16, 16, 3, false), large = parameters(16, 16, 5, false);
    EXPECT_EQ(small * 25, large * 18);
    EXPECT_EQ(3 * parameters(16, 16, 3, false) * 49, parameters(16, 16, 7, false) * 27);
    EXPECT_EQ(2 * parameters(16, 16, {1, 7}, false) * 49, parameters(16, 16, 7, false) * 14);
}

TEST(Summary, DenseLayers) {
    Model m("m");
    Tensor x = m.input("image", {1, 28, 28});
    m.classify(dense(dense(flatten(x), 800), 10));
    Network network = finished(m);
    EXPECT_EQ(parameter_count(network), 636010);
    EXPECT_EQ(multiply_adds(network), 635200);
}

// From 3 maps of 32x32 to 6 of 28x28, weights without biases.
TEST(Summary, LocallyConnectedAgainstConvolution) {
    const auto count = [](const std::function<Tensor(Tensor)>& layer) {
        Model m("m");
        m.output("map", layer(m.input("image", {3, 32, 32})));
        return parameter_count(finished(m));
    };
    const int64_t shared = count([](Tensor x) { return conv(x, 6, {.kernel = 5, .bias = false}); });
    EXPECT_EQ(shared, 450);
    EXPECT_EQ(count([](Tensor x) { return locally_connected(x, 6, {.kernel = 5, .bias = false}); }),
              28 * 28 * shared);
}

// Multiply-adds of a separable convolution over those of the plain one: 1 / K + 1 / (p q).
TEST(Summary, SeparableAgainstPlain) {
    const auto count = [](const std::function<Tensor(Tensor)>& layers) {
        Model m("m");
        m.output("map", layers(m.input("image", {64, 16, 16})));
        return multiply_adds(finished(m));
    };
    const int64_t plain = count([](Tensor x) { return conv(x, 128); });
    const int64_t separable =
        count([](Tensor x) { return conv(depthwise_conv(x), 128, {.kernel = 1}); });
    EXPECT_EQ(separable * 128 * 9, plain * (128 + 9));
}

TEST(Summary, DenseAgainstConvolution) {
    // From 3 maps of 32x32 to 6 of 28x28: as one dense layer, 14,450,688 weights.
    Model m("m");
    Tensor x = m.input("image", {3, 32, 32});
    m.classify(dense(flatten(x), 6 * 28 * 28, {.bias = false}));
    EXPECT_EQ(parameter_count(finished(m)), 14450688);
}

TEST(Summary, ReceptiveFieldOfStackedConvolutions) {
    auto stack = [](int depth) {
        return classifier(32, [&](Tensor x) {
            for (int i = 0; i < depth; i++) x = conv(x, 4);
            return x;
        });
    };
    EXPECT_EQ(field_of(stack(2), "conv2").size, 5);
    EXPECT_EQ(field_of(stack(3), "conv3").size, 7);
}

TEST(Summary, ReceptiveFieldOfLeNetFive) {
    Network network = classifier(32, [](Tensor x) {
        for (int filters : {6, 16}) x = average_pool(conv(x, filters, {.kernel = 5}));
        return conv(x, 120, {.kernel = 5});
    });
    EXPECT_EQ(field_of(network, "conv3").size, 32);
    EXPECT_EQ(field_of(network, "conv3").jump, 4);
}

TEST(Summary, ReceptiveFieldOfAlexNet) {
    Network network = classifier(227, [](Tensor x) {
        x = max_pool(conv(x, 96, {.kernel = 11, .stride = 4}), {.window = 3, .stride = 2});
        x = max_pool(conv(x, 8, {.kernel = 5, .padding = 2}), {.window = 3, .stride = 2});
        for (int i = 0; i < 3; i++) x = conv(x, 8, {.padding = 1});
        return max_pool(x, {.window = 3, .stride = 2});
    });
    EXPECT_EQ(field_of(network, "max_pool3").size, 195);
}

TEST(Summary, ReceptiveFieldOfVgg16) {
    Network network = classifier(224, [](Tensor x) {
        for (int convolutions : {2, 2, 3, 3, 3}) {
            for (int i = 0; i < convolutions; i++) x = conv(x, 4, {.padding = 1});
            x = max_pool(x);
        }
        return x;
    });
    EXPECT_EQ(field_of(network, "conv13").size, 196);
    EXPECT_EQ(field_of(network, "max_pool5").size, 212);
}

// The longest path counts: stride in the 1x1 as first published, or in the 3x3.
TEST(Summary, ReceptiveFieldOfResNet50) {
    auto resnet = [](bool stride_in_1x1) {
        return classifier(224, [=](Tensor x) {
            x = max_pool(conv(x, 4, {.kernel = 7, .stride = 2, .padding = 3}),
                         {.window = 3, .stride = 2, .padding = 1});
            int stage = 0;
            for (int depth : {3, 4, 6, 3}) {
                for (int i = 0; i < depth; i++) {
                    int stride = stage > 0 && i == 0 ? 2 : 1;
                    Tensor y = conv(x, 4, {.kernel = 1, .stride = stride_in_1x1 ? stride : 1});
                    y = conv(y, 4, {.stride = stride_in_1x1 ? 1 : stride, .padding = 1});
                    y = conv(y, 4, {.kernel = 1});
                    x = y + (i == 0 ? conv(x, 4, {.kernel = 1, .stride = stride}) : x);
                }
                stage++;
            }
            return relu(x, {.name = "last"});
        });
    };
    EXPECT_EQ(field_of(resnet(true), "last").size, 483);
    EXPECT_EQ(field_of(resnet(false), "last").size, 427);
}

TEST(Summary, ReceptiveFieldOfAMean) {
    Network network = classifier(12, [](Tensor x) {
        x = conv(x, 4, {.padding = 1});
        return x * mean(x, {1, 2}, {.name = "map"}) + mean(x, {0}, {.name = "channels"});
    });
    EXPECT_EQ(field_of(network, "map").size, 14);
    EXPECT_EQ(field_of(network, "channels").size, 3);
    EXPECT_EQ(field_of(network, "add1").size, 14);
}

// The row of `layer` without its memory, blanks pressed together.
std::string row_of(const Network& network, const std::string& layer) {
    const std::string table = summary(network);
    const size_t begin = table.find("\n" + layer + " ") + 1, end = table.find('\n', begin);
    std::string row;
    for (const char c : table.substr(begin, end - begin)) {
        if (c != ' ' || row.back() != ' ') row += c;
    }
    return row.substr(0, row.rfind(' ', row.rfind(' ') - 1));
}

TEST(Summary, RowsOfLayersOfSeveralNodes) {
    Model m("m");
    const Tensor x = m.input("image", {2, 8, 9});
    m.output("a", locally_connected(x, 4, {.kernel = {3, 5}, .stride = {2, 1}, .padding = same}));
    m.output("b", deform_conv(x, 4, {.stride = 2, .padding = 1}));
    m.output("c", conv(x, 3, {.flip = true, .connections = {{0}, {1}, {0, 1}}}));
    m.output(
        "d",
        conv(x, 3, {.padding = 1, .border = Border::reflect(), .connections = {{0}, {1}, {1}}}));
    const Network network = finished(m);
    EXPECT_EQ(row_of(network, "locally_connected1"),
              "locally_connected1 locally_connected 4 x 4 x 9 4,464 4,320 3x5 every 2x1 from 0x-2");
    EXPECT_EQ(row_of(network, "deform_conv1"),
              "deform_conv1 deform_conv 4 x 4 x 5 418 7,920 3 every 2 from -1");
    EXPECT_EQ(row_of(network, "conv1"), "conv1 conv2d 3 x 6 x 7 39 1,512 3 every 1 from 0");
    EXPECT_EQ(row_of(network, "conv2"), "conv2 conv2d 3 x 8 x 9 30 1,944 3 every 1 from -1");
}

// Taps are moved from where a convolution reads, by what the offsets see.
TEST(Summary, ReceptiveFieldOfOffsets) {
    const auto field = [](int kernel) {
        return field_of(classifier(12,
                                   [&](const Tensor& x) {
                                       const Tensor offsets =
                                           conv(x, 18, {.kernel = kernel, .padding = same});
                                       return deform_conv(conv(x, 4, {.padding = 1}), offsets, 4,
                                                          {.padding = 1, .name = "moved"});
                                   }),
                        "moved");
    };
    EXPECT_EQ(field(1).size, 5);
    EXPECT_EQ(field(7).size, 7);
}

TEST(Summary, ReceptiveFieldReachesOverAllPaths) {
    const Network network = classifier(12, [](const Tensor& x) {
        const Tensor left = slice(x, {.axis = 1, .end = 6});
        const Tensor right = slice(conv(x, 3, {.padding = 1}), {.axis = 1, .begin = 4, .end = 10});
        return add(left, right, {.name = "all"});
    });
    EXPECT_EQ(field_of(network, "all").size, 6);  // cells 0 and 3 to 5
    EXPECT_EQ(field_of(network, "all").offset, 2.5);
}

TEST(Summary, RowsOfAnUnusedLayerAreLeftOut) {
    Model m("m");
    Tensor x = m.input("image", {1, 8, 8});
    batch_norm(conv(x, 4));  // nobody reads it, nor its running statistics
    m.classify(dense(flatten(x), 2));
    Network network = finished(m);
    for (const char* name : {"conv1", "conv1.w", "conv1.b", "batch_norm1.running_mean"})
        EXPECT_EQ(network.graph.find(name), -1) << name;
    EXPECT_EQ(parameter_count(network), 130);
}

TEST(Summary, Table) {
    Model m("tiny");
    Tensor x = m.input("image", {3, 8, 8});
    x = max_pool(relu(conv(x, 16, {.kernel = {3, 1}, .stride = 2, .padding = same})));
    m.classify(dense(flatten(x), 10));
    EXPECT_EQ(
        summary(finished(m)),
        "tiny: layers of one sample\n"
        "layer      op        output      parameters  multiply-adds  receptive field      memory\n"
        "image      input     3 x 8 x 8                              1 every 1 from 0    0.8 KiB\n"
        "conv1      conv2d    16 x 4 x 4         160          2,304  3x1 every 2 from 0  2.0 KiB\n"
        "relu1      relu      16 x 4 x 4                             3x1 every 2 from 0  1.0 KiB\n"
        "max_pool1  max_pool  16 x 2 x 2                             5x3 every 4 from 0  0.3 KiB\n"
        "flatten1   flatten   64                                                         0.0 KiB\n"
        "dense1     dense     10                 650            640                      0.1 KiB\n"
        "classify1  softmax   10                                                         0.0 KiB\n"
        "total                                   810          2,944                      4.2 "
        "KiB\n");
}

}  // namespace
}  // namespace emulsion
