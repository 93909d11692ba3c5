// flatten(x [n,C,H,W]) -> [n,F]{C,H,W}, F = C*H*W: the same memory seen as features. The logical
// order is channels first, c*H*W + y*W + x; the factors record that memory holds [H][W][C]. They
// are left out where the two orders are one: C = 1, or H = W = 1. Features pass unchanged.
//
// unflatten(x [n,F]{C,H,W}) {shape=[C,H,W]} -> [n,C,H,W] is the way back.
//
// Maps of other ranks are flattened as (C, 1, W) or (C, D * H, W): their memory is the same.
//
// view(x [n,C,…]) {shape} -> [n,shape]: the same channels, their positions counted along other
// axes, or those of a filter: f32[n,8,4,6] with shape=[8,24] gives f32[n,8,24].
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

// The factors of a flattened C x H x W map, empty where memory order and logical order are one.
std::vector<int64_t> flat_factors(int64_t channels, int64_t height, int64_t width);
// The same for a map of any rank, (C) included.
std::vector<int64_t> flat_factors(const std::vector<int64_t>& shape);

class Flatten : public Op {
  public:
    std::string_view kind() const override { return "flatten"; }
    OpClass op_class() const override { return OpClass::view; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

class Unflatten : public Op {
  public:
    std::string_view kind() const override { return "unflatten"; }
    void fields(Fields& f) override { f.field("shape", shape); }
    OpClass op_class() const override { return OpClass::view; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> shape = {1, 1, 1};
};

class View : public Op {
  public:
    std::string_view kind() const override { return "view"; }
    void fields(Fields& f) override { f.field("shape", shape); }
    OpClass op_class() const override { return OpClass::view; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> shape;
};

}  // namespace emulsion
