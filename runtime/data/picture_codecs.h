// The decoders behind decode_picture: what they promise each other.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "runtime/data/picture.h"

namespace emulsion {

// REQUIRES: the bytes begin like a file of the format. All return 1 or 3 channels, upright.
Picture decode_png(std::span<const uint8_t> bytes, const std::string& name,
                   const PictureLimits& limits);
Picture decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                    const PictureLimits& limits);
// BMP without compression: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits.
Picture decode_bmp(std::span<const uint8_t> bytes, const std::string& name,
                   const PictureLimits& limits);
// PGM and PPM (P2, P3, P5, P6), up to 16 bits.
Picture decode_netpbm(std::span<const uint8_t> bytes, const std::string& name,
                      const PictureLimits& limits);

// Refuses a picture by what its header says, before memory is taken: sides and pixels against the
// limits and the wanted size, and more pixels than `bytes` bytes can hold at `pixels_per_byte`, the
// most that the format's compression reaches.
void check_size(uint64_t width, uint64_t height, const std::string& name,
                const PictureLimits& limits, uint64_t bytes, uint64_t pixels_per_byte);

// Throws the error of a file that is cut or damaged.
[[noreturn]] void refuse_damaged(const char* format, const char* problem, const std::string& name);

// 1 to 4 channels to 1 or 3: an alpha channel (the last of 2 or 4) is composited over white.
Picture drop_alpha(Picture picture);

}  // namespace emulsion
