// Sizes of a Winograd convolution, and its tilings.
#pragma once

#include <string>
#include <vector>

#include "compiler/ops/winograd.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

// Sizes of a group whose anchor is winograd_conv2d.
struct WinogradShape {
    int channels, height, width;     // of x
    int out_channels, out_h, out_w;  // of the convolution
    int tile, kernel, points, pad_top, pad_left;
    int window_h, window_w;  // of the epilogue
    int result_h, result_w;  // of the group's results
    int columns, rows;       // tiles of a sample
    int batch;

    // REQUIRES: the anchor is winograd_conv2d.
    explicit WinogradShape(const Group& group);
    int tiles() const { return columns * rows; }
    double products() const {  // multiply-adds of a sample, transforms apart
        return 1.0 * points * points * tiles() * channels * out_channels;
    }
    // Whether a block's products ask for the input of the next block.
    bool asks_ahead() const;
    int staged_width() const { return columns * tile + kernel - 1; }
    int staged_height() const { return rows * tile + kernel - 1; }  // of a sample
};

// A tiling is
//     kw, th      register tile: output channels and tiles
//     kb, tb      block: output channels and tiles whose products are in the second cache at a time
//     order       0: blocks of tiles outermost, 1: panels of channels outermost
TilingSpace winograd_space(const Group& group);
std::string winograd_clash(const Group& group, const Tiling& tiling, const Isa& isa);
// Legal ones, best first.
std::vector<Tiling> winograd_tilings(const Group& group, const Isa& isa);

}  // namespace emulsion
