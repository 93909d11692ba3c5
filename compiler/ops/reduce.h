// Sums and means.
//
// reduce(x) {keep_samples, keep_channels, mean}: the sum, or with mean=true the mean, over every
// axis that is not kept. A mean over samples divides by the samples of the call. From
// f32[n,32,7,7]:
//     keep both f32[n,32] (global average), keep_channels f32[32], keep_samples f32[n], neither
//     f32[]
// A parameter (O, …) becomes (O) with keep_channels and () without; its padding lanes are zero and
// add nothing.
//
// reduce_axes(x) {axes, mean}: over these axes alone (0 is the channels), which get extent 1;
// samples stay. From f32[n,32,7,7] axes=[0] makes f32[n,1,7,7], axes=[1,2] f32[n,32,1,1]; the
// result can be combined with x again.
//
// The plain definition sums one axis after the other, width first, samples and channels last.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Reduce : public Op {
  public:
    std::string_view kind() const override { return "reduce"; }
    void fields(Fields& f) override {
        f.field("keep_samples", keep_samples);
        f.field("keep_channels", keep_channels);
        f.field("mean", mean);
    }
    OpClass op_class() const override { return OpClass::reduction; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    // Whether the samples of an input are added up.
    bool sums_samples(const TensorType& input) const {
        return input.batched && axes.empty() && !keep_samples;
    }
    // Values of one sample (or of a parameter) that one result sums up.
    int64_t terms(const TensorType& input) const;
    // What a value adds to the sum: itself.
    virtual Halide::Expr term(const Halide::Expr& value) const;
    std::vector<int64_t> axes;  // of reduce_axes, ascending; empty where the flags say what is kept
    bool keep_samples = false;
    bool keep_channels = false;
    bool mean = false;
};

class ReduceAxes : public Reduce {
  public:
    std::string_view kind() const override { return "reduce_axes"; }
    void fields(Fields& f) override {
        f.field("axes", axes);
        f.field("mean", mean);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
