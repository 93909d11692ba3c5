// Coordinates, broadcasting and padding shared by all lowerings, the base of pointwise ops, and
// elementary functions.
#include "compiler/ops/lowering.h"

#include <fmt/format.h>

#include <limits>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Names of the axes behind the first one, innermost first: x, y, then z, z4, z5, ….
std::vector<std::string> position_names(size_t count, const std::string& prefix) {
    const std::vector<std::string> letters = {"x", "y", "z"};
    std::vector<std::string> names;
    for (size_t i = 0; i < count; i++) {
        names.push_back(prefix + (i < letters.size() ? letters[i] : fmt::format("z{}", i + 1)));
    }
    return names;
}

// Names of a plain tensor's coordinates: k; or lane, i, then kx, ky, … where it is a filter, then
// k.
std::vector<std::string> plain_names(size_t rank) {
    if (rank == 0) return {};
    if (rank == 1) return {"k"};
    std::vector<std::string> names = {"lane", "i"};
    for (std::string& name : position_names(rank - 2, "k")) names.push_back(std::move(name));
    names.emplace_back("k");
    return names;
}

std::vector<std::string> batched_names(size_t rank) {
    if (rank == 0) return {"n"};
    if (rank == 1) return {"f", "n"};
    std::vector<std::string> names = {"c"};
    for (std::string& name : position_names(rank - 1, "")) names.push_back(std::move(name));
    names.emplace_back("n");
    return names;
}

// The axis that `factors` split.
size_t flat_axis(const TensorType& type) { return type.batched ? 0 : 1; }

// Whether every axis of `from` is that of `to` or has extent 1. A flattened axis has the order of
// its map.
bool fits_axes(const TensorType& from, const TensorType& to) {
    for (size_t i = 0; i < from.shape.size(); i++) {
        if (from.shape[i] != to.shape[i] && from.shape[i] != 1) return false;
    }
    return from.factors == to.factors ||
           (from.factors.empty() && from.shape[flat_axis(to)] != to.shape[flat_axis(to)]);
}

// Orders operands by how much they can hold, for picking the output's type.
bool is_smaller(const TensorType& a, const TensorType& b) {
    if (a.shape.size() != b.shape.size()) return a.shape.size() < b.shape.size();
    return a.batched != b.batched && b.batched;
}

// The type over which all operands can be repeated, if there is one: that of the largest, with the
// larger extent of each axis.
TensorType common_type(std::span<const TensorType> inputs) {
    TensorType common = inputs[0];
    for (const TensorType& type : inputs) {
        if (is_smaller(common, type)) common = type;
    }
    for (const TensorType& type : inputs) {
        if (type.shape.size() != common.shape.size() || type.batched != common.batched) continue;
        for (size_t i = 0; i < type.shape.size(); i++) {
            if (common.shape[i] != 1 || type.shape[i] == 1) continue;
            common.shape[i] = type.shape[i];
            if (i == flat_axis(type)) common.factors = type.factors;
        }
    }
    return common;
}

// The largest operand beside `type`, to be named together with it.
const TensorType& partner_of(const TensorType& type, std::span<const TensorType> inputs) {
    const TensorType* partner = nullptr;
    for (const TensorType& other : inputs) {
        if (other == type) continue;
        if (partner == nullptr || is_smaller(*partner, other)) partner = &other;
    }
    return partner == nullptr ? type : *partner;
}

}  // namespace

bool is_broadcastable(const TensorType& from, const TensorType& to) {
    if (from.batched && !to.batched) return false;
    if (from.shape.empty()) return true;
    if (from.shape.size() == to.shape.size() && from.batched == to.batched)
        return fits_axes(from, to);
    // An axis that is no channels: features of a map, flattened or to be.
    auto is_mixed = [](const TensorType& type) { return type.batched && !type.factors.empty(); };
    return from.shape.size() == 1 && !to.shape.empty() && from.shape[0] == to.shape[0] &&
           !is_mixed(from) && !is_mixed(to);
}

std::vector<Var> coordinates(const TensorType& type) {
    const size_t rank = type.shape.size();
    std::vector<Var> vars;
    for (const std::string& name : type.batched ? batched_names(rank) : plain_names(rank))
        vars.emplace_back(name);
    return vars;
}

std::vector<Expr> as_exprs(const std::vector<Var>& vars) { return {vars.begin(), vars.end()}; }

Halide::Type halide_type(ElementType element) {
    switch (element) {
        case ElementType::f32:
            return Halide::Float(32);
        case ElementType::i32:
            return Halide::Int(32);
        case ElementType::u8:
            return Halide::UInt(8);
    }
    return {};
}

Expr read_broadcast(const Func& input, const TensorType& from, const TensorType& to,
                    const std::vector<Expr>& at) {
    EMU_CHECK(is_broadcastable(from, to), "{} is read at positions of {}", to_string(from),
              to_string(to));
    std::vector<Expr> position;
    if (from.shape.size() == to.shape.size() && from.batched == to.batched) {
        const std::vector<int64_t> extents = memory_extents(from), full = memory_extents(to);
        for (size_t i = 0; i < at.size(); i++) {
            const bool is_repeated = i < extents.size() && extents[i] != full[i];
            position.push_back(is_repeated ? Expr(0) : at[i]);
        }
        if (!from.batched && from.shape != to.shape && from.shape[0] == 1) position.front() = 0;
        return input(position);
    }
    if (!from.shape.empty()) position.push_back(to.batched ? at.front() : first_axis(to, at));
    if (from.batched) position.push_back(at.back());
    return input(position);
}

Expr is_value(const TensorType& type, const std::vector<Expr>& at) {
    if (type.batched || type.shape.empty() || type.shape[0] % kBlock == 0)
        return Halide::Internal::const_true();
    return first_axis(type, at) < to_int(type.shape[0]);
}

Expr first_axis(const TensorType& type, const std::vector<Expr>& at) {
    if (type.shape.size() <= 1) return at.front();
    return at.back() * static_cast<int>(kBlock) + at.front();
}

// Pointwise ops

std::vector<TensorType> PointwiseOp::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, static_cast<size_t>(arity()));
    for (const TensorType& type : inputs) expect_f32(type, "operand");
    const TensorType common = common_type(inputs);
    for (const TensorType& type : inputs) {
        if (is_broadcastable(type, common)) continue;
        fail("shape",
             fmt::format("{} and {} cannot be combined", to_string(partner_of(type, inputs)),
                         to_string(type)),
             "give the operands one shape; an axis of the smaller one may also have extent 1, and "
             "it may be a scalar or have one value per channel");
    }
    return std::vector<TensorType>(static_cast<size_t>(output_count()), common);
}

std::vector<Func> PointwiseOp::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Var> vars = coordinates(type);
    const std::vector<Expr> at = as_exprs(vars);
    std::vector<Expr> operands;
    for (size_t i = 0; i < inputs.size(); i++) {
        operands.push_back(read_broadcast(inputs[i], context.inputs[i], type, at));
    }
    const std::vector<Expr> values = evaluate(context, operands, at);
    EMU_CHECK(values.size() == context.outputs.size(), "'{}' computes {} values", kind(),
              values.size());
    const Expr valid = is_value(type, at);
    std::vector<Func> funcs;
    for (size_t i = 0; i < values.size(); i++) {
        Func f(values.size() == 1 ? context.name : fmt::format("{}__{}", context.name, i));
        f(vars) = Halide::Internal::is_const_one(valid)
                      ? values[i]
                      : Halide::select(valid, values[i], Halide::cast(values[i].type(), 0));
        funcs.push_back(f);
    }
    return funcs;
}

// Elementary functions. The methods are those of the Cephes library's single-precision functions;
// so are the coefficients of the logarithm, and the others are minimax polynomials of fewer terms.

namespace {

// c[0] * x^n + … + c[n]
Strict polynomial(const Strict& x, std::initializer_list<float> coefficients) {
    const float* c = coefficients.begin();
    Strict sum(*c);
    while (++c != coefficients.end()) sum = sum * x + Strict(*c);
    return sum;
}

// Adding 1.5 * 2^23 to a small number rounds it to an integer.
Strict rounded(const Strict& x) {
    constexpr float kRound = 12582912.0F;
    return (x + kRound) - kRound;
}

// x * 2^n by a sum of exponents. REQUIRES: x is no NaN, and the result a normal number.
Strict scaled_by_power(const Strict& x, const Strict& n) {
    const Expr exponent = Halide::cast<int32_t>(Expr(n)) << 23;
    return Strict(Halide::reinterpret<float>(Halide::reinterpret<int32_t>(Expr(x)) + exponent));
}

constexpr float kLn2High = 0.693359375F;  // 9 bits: its products with small integers are exact
constexpr float kLn2Low = -2.12194440e-4F;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

// e^x = 2^n * e^r with n = round(x / ln 2), |r| <= ln 2 / 2, where n may be 128, as e^r is below 1
// then. Down from the smallest normal number the result is 0, above the largest one it is that.
Expr exp_f32(Expr argument) {
    constexpr float kLowest = -87.33654F, kHighest = 88.72283F;
    const Strict given(std::move(argument));
    const Strict limited = choose(given > kHighest, kHighest, given);
    const Strict x = choose(limited < kLowest, kLowest, limited);
    const Strict n = rounded(x * Strict(1.44269504088896341F));
    const Strict r = (x - n * kLn2High) - n * kLn2Low;
    const Strict z = r * r;  // terms in pairs: fewer wait for others than one after another
    const Strict first = r * Strict(1.38148258e-3F) + Strict(8.36871006e-3F);
    const Strict second = r * Strict(4.16683815e-2F) + Strict(1.66665211e-1F);
    const Strict p = (first * z + second) * r + Strict(4.99999940e-1F);
    const Strict y = (p * z + r) + 1.0F;
    return choose(x > kLowest, scaled_by_power(y, n), x - kLowest);  // 0, or a NaN
}

// log x = e * ln 2 + log m with x = 2^e * m, sqrt(1/2) <= m < sqrt(2). What is below the smallest
// normal number counts as that; an infinity or a NaN stays what it is, so that it reaches the test
// of the loss.
Expr log_f32(Expr argument) {
    const Strict given(std::move(argument));
    const Strict x = choose(given < 1.17549435e-38F, 1.17549435e-38F, given);
    const Expr bits = Halide::reinterpret<int32_t>(Expr(x));
    const Strict mantissa(Halide::reinterpret<float>((bits & 0x7fffff) | 0x3f000000));  // 1/2 ... 1
    const Expr is_low = mantissa < 0.707106781186547524F;
    const Strict e(Halide::cast<float>((bits >> 23) - 126 - Halide::cast<int32_t>(is_low)));
    const Strict m = choose(is_low, mantissa + mantissa, mantissa) - 1.0F;
    const Strict z = m * m;
    const Strict p = polynomial(m, {7.0376836292e-2F, -1.1514610310e-1F, 1.1676998740e-1F,
                                    -1.2420140846e-1F, 1.4249322787e-1F, -1.6668057665e-1F,
                                    2.0000714765e-1F, -2.4999993993e-1F, 3.3333331174e-1F});
    const Strict tail = ((p * m) * z + e * kLn2Low) - z * 0.5F;
    return choose(given < kInfinity, (m + tail) + e * kLn2High, given);
}

// An odd polynomial near zero, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere, where an error of
// e^2|x| = 2^n * e^2r, |r| <= ln 2 / 4, counts the less the larger it is.
Expr tanh_f32(Expr argument) {
    constexpr float kNear = 0.5F, kFar = 9.1F;  // beyond the latter it is 1
    const Strict x(std::move(argument));
    const Strict size(Halide::abs(Expr(x)));
    const Strict z = x * x;
    const Strict odd =
        polynomial(z, {1.72541253e-2F, -5.30518517e-2F, 1.33259758e-1F, -3.33331496e-1F});
    const Strict near = (odd * z) * x + x;
    const Strict limited = choose(size > kFar, kFar, size);
    const Strict n = rounded(limited * Strict(2.88539008177792682));
    const Strict r = limited - n * Strict(0.34657359027997265);
    const Strict y =
        polynomial(r, {2.67986208e-1F, 6.70375109e-1F, 1.33331668F, 1.99996591F, 2.0F, 1.0F});
    const Strict far = Strict(1.0F) - Strict(2.0F) / (scaled_by_power(y, n) + 1.0F);
    return choose(size > kNear, choose(x < 0.0F, Strict(0.0F) - far, far), near);
}

Expr logistic_f32(Expr argument) {
    const Strict negated = Strict(0.0F) - Strict(std::move(argument));
    return Strict(1.0F) / (Strict(exp_f32(negated)) + 1.0F);
}

}  // namespace emulsion
