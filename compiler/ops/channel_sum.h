// channel_sum(x) {before, after}: for each channel c the sum of the channels c - before … c + after
// at the same position, as many of them as there are: what local response normalisation divides by.
// f32[n,16,8,8] gives f32[n,16,8,8]. It is linear; its gradient is the sum over the mirrored
// window.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class ChannelSum : public Op {
  public:
    std::string_view kind() const override { return "channel_sum"; }
    void fields(Fields& f) override {
        f.field("before", before);
        f.field("after", after);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    int64_t before = 2, after = 2;  // each 0 to 31
};

}  // namespace emulsion
