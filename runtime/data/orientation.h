// EXIF orientation: how a camera was held, and the picture turned upright.
#pragma once
#include <cstdint>
#include <span>

#include "runtime/data/picture.h"

namespace emulsion {

// The orientation, 1 to 8, in a TIFF block as EXIF stores it; 1 where there is none.
int read_orientation(std::span<const uint8_t> tiff);

// The picture upright. REQUIRES: 1 <= orientation <= 8.
Picture turn_upright(Picture picture, int orientation);

}  // namespace emulsion
