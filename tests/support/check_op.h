// Checks of single ops that every op's test uses: lowering against the reference, gradient against
// central differences.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/graph/op.h"
#include "tests/reference/tensor.h"

namespace emulsion::test {

// How an operand is filled with random values.
enum class Fill {
    normal,     // deviation 1
    off_zero,   // normal, kept 1e-2 or more from zero
    separated,  // a random order of numbers at least 2e-2 apart
    positive,   // 0.5 … 1.5
    labels,     // class indices 0 … classes - 1
};

struct OpCase {
    std::vector<TensorType> inputs;
    std::vector<Fill> fills;  // the missing ones are `normal`, or `labels` for i32
    int64_t samples = 3;
    int64_t classes = 2;
    uint64_t seed = 1;
};

// Random operands of a case, rounded to their element types.
std::vector<reference::Tensor> random_operands(const OpCase& op_case);

// Lowered == reference on random operands, to `tolerance` times the largest value, for samples 1 …
// op_case.samples.
void check_lowering(const Op& op, OpCase op_case, double tolerance = 2e-6);

// The op's gradient, run through the plain lowerings in f32, against central differences of the
// double-precision reference: norm of the difference over norm of the latter, per operand, below
// 1e-3. Prints the worst.
void check_gradient(std::shared_ptr<const Op> op, const OpCase& op_case);

// Both.
void check_op(std::shared_ptr<const Op> op, const OpCase& op_case);

// The full text of the Error that adding this op to a graph throws, empty where there is none. The
// node is 'it' at net.cpp:7, its operands are the inputs 'a', 'b', … at net.cpp:1, 2, …
std::string node_error(std::shared_ptr<const Op> op, const std::vector<TensorType>& inputs);

// Values as doubles, for EXPECT_EQ and for comparisons with a tolerance.
void expect_near(const std::vector<double>& actual, const std::vector<double>& expected,
                 double tolerance);

}  // namespace emulsion::test
