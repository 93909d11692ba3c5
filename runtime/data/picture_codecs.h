// The two decoders behind decode_picture: what they promise each other.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "runtime/data/picture.h"

namespace emulsion {

// REQUIRES: the bytes begin like a file of the format. Both return 1 or 3 channels, upright.
Picture decode_png(std::span<const uint8_t> bytes, const std::string& name,
                   const PictureLimits& limits);
Picture decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
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
