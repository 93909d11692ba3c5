// Nodes without inputs: what enters a graph.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

// Base of sources: the type is an attribute of the node, not inferred.
class SourceOp : public Op {
  public:
    explicit SourceOp(TensorType type) : type_(std::move(type)) {}
    SourceOp() = default;
    OpClass op_class() const override { return OpClass::source; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext&) const override { return {}; }
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    const TensorType& type() const { return type_; }
    void set_type(TensorType type) {
        type_ = std::move(type);
    }  // the parser reads it after the colon

  private:
    TensorType type_;
};

// A tensor that each call brings: pictures (f32) or labels (i32, one class index per sample).
class Input : public SourceOp {
  public:
    using SourceOp::SourceOp;
    std::string_view kind() const override { return "input"; }
};

// A trained tensor. `init` is one of "zeros", "ones", "constant", "normal", "uniform", with `scale`
// as the constant, deviation or bound of the last three, or by the fans "he", "glorot_normal",
// "lecun" (normal) and "he_uniform", "glorot", "lecun_uniform" (uniform); dsl/emulsion.h has their
// formulas.
class Parameter : public SourceOp {
  public:
    using SourceOp::SourceOp;
    std::string_view kind() const override { return "parameter"; }
    void fields(Fields& f) override {
        f.field("init", init);
        f.field("scale", scale);
        f.field("fan_in", fan_in);
        f.field("fan_out", fan_out);
        f.field("trained", trained);
        f.field("decay", decay);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::string init = "zeros";
    double scale = 0;
    int64_t fan_in = 0, fan_out = 0;
    bool trained = true;  // false: frozen, no gradient
    bool decay = true;    // false: weight decay leaves it alone
};

// A tensor that a training step updates without a gradient: running statistics, momentum. Starts at
// `value`.
class State : public SourceOp {
  public:
    using SourceOp::SourceOp;
    std::string_view kind() const override { return "state"; }
    void fields(Fields& f) override {
        f.field("value", value);
        f.field("optimizer", optimizer);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double value = 0;
    bool optimizer =
        false;  // true: written by `update`; false: by `forward_backward`, after the loss test
};

// A number that each call brings, or that the library keeps: "learning_rate" (f32), "seed_low",
// "seed_high", "step_low", "step_high" (i32 bits). Type is always a plain scalar.
class Scalar : public SourceOp {
  public:
    using SourceOp::SourceOp;
    std::string_view kind() const override { return "scalar"; }
    void fields(Fields& f) override { f.field("name", name); }
    std::string name;
};

// The number that a device holds for a training step: 0 until a test has found that the loss or a
// gradient is not finite, then another. Type is i32[].
class NotFinite : public SourceOp {
  public:
    NotFinite() : SourceOp(plain_type({}, ElementType::i32)) {}
    std::string_view kind() const override { return "not_finite"; }
};

// A tensor that holds one number everywhere.
class Constant : public SourceOp {
  public:
    using SourceOp::SourceOp;
    std::string_view kind() const override { return "constant"; }
    void fields(Fields& f) override { f.field("value", value); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    double value = 0;
};

}  // namespace emulsion
