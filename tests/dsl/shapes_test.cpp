// Shapes are inferred as a line is written: worked examples with known answers.
#include <gtest/gtest.h>

#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

TEST(Shapes, StrideOfASevenBySevenInput) {
    Model m("m");
    Tensor x = m.input("image", {1, 7, 7});
    EXPECT_EQ(conv(x, 1).shape(), (Shape{1, 5, 5}));
    EXPECT_EQ(conv(x, 1, {.stride = 2}).shape(), (Shape{1, 3, 3}));
    EXPECT_EQ(conv(x, 1, {.stride = 3}).shape(), (Shape{1, 2, 2}));  // floor(4 / 3) + 1
}

TEST(Shapes, SamePadsTheOddOneRightAndBelow) {
    Model m("m");
    Tensor x = m.input("image", {3, 224, 224});
    Tensor y = conv(x, 64, {.kernel = 7, .stride = 2, .padding = same});
    EXPECT_EQ(y.shape(), (Shape{64, 112, 112}));
    m.classify(dense(flatten(y), 10));
    EXPECT_NE(node_text(finished(m), "conv1").find("padding=[2,3,2,3]"), std::string::npos);
}

TEST(Shapes, SameUsesTheDilatedKernel) {
    Model m("m");
    Tensor y =
        conv(m.input("image", {1, 1, 8}), 1, {.kernel = {1, 2}, .dilation = 3, .padding = same});
    EXPECT_EQ(y.shape(), (Shape{1, 1, 8}));
    m.classify(dense(flatten(y), 10));
    EXPECT_NE(node_text(finished(m), "conv1").find("padding=[0,0,1,2]"), std::string::npos);
}

TEST(Shapes, SameOfAKernelWiderThanTheMap) {
    Model m("m");
    EXPECT_EQ(conv(m.input("image", {1, 3, 3}), 2, {.kernel = 5, .padding = same}).shape(),
              (Shape{2, 3, 3}));
}

TEST(Shapes, FiveByFiveUntilNothingFits) {
    Model m("m");
    Tensor x = m.input("image", {3, 32, 32});
    EXPECT_EQ(conv(x, 6, {.kernel = 5}).shape(), (Shape{6, 28, 28}));
    EXPECT_EQ(flatten(conv(x, 4, {.kernel = 3})).shape(), (Shape{3600}));
    EXPECT_EQ(flatten(x).shape(), (Shape{3072}));
    std::vector<int64_t> sizes;
    for (int i = 0; i < 8; i++) {
        x = conv(x, 6, {.kernel = 5});
        if (!x.shape().empty()) sizes.push_back(x.shape()[1]);
    }
    EXPECT_EQ(sizes, (std::vector<int64_t>{28, 24, 20, 16, 12, 8, 4}));
}

TEST(Shapes, PaddingOfHalfTheKernelKeepsTheSize) {
    for (int kernel : {3, 5, 7}) {
        Model m("m");
        Tensor y =
            conv(m.input("image", {1, 9, 9}), 1, {.kernel = kernel, .padding = (kernel - 1) / 2});
        EXPECT_EQ(y.shape(), (Shape{1, 9, 9})) << kernel;
    }
}

TEST(Shapes, SumsOverAxesKeepTheAxes) {
    Model m("m");
    Tensor x = m.input("image", {3, 8, 6});
    EXPECT_EQ(mean(x, {1, 2}).shape(), (Shape{3, 1, 1}));
    EXPECT_EQ(sum(x, {0}).shape(), (Shape{1, 8, 6}));
    EXPECT_EQ(sum(x, {2, 0}).shape(), (Shape{1, 8, 1}));
    EXPECT_EQ(mean(flatten(x), {0}).shape(), (Shape{1}));
    EXPECT_EQ((x * sigmoid(mean(x, {1, 2}))).shape(), (Shape{3, 8, 6}));
    EXPECT_EQ((sum(x, {0, 1}) - x).shape(), (Shape{3, 8, 6}));
    EXPECT_EQ((sum(x, {0}) + mean(x, {1, 2})).shape(), (Shape{3, 8, 6}));
    m.classify(dense(flatten(sum(x, {2, 1})), 10, {.name = "last"}));
    EXPECT_NE(node_text(finished(m), "sum5").find("reduce_axes(%image) {axes=[1,2], mean=false}"),
              std::string::npos);
}

TEST(Shapes, PaddingPerSide) {
    Model m("m");
    Tensor x = m.input("image", {1, 8, 8});
    EXPECT_EQ(conv(x, 1, {.padding = {1, 0}}).shape(), (Shape{1, 8, 6}));
    EXPECT_EQ(conv(x, 1, {.padding = {0, 1, 2, 3}}).shape(), (Shape{1, 7, 11}));
    EXPECT_EQ(conv(x, 1, {.padding = valid}).shape(), (Shape{1, 6, 6}));
}

TEST(Shapes, LeNetFive) {
    Model m("m");
    Tensor x = m.input("image", {1, 32, 32});
    std::vector<int64_t> sizes;
    for (int filters : {6, 16}) {
        x = conv(x, filters, {.kernel = 5});
        sizes.push_back(x.shape()[1]);
        x = average_pool(x, {.window = 2});
        sizes.push_back(x.shape()[1]);
    }
    x = conv(x, 120, {.kernel = 5});
    sizes.push_back(x.shape()[1]);
    EXPECT_EQ(sizes, (std::vector<int64_t>{28, 14, 10, 5, 1}));
}

TEST(Shapes, AlexNetFrom227) {
    Model m("m");
    Tensor x = m.input("image", {3, 227, 227});
    std::vector<int64_t> sizes;
    auto note = [&](Tensor y) {
        sizes.push_back(y.shape()[1]);
        return y;
    };
    x = note(conv(x, 96, {.kernel = 11, .stride = 4}));
    x = note(max_pool(x, {.window = 3, .stride = 2}));
    x = conv(x, 256, {.kernel = 5, .padding = 2});
    x = note(max_pool(x, {.window = 3, .stride = 2}));
    x = conv(x, 256, {.kernel = 3, .padding = 1});
    note(max_pool(x, {.window = 3, .stride = 2}));
    EXPECT_EQ(sizes, (std::vector<int64_t>{55, 27, 13, 6}));
}

TEST(Shapes, PicturesAsVectors) {
    Model m("m");
    EXPECT_EQ(flatten(m.input("small", {3, 32, 32})).shape(), Shape{3072});
    EXPECT_EQ(flatten(m.input("large", {3, 224, 224})).shape(), Shape{150528});
}

TEST(Shapes, Pooling) {
    Model m("m");
    Tensor x = m.input("image", {2, 5, 7});
    EXPECT_EQ(max_pool(x, {.window = {1, 2}}).shape(),
              (Shape{2, 5, 3}));  // the stride is the window
    EXPECT_EQ(max_pool(x, {.window = 2}).shape(), (Shape{2, 2, 3}));
    EXPECT_EQ(max_pool(x, {.window = 2, .round_up = true}).shape(), (Shape{2, 3, 4}));
    EXPECT_EQ(max_pool(x, {.window = 3, .stride = 1, .padding = same}).shape(), (Shape{2, 5, 7}));
    EXPECT_EQ(average_pool(x, {.window = {2, 3}, .stride = 1}).shape(), (Shape{2, 4, 5}));
    EXPECT_EQ(global_average_pool(x).shape(), (Shape{2}));
}

TEST(Shapes, ConcatenationAndReshaping) {
    Model m("m");
    Tensor x = m.input("image", {6, 4, 4});
    EXPECT_EQ(concatenate({x, relu(x), conv(x, 3, {.kernel = 1})}).shape(), (Shape{15, 4, 4}));
    EXPECT_EQ(concatenate({flatten(x), flatten(relu(x))}).shape(), (Shape{192}));
    EXPECT_EQ(reshape(x, {96}).shape(), (Shape{96}));
    EXPECT_EQ(reshape(flatten(x), {6, 4, 4}).shape(), (Shape{6, 4, 4}));
    EXPECT_EQ(reshape(x, {2, 12, 4}).shape(), (Shape{2, 12, 4}));
    EXPECT_EQ(reshape(dense(flatten(x), 24), {6, 2, 2}).shape(), (Shape{6, 2, 2}));
}

TEST(Shapes, OfAMistakeIsEmpty) {
    Model m("m");
    Tensor x = conv(m.input("image", {1, 4, 4}), 1, {.kernel = 5});
    EXPECT_EQ(x.shape(), Shape{});
    EXPECT_EQ(relu(x).shape(), Shape{});
    EXPECT_EQ(Tensor().shape(), Shape{});
}

}  // namespace
}  // namespace emulsion
