// Philox4x32-10 as Halide expressions, and what random ops share.
#include "compiler/ops/philox.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

Expr product(const Expr& value, uint32_t multiplier) {
    return Halide::cast<uint64_t>(value) * Halide::cast<uint64_t>(Expr(multiplier));
}

Expr high(const Expr& value) { return Halide::cast<uint32_t>(value >> 32); }
Expr low(const Expr& value) { return Halide::cast<uint32_t>(value); }

}  // namespace

std::array<Expr, 4> philox(std::array<Expr, 4> c, std::array<Expr, 2> key) {
    for (int round = 0; round < 10; round++) {
        const Expr p0 = product(c[0], kMultiplier0), p1 = product(c[2], kMultiplier1);
        c = {high(p1) ^ c[1] ^ key[0], low(p1), high(p0) ^ c[3] ^ key[1], low(p0)};
        key = {key[0] + Expr(kWeyl0), key[1] + Expr(kWeyl1)};
    }
    return c;
}

void expect_random_operands(std::span<const TensorType> inputs) {
    expect_operands(inputs, 5);
    expect_f32(inputs[0], "input");
    for (const TensorType& type : inputs.subspan(1)) {
        if (type != plain_type({}, ElementType::i32)) {
            fail("element",
                 fmt::format("seed and step must be i32[], but one is {}", to_string(type)),
                 "give it the scalars seed_low, seed_high, step_low and step_high");
        }
    }
}

std::array<Expr, 4> random_words(const std::vector<Expr>& operands, const Expr& element,
                                 int64_t site) {
    const auto bits = [](const Expr& value) { return Halide::cast<uint32_t>(value); };
    return philox(
        {bits(element), Expr(static_cast<uint32_t>(site)), bits(operands[3]), bits(operands[4])},
        {bits(operands[1]), bits(operands[2])});
}

Expr element_number(const TensorType& type, const std::vector<Expr>& at) {
    const std::vector<int64_t> extents = memory_extents(type);
    Expr element = 0;
    for (size_t i = at.size(); i-- > 0;) {
        element = i < extents.size() ? element * to_int(extents[i]) + at[i] : at[i];
    }
    return element;
}

}  // namespace emulsion
