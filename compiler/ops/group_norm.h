// group_norm(x, gamma[C], beta[C]) {groups, epsilon} -> y, mean[n,C], inverse[n,C]
//
//     y = (x - mean) * inverse * gamma + beta,   inverse = 1 / sqrt(variance + epsilon)
//
// with mean and (biased) variance of each sample over the positions and channels of a group: C /
// groups channels side by side, all of which get the same two numbers. One group is layer
// normalisation, as many groups as channels instance normalisation. Example: f32[n,16,32,32] with
// groups=4 gives f32[n,16,32,32], f32[n,16], f32[n,16]; f32[n,10] works as well.
//
// It is a composite: a pass replaces it by partial_moments (moments.h), group_statistics and
// normalize, so that a kernel that makes x can sum on the way.
//
//     group_statistics(pivot, sum, squares) {groups, width, height, epsilon} -> mean, inverse
//     group_statistics(x) {groups, epsilon} -> mean, inverse            of features [n,C]
//     group_coefficients(gamma, inverse, sum, dot) {groups, count} -> a, b, c, dgamma, dbeta
//     group_coefficients(gamma, inverse, dy, x, mean) {groups} -> the same, of features [n,C]
//
// The last has the sums of partial_dots and makes of them the coefficients of batch_norm_backward
// and each sample's part in the gradients of gamma and beta, f32[n,C] each; `count` positions. Of
// features, dy and dy * (x - mean) are such sums.
#pragma once

#include <functional>

#include "compiler/graph/op.h"

namespace emulsion {

// The value of channel i of group g, in strip s of sample n.
using GroupValue = std::function<Halide::Expr(const Halide::Expr& i, const Halide::Expr& s,
                                              const Halide::Expr& g, const Halide::Expr& n)>;
// Makes the sum of `value` over the channels and strips of a group, a Func over (g, n).
using GroupSum = std::function<Halide::Func(const std::string& name, int channels, int strips,
                                            const GroupValue& value)>;

class GroupNorm : public Op {
  public:
    std::string_view kind() const override { return "group_norm"; }
    void fields(Fields& f) override {
        f.field("groups", groups);
        f.field("epsilon", epsilon);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    int64_t groups = 1;
    double epsilon = 1e-5;
};

class GroupStatistics : public Op {
  public:
    std::string_view kind() const override { return "group_statistics"; }
    void fields(Fields& f) override {
        f.field("groups", groups);
        f.field("width", width);
        f.field("height", height);
        f.field("epsilon", epsilon);
    }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    // The same where `sum` says in which order values are added.
    std::vector<Halide::Func> lower_with(const LowerContext& context,
                                         const std::vector<Halide::Func>& inputs,
                                         const GroupSum& sum) const;
    int64_t groups = 1, width = 1, height = 1;  // the last two of the map
    double epsilon = 1e-5;
};

class GroupCoefficients : public Op {
  public:
    std::string_view kind() const override { return "group_coefficients"; }
    void fields(Fields& f) override {
        f.field("groups", groups);
        f.field("count", count);
    }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    // The same where `sum` says in which order values are added.
    std::vector<Halide::Func> lower_with(const LowerContext& context,
                                         const std::vector<Halide::Func>& inputs,
                                         const GroupSum& sum) const;
    int64_t groups = 1, count = 1;
};

}  // namespace emulsion
