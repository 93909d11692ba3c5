// Maps at other extents: which cells are read, the adjoint, what is refused.
#include "compiler/ops/resize.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<Resize> resize(std::vector<int64_t> size, std::string mode) {
    auto op = std::make_shared<Resize>();
    op->size = std::move(size);
    op->mode = std::move(mode);
    return op;
}

Values resized_row(Values row, int64_t width, const std::string& mode) {
    const auto count = static_cast<int64_t>(row.size());
    const Tensor x = reference::make_tensor(batched_type({1, 1, count}), 1, std::move(row));
    return run_op(*resize({1, width}, mode), {x}, 1)[0].values;
}

TEST(Resize, NearestLooksAtCenters) {  // case C9
    EXPECT_EQ(resized_row({5, 6, 7}, 7, "nearest"), (Values{5, 5, 6, 6, 6, 7, 7}));
    EXPECT_EQ(resized_row({5, 6, 7}, 6, "nearest"), (Values{5, 5, 6, 6, 7, 7}));
    EXPECT_EQ(resized_row({1, 2, 3, 4, 5, 6}, 2, "nearest"), (Values{2, 5}));
}

TEST(Resize, BilinearHasHalfPixelCenters) {  // case D13
    EXPECT_EQ(resized_row({0, 8}, 4, "bilinear"), (Values{0, 2, 6, 8}));
    EXPECT_EQ(resized_row({4, 8, 0}, 3, "bilinear"), (Values{4, 8, 0}));
    EXPECT_EQ(resized_row({7}, 3, "bilinear"), (Values{7, 7, 7}));
    expect_near(resized_row({0, 3, 6}, 5, "bilinear"), {0, 1.2, 3, 4.8, 6}, 1e-6);
}

TEST(Resize, AgreesWithTheReferenceAndItsGradient) {
    for (const char* mode : {"nearest", "bilinear"}) {
        check_op(resize({6, 4}, mode), {{batched_type({3, 3, 2})}, {}, 2});
        check_op(resize({5, 7}, mode), {{batched_type({17, 3, 5})}, {}, 1});
        check_op(resize({2, 3}, mode), {{batched_type({2, 5, 4})}, {}, 2});
        EXPECT_TRUE(is_inlinable(*resize({6, 4}, mode), {batched_type({3, 3, 2})}));
    }
    check_op(resize({9}, "nearest"), {{batched_type({4, 3})}, {}, 2});
    check_op(resize({3, 2, 4}, "bilinear"), {{batched_type({2, 2, 1, 2})}, {}, 1});
}

// From one cell to many: the sum of the gradient is a loop.
TEST(Resize, OfOneCell) {
    for (const char* mode : {"nearest", "bilinear"})
        check_op(resize({40, 2}, mode), {{batched_type({5, 1, 1})}, {}, 2});
    ResizeBackward op;
    op.input = 2;
    op.output = 64;
    EXPECT_EQ(op.op_class(), OpClass::gather);
    op.mode = "bilinear";
    EXPECT_EQ(op.op_class(), OpClass::anchor);
}

TEST(Resize, Refusals) {
    const TensorType map = batched_type({4, 3, 5});
    EXPECT_EQ(
        node_error(resize({6}, "nearest"), {map}),
        R"(net.cpp:7: error[attribute]: resize 'it': size is [6], but must name the extents behind the channels of f32[n,4,3,5]
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: give a map, and size=[height,width])");
    EXPECT_EQ(node_error(resize({6, 6}, "cubic"), {map}),
              R"(net.cpp:7: error[attribute]: resize 'it': there is no mode 'cubic'
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: use nearest or bilinear)");
    EXPECT_EQ(
        node_error(resize({6, 0}, "nearest"), {map}),
        R"(net.cpp:7: error[size]: resize 'it': an axis of 5 cells cannot become one of 0: both must be 1 or more, and their product at most 268435455
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: choose a smaller size)");
    auto backward = std::make_shared<ResizeBackward>();
    backward->output = 6;
    EXPECT_EQ(
        node_error(backward, {map}),
        R"(net.cpp:7: error[attribute]: resize_backward 'it': axis 1 of f32[n,4,3,5] is to become 1 from 6 cells
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: name an axis behind the channels, and as its output the cells that it has)");
}

}  // namespace
}  // namespace emulsion::test
