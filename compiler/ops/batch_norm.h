// batch_norm(x, gamma[C], beta[C], running_mean[C], running_variance[C]) -> y, mean[C], variance[C]
//
//     y = (x - mean) * gamma / sqrt(variance + epsilon) + beta
//
// with mean and (biased) variance of each channel over all samples of the step and all positions.
// It is a composite: a pass replaces it by partial_moments, merge_moments and normalize where it
// trains, and by batch_norm_fold and scale_shift with the running statistics where it infers. The
// running statistics do not enter y; they are operands so that the node carries everything both
// forms need. `momentum` weighs the new value in their update. Example: f32[n,16,32,32] gives
// f32[n,16,32,32], f32[16], f32[16]; f32[n,10] works as well.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class BatchNorm : public Op {
  public:
    std::string_view kind() const override { return "batch_norm"; }
    void fields(Fields& f) override {
        f.field("epsilon", epsilon);
        f.field("momentum", momentum);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    bool is_batch_statistic(int output) const override { return output > 0; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    double epsilon = 1e-5;
    double momentum = 0.1;
};

// Positions of one sample: H * W, or 1 for features.
int64_t positions_of(const TensorType& type);

}  // namespace emulsion
