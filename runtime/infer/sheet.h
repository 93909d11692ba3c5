// Numbers as pictures: grey and colour scales, and sheets of many small pictures.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/data/picture.h"

namespace emulsion {

// Values [H][W][C], C of 1 or 3, as grey or RGB: the least becomes 0, the greatest 255; equal ones
// become 0. What is not finite is 0.
Picture scale_values(std::span<const float> values, const PictureShape& shape);

// The least factor by which a side becomes `least` pixels or more.
int enlargement(int side, int least);

// Each pixel as a square of factor x factor.
Picture enlarge(const Picture& picture, int factor);

// The pictures in rows from left to right, in as many columns as make a sheet about square, with
// dark grey lines between them; in colour where one of them is. REQUIRES: at least one, all of one
// height and width.
Picture make_sheet(const std::vector<Picture>& pictures);

// A colour from dark blue over green to yellow for a share from 0 to 1; what is beyond is cut.
std::array<uint8_t, 3> scale_colour(double share);

}  // namespace emulsion
