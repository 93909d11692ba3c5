// Sums over positions and samples that batch normalisation needs, in two steps: one value per sample and channel, then
// one per channel. Both steps are reductions of a fixed order.
//
//     partial_moments(x) -> mean [n,C], m2 [n,C]          per sample: mean, and sum of (x - mean)^2
//     merge_moments(mean, m2) {count} -> mean[C], variance[C]   over the step's samples, each of `count` values
//     partial_dots(dy, x, mean[C]) -> sum [n,C], dot [n,C]      per sample: sum of dy and of dy * (x - mean)
//
// Deviations are taken from a mean before they are squared, never as E[x^2] - E[x]^2, so a mean of 3000 with a
// deviation of 1 keeps its digits.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class PartialMoments : public Op {
public:
    std::string_view kind() const override { return "partial_moments"; }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
};

class MergeMoments : public Op {
public:
    std::string_view kind() const override { return "merge_moments"; }
    void fields(Fields& f) override { f.field("count", count); }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    int64_t count = 1;  // values of a sample: H * W
};

class PartialDots : public Op {
public:
    std::string_view kind() const override { return "partial_dots"; }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
};

// Checks shared by the normalising ops. `type` must be batched f32 with channels: [n,C], [n,C,H,W].
void expect_normalizable(const TensorType& type);
// `type` must be f32[C] for the channels of `map`.
void expect_channels(const TensorType& type, const TensorType& map);

}  // namespace emulsion
