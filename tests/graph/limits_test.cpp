// Sizes beyond 32 bits are refused where they arise.
#include "compiler/graph/limits.h"

#include <gtest/gtest.h>

#include <vector>

#include "compiler/graph/text.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

TEST(Limits, CountsWithoutOverflow) {
    EXPECT_EQ(bounded_elements(batched_type({64, 2048, 1024}), 15), int64_t{15} << 27);
    EXPECT_EQ(bounded_elements(batched_type({64, 2048, 1024}), 16), -1);
    EXPECT_EQ(bounded_elements(batched_type({1, 1, kMostElements}), 1), kMostElements);
    EXPECT_EQ(bounded_elements(batched_type({kMostElements, kMostElements, kMostElements}), 1), -1);
    EXPECT_EQ(bounded_elements(plain_type({kMostElements - 1}), 1),
              kMostElements);  // 16 lanes a block
    EXPECT_EQ(bounded_elements(plain_type({}), 1), 1);
}

TEST(Limits, ATensorOfOneSample) {
    EXPECT_EQ(message_of([] { check_size("x", batched_type({65536, 65536, 2})); }),
              "error[size]: 'x' of type f32[n,65536,65536,2] has more than 2147221504 elements\n"
              "  fix: use smaller layers or a smaller input");
}

TEST(Limits, ATensorOfABatch) {
    EXPECT_EQ(message_of([] { check_size("b2", batched_type({64, 2048, 2048}), 16); }),
              "error[size]: 'b2' of type f32[n,64,2048,2048] has 4294967296 elements in a batch of "
              "16, more than 2147221504\n"
              "  fix: use a smaller batch: at most 7 samples");
}

TEST(Limits, FactorsMakeUpTheFeatures) {
    const auto check = [](TensorType type, std::vector<int64_t> factors) {
        type.factors = std::move(factors);
        return message_of([&] { check_factors("x", type); });
    };
    EXPECT_EQ(check(batched_type({3136}), {64, 7, 7}), "");
    EXPECT_EQ(check(plain_type({10, 3136}), {64, 7, 7}), "");
    EXPECT_EQ(check(batched_type({3136}), {64, 49}),
              "error[factors]: 'x' of type f32[n,3136]{64,49} has factors that do not make up its "
              "axis of features\n"
              "  fix: write {channels,height,width} of the map, whose product is the number of "
              "features");
    for (const std::vector<int64_t>& factors : std::vector<std::vector<int64_t>>{
             {64, 7, 8}, {3136}, {1, 64, 7, 7}, {-64, -7, 7}, {kMostElements, kMostElements, 1}}) {
        EXPECT_NE(check(batched_type({3136}), factors), "");
        EXPECT_NE(check(plain_type({3136}), factors), "");
    }
    EXPECT_NE(check(batched_type({}), {1, 1, 1}), "");
}

TEST(Limits, Products) {
    EXPECT_EQ(bounded_product(std::vector<int64_t>{3, 5, 7}), 105);
    EXPECT_EQ(bounded_product(std::vector<int64_t>{}), 1);
    EXPECT_EQ(bounded_product(std::vector<int64_t>{1, kMostElements}), kMostElements);
    EXPECT_EQ(bounded_product(std::vector<int64_t>{2, kMostElements}), -1);
    EXPECT_EQ(bounded_product(std::vector<int64_t>{4, 0}), -1);
    EXPECT_EQ(bounded_product(std::vector<int64_t>{-4, -4}), -1);
}

// What a graph with this line between an input and its end is refused with.
std::string message_of_line(const std::string& line, const std::string& type = "f32[n,3,8,8]") {
    const std::string text = "graph g {\n  %x = input() : " + type +
                             "\n  %w = parameter() : " + "f32[4,3,3,3]\n  %y = " + line +
                             "\n  output \"y\" %y\n}";
    return message_of([&] { parse_graph(text, "g.emu"); });
}

TEST(Limits, NumbersOfAttributes) {
    EXPECT_EQ(message_of_line("conv2d(%x, %w) {padding=[0,0,2147483648,0]} : f32[n,4,6,6]"),
              "g.emu:4: error[attribute]: conv2d 'y': padding is 2147483648, but must be "
              "-2147483647 to 2147483647\n"
              "    operand 'x' f32[n,3,8,8] from g.emu:2\n"
              "    operand 'w' f32[4,3,3,3] from g.emu:3\n"
              "  fix: choose a number of 32 bits");
    EXPECT_EQ(message_of_line("slice(%x) {begin=9223372036854775807, count=1} : f32[n,1,8,8]"),
              "g.emu:4: error[attribute]: slice 'y': begin is 9223372036854775807, but must "
              "be -2147483647 to 2147483647\n"
              "    operand 'x' f32[n,3,8,8] from g.emu:2\n"
              "  fix: choose a number of 32 bits");
    EXPECT_EQ(message_of_line("slice(%x) {begin=9223372036854775808, count=1} : f32[n,1,8,8]"),
              "g.emu:4: error[syntax]: '9223372036854775808' is not a whole number\n"
              "  fix: write a whole number such as 3");
    EXPECT_EQ(message_of_line("conv2d(%x, %w) {stride=[1048577,1]} : f32[n,4,1,6]"),
              "g.emu:4: error[attribute]: conv2d 'y': stride is 1048577, but must be 1 to 1048576\n"
              "    operand 'x' f32[n,3,8,8] from g.emu:2\n"
              "    operand 'w' f32[4,3,3,3] from g.emu:3\n"
              "  fix: give stride numbers from 1 to 1048576");
    EXPECT_EQ(
        message_of_line("factor(%x) {factors=[2147483647,2147483647,8]} : f32[n,24]", "f32[n,24]"),
        "g.emu:4: error[attribute]: factor 'y': factors are [2147483647,2147483647,8], but "
        "their product must be the number of features, 24\n"
        "    operand 'x' f32[n,24] from g.emu:2\n"
        "  fix: give factors=[channels,height,width] of the map");
    EXPECT_EQ(
        message_of_line("unflatten(%x) {shape=[2147483647,2147483647,8]} : f32[n,24]", "f32[n,24]"),
        "g.emu:4: error[shape]: unflatten 'y': input has 24 features, but a "
        "2147483647x2147483647x8 map has more than 2147221504\n"
        "    operand 'x' f32[n,24] from g.emu:2\n"
        "  fix: choose channels, height and width whose product is the number of features");
}

TEST(Limits, PaddedMaps) {
    EXPECT_EQ(message_of_line("max_pool(%x) {window=[1,2], stride=[1,1048576], padding=[0,0,1,1]} "
                              ": f32[n,1,1,2048]",
                              "f32[n,1,1,2147221504]"),
              "g.emu:4: error[size]: max_pool 'y': the padded input 1x2147221506 has more than "
              "2147221504 cells along an axis\n"
              "    operand 'x' f32[n,1,1,2147221504] from g.emu:2\n"
              "  fix: use a smaller input or less padding");
}

TEST(Limits, ExtentsBelowOne) {
    EXPECT_EQ(message_of_line("expand(%x) {shape=[0,5], batched=true} : f32[n,1,5]", "f32[n]"),
              "g.emu:4: error[size]: expand 'y': 'y' of type f32[n,0,5] has an extent below 1\n"
              "    operand 'x' f32[n] from g.emu:2\n"
              "  fix: give every axis 1 or more");
}

TEST(Limits, AnOutputBeyond32Bits) {
    EXPECT_EQ(message_of_line("relu(%x:4294967296) : f32[n,3,8,8]"),
              "g.emu:4: error[unknown_value]: '%x' has 1 outputs, not an output 4294967296\n"
              "  fix: use %x:0 to %x:0");
}

TEST(Limits, GraphsOfText) {
    EXPECT_EQ(message_of(
                  [] { parse_graph("graph g {\n  %x = input() : f32[n,2147483648]\n}", "g.emu"); }),
              "g.emu:2: error[syntax]: an extent of 2147483648 is out of range\n"
              "  fix: extents are 1 to 2147221504");
    const std::string text =
        "graph g {\n  %x = input() : f32[n,2147221504,2147221504,2147221504]\n}";
    EXPECT_EQ(message_of([&] { parse_graph(text, "g.emu"); }),
              "g.emu:2: error[size]: input 'x': 'x' of type "
              "f32[n,2147221504,2147221504,2147221504] has more than 2147221504 elements\n"
              "  fix: use smaller layers or a smaller input");
}

}  // namespace
}  // namespace emulsion::test
