// The results of an op on rows, from what a recipe knows of a row.
#include "schedules/common/softmax_result.h"

#include "schedules/common/anchor.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

Func softmax_result(const KernelContext& context, SoftmaxRow& row) {
    const Group& group = context.group();
    std::vector<Func> operands;
    for (size_t i = 0; i < group.anchor_node().inputs.size(); i++)
        operands.push_back(context.operand(static_cast<int>(i)));
    const Var c("c");
    std::vector<Var> at = row.position();
    if (!group.anchor_output().shape.empty()) at.insert(at.begin(), c);
    const std::vector<Expr> values = anchor_as<SoftmaxOp>(group)->evaluate(row, operands, c);
    Func result("result");
    if (values.size() == 1) {
        result(at) = values[0];
    } else {
        result(at) = Halide::Tuple(values);
    }
    return result;
}

}  // namespace emulsion
