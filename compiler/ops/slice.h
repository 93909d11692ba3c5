// slice(x) {begin, count}: channels begin … begin + count - 1 of a map or of features.
// f32[n,16,8,8] with begin=6, count=10 gives f32[n,10,8,8].
//
// slice_backward(dy) {begin, channels} -> dx: dy among zeros, `channels` of them in all.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Slice : public Op {
  public:
    std::string_view kind() const override { return "slice"; }
    void fields(Fields& f) override {
        f.field("begin", begin);
        f.field("count", count);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::optional<ChannelRange> taken_channels() const override {
        return ChannelRange{begin, count};
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t begin = 0;
    int64_t count = 1;
};

class SliceBackward : public Op {
  public:
    std::string_view kind() const override { return "slice_backward"; }
    void fields(Fields& f) override {
        f.field("begin", begin);
        f.field("channels", channels);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t begin = 0;
    int64_t channels = 1;
};

}  // namespace emulsion
