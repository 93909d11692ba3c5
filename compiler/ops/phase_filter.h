// phase_filter(w [O,I,KH,KW]) {stride=[SH,SW]} -> [I*SH*SW,O,MH,MW], M = ceil(K / S): what each
// phase of a strided convolution's input reads of a filter, turned round. Filters have one to three
// axes of taps, with zeros for those that are none of w:
//     r((c*SH + p)*SW + q, o, i, j) = w(o, c, (MH-1-i)*SH + p, (MW-1-j)*SW + q)
// The data gradient of the convolution is a convolution with it at stride 1, whose channels
// depth_to_space turns into positions. Example: stride=[2,2], f32[32,3,4,4] gives f32[12,32,2,2].
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class PhaseFilter : public Op {
  public:
    std::string_view kind() const override { return "phase_filter"; }
    void fields(Fields& f) override { f.field("stride", stride); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> stride = {1, 1};
};

}  // namespace emulsion
