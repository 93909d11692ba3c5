// Padding: which cell a border shows, the gradient through several copies, what is refused.
#include "compiler/ops/pad.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<Pad> pad(std::vector<int64_t> before, std::vector<int64_t> after,
                         std::string border, double value = 0) {
    auto op = std::make_shared<Pad>();
    op->before = std::move(before);
    op->after = std::move(after);
    op->border = std::move(border);
    op->value = value;
    return op;
}

Values row_of_three(const std::string& border, double value = 0) {
    const Tensor row = reference::make_tensor(batched_type({1, 1, 3}), 1, {1, 2, 3});
    return run_op(*pad({0, 0, 2}, {0, 0, 2}, border, value), {row}, 1)[0].values;
}

TEST(Pad, ShowsTheCellsOfItsBorder) {
    EXPECT_EQ(row_of_three("constant", -4), (Values{-4, -4, 1, 2, 3, -4, -4}));
    EXPECT_EQ(row_of_three("reflect"), (Values{3, 2, 1, 2, 3, 2, 1}));
    EXPECT_EQ(row_of_three("symmetric"), (Values{2, 1, 1, 2, 3, 3, 2}));
    EXPECT_EQ(row_of_three("replicate"), (Values{1, 1, 1, 2, 3, 3, 3}));
}

TEST(Pad, AgreesWithTheReferenceAndItsGradient) {
    for (const char* border : {"constant", "reflect", "symmetric", "replicate"}) {
        check_op(pad({0, 1, 2}, {0, 0, 2}, border, 0.5), {{batched_type({3, 2, 4})}, {}, 2});
        check_op(pad({0, 3, 1}, {0, 4, 0}, border), {{batched_type({17, 5, 2})}, {}, 1});
        EXPECT_TRUE(is_inlinable(*pad({0, 1, 2}, {0, 0, 2}, border), {batched_type({3, 2, 4})}));
    }
    check_op(pad({1}, {2}, "reflect"), {{batched_type({5})}, {}, 3});
    check_op(pad({2, 0, 1, 0}, {1, 0, 1, 0}, "symmetric"), {{batched_type({3, 2, 2, 1})}, {}, 1});
    check_op(pad({0, 0, 0}, {0, 0, 0}, "reflect"), {{batched_type({2, 1, 1})}, {}, 1});
    check_op(pad({0, 5, 0}, {0, 7, 1}, "replicate"), {{batched_type({2, 1, 3})}, {}, 1});
}

// As many copies as make a loop of its own.
TEST(Pad, ReplicatedFar) {
    check_op(pad({0, 0, 30}, {0, 0, 9}, "replicate"), {{batched_type({3, 2, 4})}, {}, 2});
    PadBackward op;
    op.border = "replicate";
    op.before = 30;
    EXPECT_EQ(op.op_class(), OpClass::gather);
    op.after = 9;
    EXPECT_EQ(op.op_class(), OpClass::anchor);
}

TEST(Pad, MirroredGradientAddsUp) {
    auto op = std::make_shared<PadBackward>();
    op->axis = 2;
    op->before = op->after = 2;
    const Tensor dy =
        reference::make_tensor(batched_type({1, 1, 7}), 1, {1, 10, 100, 1000, 1e4, 1e5, 1e6});
    EXPECT_EQ(run_op(*op, {dy}, 1)[0].values, (Values{1000100, 101010, 10001}));
    op->border = "symmetric";
    EXPECT_EQ(run_op(*op, {dy}, 1)[0].values, (Values{110, 1001001, 110000}));
    op->border = "replicate";
    EXPECT_EQ(run_op(*op, {dy}, 1)[0].values, (Values{111, 1000, 1110000}));
}

TEST(Pad, RefusesWhatNoMirrorShows) {
    const TensorType map = batched_type({4, 3, 5});
    EXPECT_EQ(
        node_error(pad({0, 1, 0}, {0, 3, 0}, "reflect"), {map}),
        R"(net.cpp:7: error[padding]: pad 'it': the border 'reflect' is 3 cells wide along the height, but the input has 3: 2 of them can be mirrored
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: pad at most 2 per side, or use the border replicate)");
    EXPECT_EQ(
        node_error(pad({0, 0, 6}, {0, 0, 0}, "symmetric"), {map}),
        R"(net.cpp:7: error[padding]: pad 'it': the border 'symmetric' is 6 cells wide along the width, but the input has 5: 5 of them can be mirrored
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: pad at most 5 per side, or use the border replicate)");
    EXPECT_EQ(node_error(pad({0, 3, 5}, {0, 3, 5}, "symmetric"), {map}), "");
    EXPECT_EQ(node_error(pad({0, 9, 9}, {0, 9, 9}, "replicate"), {map}), "");
}

TEST(Pad, RefusesWhatIsNoPadding) {
    const TensorType map = batched_type({4, 3, 5});
    EXPECT_EQ(
        node_error(pad({1, 1}, {0, 0, 0}, "constant"), {map}),
        R"(net.cpp:7: error[attribute]: pad 'it': before needs 3 numbers, one for each axis of f32[n,4,3,5], but is [1,1]
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: give one for the channels, then one for each other axis)");
    EXPECT_EQ(node_error(pad({0, 0, 0}, {0, -1, 0}, "constant"), {map}),
              R"(net.cpp:7: error[attribute]: pad 'it': after is -1, but must be 0 to 1048576
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: give after numbers from 0 to 1048576)");
    EXPECT_EQ(node_error(pad({0, 0, 0}, {0, 0, 0}, "wrap"), {map}),
              R"(net.cpp:7: error[attribute]: pad 'it': there is no border 'wrap' here
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: use constant, reflect, symmetric or replicate)");
    auto backward = std::make_shared<PadBackward>();
    backward->axis = 3;
    EXPECT_EQ(
        node_error(backward, {map}),
        R"(net.cpp:7: error[attribute]: pad_backward 'it': the axis is 3, but f32[n,4,3,5] has axes 0 to 2 beside its samples
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: choose one of them; 0 is the channels)");
    backward->axis = 1;
    backward->before = backward->after = 2;
    EXPECT_EQ(
        node_error(backward, {map}),
        R"(net.cpp:7: error[attribute]: pad_backward 'it': before is 2 and after is 2, but both must be 0 or more and leave some of the 3 cells
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: give what the padding before it has)");
}

}  // namespace
}  // namespace emulsion::test
