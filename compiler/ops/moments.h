// Sums over positions and samples that batch normalisation needs, in two steps: values for each
// strip of a few rows of a sample, then one per channel. Both steps are reductions of a fixed
// order.
//
//     partial_moments(x) -> pivot, sum, squares   per strip: its first value, sum of x - pivot and
//     of (x - pivot)^2 merge_moments(pivot, sum, squares) {width, height} -> mean[C], variance[C]
//     over the step's samples of that size partial_dots(dy, x, mean[C]) -> sum, dot    per strip:
//     sum of dy and of dy * (x - mean); the mean may also be one of each sample, [n,C]
//
// A strip is kStripRows rows of a map, fewer at its lower edge; features [n,C] are one strip.
// Values of strips are a map of one column, [n,C,strips,1]. Strips are small so that the kernel
// which makes a map can sum them on the way.
//
// Deviations are taken from a value of the strip before they are squared, never as E[x^2] - E[x]^2,
// so a mean of 3000 with a deviation of 1 keeps its digits. Strips join by the formulas of Chan,
// Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

inline constexpr int kStripRows = 4;

// The type of values of the strips of `map`.
TensorType strip_type(const TensorType& map);
// Positions of a strip of a map, as f32.
Halide::Expr strip_count(const Halide::Expr& strip, int width, int height);

class PartialMoments : public Op {
  public:
    std::string_view kind() const override { return "partial_moments"; }
    OpClass op_class() const override { return OpClass::reduction; }
    bool sums_strips() const override { return true; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
};

class MergeMoments : public Op {
  public:
    std::string_view kind() const override { return "merge_moments"; }
    void fields(Fields& f) override {
        f.field("width", width);
        f.field("height", height);
    }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    int64_t width = 1, height = 1;  // of the map
};

class PartialDots : public Op {
  public:
    std::string_view kind() const override { return "partial_dots"; }
    OpClass op_class() const override { return OpClass::reduction; }
    bool sums_strips() const override { return true; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
};

// Checks shared by the normalising ops. `type` must be batched f32 with channels: [n,C], [n,C,H,W].
void expect_normalizable(const TensorType& type);
// `type` must be f32[C] for the channels of `map`.
void expect_channels(const TensorType& type, const TensorType& map);
// `type` must be that or f32[n,C].
void expect_statistics(const TensorType& type, const TensorType& map);

}  // namespace emulsion
