// What the two filter gradients by Winograd's method share: sizes, where they apply, and the last
// transform.
#pragma once

#include <Halide.h>

#include <functional>

#include "compiler/ops/winograd.h"
#include "schedules/cpu/common/tiling.h"

namespace emulsion {

// Sizes of a group whose anchor is conv2d_backward_filter.
struct WinogradGradientShape {
    ConvShape conv;
    int tile, points, columns, rows;  // of dy, and tiles of one sample

    explicit WinogradGradientShape(const Group& group);
    int tiles() const { return columns * rows; }
    // Multiply-adds of a sample, transforms apart.
    double products() const {
        return 1.0 * points * points * tiles() * conv.channels * conv.out_channels;
    }
    // Bytes of the sum over tiles.
    double sum_bytes() const { return 4.0 * points * points * conv.channels * conv.out_channels; }
};

// Whether the group is a filter gradient of 3x3 or 5x5 at stride 1 between whole blocks of 16
// channels.
bool has_winograd_gradient(const Group& group, const Isa& isa);

// G^T S G: `result` over (lane, c, kx, ky, block), computed from `half` over (k, c, point, ky).
struct FilterAdjoint {
    Halide::Var k{"k"}, l{"l"}, c{"c"}, j{"j"}, kx{"kx"}, ky{"ky"}, block{"block"};
    Halide::Func half{"half"}, result{"result"};

    // `sum` reads S at (k, c, j, i).
    using Sum = std::function<Halide::Expr(const Halide::Expr& k, const Halide::Expr& c,
                                           const Halide::Expr& j, const Halide::Expr& i)>;
    FilterAdjoint(const WinogradGradientShape& shape, const Sum& sum);
};

}  // namespace emulsion
