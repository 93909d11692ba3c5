// What the sums behind the gradients of filters and of dense weights walk over on devices, and what
// they read there. A line is a row of dy, several short ones, or 16 positions where rows are tiny.
#pragma once

#include <Halide.h>

#include "compiler/recipe/kernel_context.h"
#include "schedules/gpu/product/block_product.h"

namespace emulsion {

// A place of the sums: coordinates of dy, and whether it has them.
struct LinePlace {
    Halide::Expr x, y, n, is_there;
};

// The gradient of a filter, of one group of channels where there are several, or of dense weights:
// one tap, one position a sample.
struct FilterGradient {
    int outputs = 0, inputs = 0, taps_w = 1, taps_h = 1;
    int width = 1, height = 1;  // of dy
    int groups = 1;

    int taps() const { return taps_w * taps_h; }
    int line() const;  // positions of a line
    int64_t lines(int samples) const;
    // A piece of a line that leaves nothing over: all of it where it is several rows.
    int piece() const;
    // A tile and its parts, in pieces that leave the sum of a part a loop: of a single piece ptxas
    // loads all at once, and spills.
    Tiling tiling(BlockTile tile, int parts, int samples) const;

    // Position i of line `line`, clamped to those of the samples. `has_tail`: i may be beyond the
    // line.
    LinePlace place(const Halide::Expr& i, const Halide::Expr& line, const Halide::Expr& samples,
                    bool has_tail) const;
    // dy(o, ·) of output channel o of the group, zero where there is none.
    Halide::Expr dy(const KernelContext& context, const Halide::Expr& o, const LinePlace& at,
                    const Halide::Expr& group = 0) const;
    // x(c, ·) of input channel c of the group under a tap of that position, zero in the border.
    // What is not there is zero in dy.
    Halide::Expr x(const KernelContext& context, const Halide::Expr& c, const Halide::Expr& kx,
                   const Halide::Expr& ky, const LinePlace& at,
                   const Halide::Expr& group = 0) const;

  private:
    bool has_rows() const;
    int rows() const;  // of a line
};

// REQUIRES: the anchor is such a gradient.
FilterGradient filter_gradient_of(const Group& group);

}  // namespace emulsion
