// Philox4x32-10 as Halide expressions.
#include "compiler/ops/philox.h"

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

}  // namespace emulsion
