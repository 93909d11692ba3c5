// What the products of devices read: the filter and the map of a convolution, of the gradient of
// its data, or of a dense layer in these directions. Of a convolution of several groups, each group
// is a product.
#pragma once

#include <Halide.h>

#include <string>
#include <utility>
#include <vector>

#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/gpu/product/block_product.h"

namespace emulsion {

// A product seen from its result.
struct Product {
    int m = 0;                   // channels of the result, of a group
    int width = 1, height = 1;   // positions of one sample
    int channels = 0;            // of the operand, of a group: the reduction's first axis
    int taps_w = 1, taps_h = 1;  // its others
    int groups = 1;
    Panel panel = Panel::vectors;  // of the filter
    int64_t positions(int batch) const { return int64_t{width} * height * batch; }
    double multiply_adds(int batch) const {
        return 1.0 * groups * m * channels * taps_w * taps_h *
               static_cast<double>(positions(batch));
    }
    // Whether the last piece of the reduction is only partly in it.
    bool has_tail(const BlockTile& tile) const { return channels % tile.bk != 0; }
};

// Whether the group's anchor is one product; whether it is one for each group of a convolution.
bool is_product(const Group& group);
bool is_grouped_product(const Group& group);
Product product_of(const Group& group);

// A piece of the reduction near 16 that leaves nothing over, in whole vectors where there is one.
int piece_of(int reduction);
// The same, so small that so many channels and taps are a loop over pieces: ptxas loads all of a
// single piece at once, and spills.
int looping_piece(int channels, int taps);

// Why a thread would stage so much of the map at once that registers spill; empty where it may.
std::string staging_clash(const Product& product, const BlockTile& tile);

// The operands at their place in the product of one group of channels, which is an argument where
// there are several.
class Operands {
  public:
    Operands(const KernelContext& context, const Product& product,
             Halide::Expr group = Halide::Expr(0))
        : context_(context), product_(product), group_(std::move(group)) {}

    // The filter's value for result channel m and step (c, kx, ky) of the reduction.
    Halide::Expr filter(const Halide::Expr& m, const Halide::Expr& c, const Halide::Expr& kx,
                        const Halide::Expr& ky) const;

    // The map's value for position p, zero outside its border and, where the reduction `has_tail`,
    // beyond its last channel.
    Halide::Expr map(const Halide::Expr& p, const Halide::Expr& c, const Halide::Expr& kx,
                     const Halide::Expr& ky, bool has_tail) const;

    // The same at positions of the map.
    Halide::Expr map_at(const Halide::Expr& c, const Position& x, const Position& y,
                        const Halide::Expr& n, bool has_tail) const;

    // Memory coordinates of the result, for a result channel m of the group.
    std::vector<Halide::Expr> result_at(const Halide::Expr& m, const Halide::Expr& p) const;

  private:
    bool is_map() const { return context_.group().anchor_output().shape.size() == 3; }
    Halide::Expr sample(const Halide::Expr& p) const;
    // Channel `channel` of the group, which has `each`, among those of all groups.
    Halide::Expr of_all(const Halide::Expr& channel, int each) const;
    Position position(int axis, const Halide::Expr& at, const Halide::Expr& tap) const;

    const KernelContext& context_;
    const Product& product_;
    Halide::Expr group_;
};

}  // namespace emulsion
