// connect_filter(w (P,1,KH,KW)) {filters, channels, table} -> (filters, channels, KH, KW): the
// filter of a convolution in which each filter reads some channels alone, zeros where it reads
// none. `table` has a row of `channels` numbers for each filter, 1 where it reads the channel and 0
// where not; the ones are the P pairs in order, the parameters that there are.
// LeNet-5's C3 has 60 of 16 times 6 pairs: f32[60,1,5,5] gives f32[16,6,5,5].
//
// Filters of a line or a volume have one or three axes of taps.
//
// connect_filter_backward(dw (filters, channels, KH, KW)) {table} -> (P,1,KH,KW)
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

// The most pairs, connected or not.
inline constexpr int64_t kMostConnections = 4096;

class ConnectFilter : public Op {
  public:
    std::string_view kind() const override { return "connect_filter"; }
    void fields(Fields& f) override {
        f.field("filters", filters);
        f.field("channels", channels);
        f.field("table", table);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t filters = 1, channels = 1;
    std::vector<int64_t> table;
};

class ConnectFilterBackward : public Op {
  public:
    std::string_view kind() const override { return "connect_filter_backward"; }
    void fields(Fields& f) override { f.field("table", table); }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> table;
};

}  // namespace emulsion
