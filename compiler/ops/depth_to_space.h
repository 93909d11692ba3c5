// depth_to_space(x [n,C*B,…]) {block} -> [n,C,…]: channels become positions. Each position grows to
// a block of B of them, block[a] along axis a, whose cells are B channels side by side:
//     y(c, i*KH + p, j*KW + q) = x((c*KH + p)*KW + q, i, j),  block = [KH,KW]
// f32[n,8,5,6] with block=[2,2] gives f32[n,2,10,12]: PyTorch's pixel_shuffle. Lines and volumes
// have one or three axes.
//
// space_to_depth(x [n,C,…]) {block} -> [n,C*B,…] is the way back, and the gradient.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class DepthToSpace : public Op {
  public:
    std::string_view kind() const override { return "depth_to_space"; }
    void fields(Fields& f) override { f.field("block", block); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> block = {1, 1};
};

class SpaceToDepth : public Op {
  public:
    std::string_view kind() const override { return "space_to_depth"; }
    void fields(Fields& f) override { f.field("block", block); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> block = {1, 1};
};

}  // namespace emulsion
