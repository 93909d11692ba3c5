// Reads a picture by a map of its pixels.
#pragma once
#include <cstdint>
#include <vector>

#include "runtime/data/augment_draw.h"
#include "runtime/data/augmentation.h"
#include "runtime/data/picture.h"

namespace emulsion {

struct Outside {
    Fill fill = Fill::constant;
    uint8_t value = 0;
};

// Where cell `i` of a row of `size` is read: 0 .. size - 1, or -1: it is the constant. REQUIRES:
// size >= 1, |i| <= 2^30.
int32_t cell_of(int64_t i, int32_t size, Fill fill);

// Whether the map moves every pixel to the place of one: flips, and shifts by whole pixels.
bool moves_whole_pixels(const Affine& map);

// from, to: [H][W][C] of `shape`, apart from each other; `columns` is memory of its own. REQUIRES:
// moves_whole_pixels(map).
void move_pixels(const uint8_t* from, const PictureShape& shape, const Affine& map,
                 const Outside& outside, std::vector<int32_t>* columns, uint8_t* to);

// The same for any map, bilinearly between the four pixels around a place; equal to move_pixels
// where both can be called. `aside`, or null, is [H][W][2]: so far to the right and down of itself
// each pixel of the result asks the map. REQUIRES: 1 to 4 channels.
void warp_pixels(const uint8_t* from, const PictureShape& shape, const Affine& map,
                 const float* aside, const Outside& outside, float* to);

// What elements of a map on the picture hold, such as the classes of its pixels, moved as
// warp_pixels moves the picture's values: each takes the element that is nearest to the place its
// middle is read from, and beyond the picture, where the fill is constant, `outside`. from, to:
// [H][W][C] of `values`, apart from each other; height and width may be others than the picture's.
void warp_values(const int32_t* from, const PictureShape& values, const PictureShape& picture,
                 const Affine& map, const float* aside, Fill fill, int32_t outside, int32_t* to);

// A box: its edges in shares of the picture's width and height, 0 to 1 within it.
struct Edges {
    float left, top, right, bottom;
};

// Where the picture of a result has a box of the picture that the map reads: the least box around
// its four corners, cut at the borders. All 0 where nothing of it is left, less than a pixel in
// width or height, or less than a tenth of its area there.
Edges move_box(const Edges& box, const PictureShape& picture, const Affine& map);

}  // namespace emulsion
