// What an update leaves where a device has found something that is not finite:
//
//     keep_old(flag, new…, old…) -> next…      old where flag is not 0, else new
//
// Of one type each, as many old tensors as new ones; the flag is i32[].
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class KeepOld : public PointwiseOp {
  public:
    std::string_view kind() const override { return "keep_old"; }
    void fields(Fields& f) override { f.field("tensors", tensors); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    int64_t tensors = 1;

  protected:
    int arity() const override { return 1 + 2 * static_cast<int>(tensors); }
    int output_count() const override { return static_cast<int>(tensors); }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
