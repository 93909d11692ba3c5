// Shapes and register tiles shared by the recipes of contractions.
//
// A register tile is a block of results that stays in vector registers for a whole reduction:
// `channels` output channels (8, or whole blocks of 16) by `x` by `y` positions. Its order of
// summation does not depend on its size, so tiles may differ between instruction sets while bits do
// not.
#pragma once

#include <Halide.h>

#include <string>
#include <string_view>
#include <vector>

#include "compiler/recipe/recipe.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"

namespace emulsion {

// A two-dimensional convolution seen from its forward direction, whichever of its three directions
// the anchor is.
struct ConvShape {
    int channels = 0, height = 0, width = 0;              // of x
    int out_channels = 0, out_height = 0, out_width = 0;  // of y
    int kernel_h = 1, kernel_w = 1;
    int stride_h = 1, stride_w = 1;
    int dilation_h = 1, dilation_w = 1;
    int pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;
    int groups = 1;

    // Whether each channel is a group and has one filter: lanes are channels of both maps.
    bool is_depthwise() const {
        return groups > 1 && groups == channels && channels == out_channels;
    }
    int filter_channels() const { return channels / groups; }  // that a filter reads
    int readers() const { return out_channels / groups; }      // filters that read a channel
    // Whether a block of 16 channels of either map holds whole groups, which lie within four
    // vectors of the other map: what a lane reads is then a load and a shuffle.
    bool has_lane_groups() const {
        const auto fills = [](int own, int other) {
            return own < 16 && 16 % own == 0 && other <= 4 * own;
        };
        return groups > 1 && channels % 16 == 0 && out_channels % 16 == 0 &&
               fills(readers(), filter_channels()) && fills(filter_channels(), readers());
    }
    bool is_padded() const { return pad_top || pad_bottom || pad_left || pad_right; }
    int taps() const { return kernel_h * kernel_w; }
    int blocks() const { return (out_channels + 15) / 16; }
    double multiply_adds() const;  // of one sample
};
// REQUIRES: the anchor is conv2d, conv2d_backward_data or conv2d_backward_filter.
ConvShape conv_shape(const Group& group);
// Whether direct recipes know the anchor's groups: there is one, each is of whole blocks of
// channels in both maps, or blocks of both hold whole groups.
bool has_direct_groups(const Group& group);
// The i-th channel that channel k of the other map has to do with: in groups of `own` and `other`
// channels.
Halide::Expr channel_in_group(const ConvShape& shape, const Halide::Expr& k, const Halide::Expr& i,
                              int own, int other);

struct RegisterTile {
    int channels = 16;
    int x = 1;
    int y = 1;
};

// Vector registers that `channels` by `positions` results take.
int tile_registers(const Isa& isa, int channels, int positions);
// The most registers of accumulators that leave room for the operands.
int accumulator_limit(const Isa& isa);
// Whether the smallest register tile, of so many positions, leaves room for the operands.
bool fits_registers(const Isa& isa, int positions);
// Estimated cycles of one reduction step of a tile: multiply-adds, loads, or the latency of too few
// chains.
double step_cycles(const Isa& isa, int channels, int positions);

// The register tiles for results of `blocks` blocks of channels at width x height positions, each
// of which covers window_w x window_h positions of the accumulator; best first by estimated cycles,
// at most `count`. REQUIRES: fits_registers(isa, window_w * window_h).
std::vector<RegisterTile> register_tiles(const Isa& isa, int blocks, int width, int height,
                                         int window_w, int window_h, size_t count);

// The values 1, 2, … `most` of a tiling's field that divide `value`.
std::vector<int> divisors(int value, int most);
// The words for a register tile that does not fit; empty where it does.
std::string register_fault(const Isa& isa, int channels, int positions);
// The channels of register tiles for results of `blocks` blocks: whole blocks, and less than one of
// them where that still fills vectors.
std::vector<int> tile_channels(const Isa& isa, int blocks, int smallest);

// Seconds for a kernel that runs `multiply_adds` at `efficiency` of the peak and moves `bytes` of
// memory.
double roofline(const Machine& machine, const Isa& isa, double multiply_adds, double efficiency,
                double bytes, double tasks);

// Splits `old` by `factor`; where it does not divide `extent` the tail is guarded, so nothing is
// computed twice.
void split_guarded(Halide::Stage stage, const Halide::VarOrRVar& old,
                   const Halide::VarOrRVar& outer, const Halide::VarOrRVar& inner, int factor,
                   int extent);

// The map `input`, (c, x, y, n), moved right and down by (left, top) and zero outside its width x
// height: the border of a convolution. What is computed inside `input` is evaluated inside the map
// only.
Halide::Func with_border(const Halide::Func& input, int width, int height, int left, int top);

// Vectorises a staged copy along its channels, or along x where there is one channel.
void vectorize_staging(Halide::Func staged, const Halide::Var& channel, const Halide::Var& x,
                       int channels);

}  // namespace emulsion
