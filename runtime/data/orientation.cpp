// EXIF holds a small TIFF file: a byte order, the offset of a directory, entries of 12 bytes.
#include "runtime/data/orientation.h"

#include <cstring>
#include <utility>

namespace emulsion {

namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShortType = 3;

// Numbers of 2 and 4 bytes in the block's own byte order; 0 outside of it.
struct TiffReader {
    std::span<const uint8_t> bytes;
    bool is_big_endian;

    uint32_t number(uint64_t offset, unsigned length) const {
        if (offset + length > bytes.size()) return 0;
        uint32_t value = 0;
        for (unsigned i = 0; i < length; i++) {
            unsigned shift = 8 * (is_big_endian ? length - 1 - i : i);
            value |= static_cast<uint32_t>(bytes[offset + i]) << shift;
        }
        return value;
    }
};

}  // namespace

int read_orientation(std::span<const uint8_t> tiff) {
    if (tiff.size() < 8) return 1;
    bool is_big_endian = std::memcmp(tiff.data(), "MM\0*", 4) == 0;
    if (!is_big_endian && std::memcmp(tiff.data(), "II*\0", 4) != 0) return 1;
    TiffReader reader{tiff, is_big_endian};
    uint64_t directory = reader.number(4, 4);
    uint32_t entries = reader.number(directory, 2);
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t entry = directory + 2 + 12 * static_cast<uint64_t>(i);
        if (entry + 12 > tiff.size()) break;
        if (reader.number(entry, 2) != kOrientationTag) continue;
        uint32_t value = reader.number(entry + 8, 2);
        bool is_valid = reader.number(entry + 2, 2) == kShortType && value >= 1 && value <= 8;
        return is_valid ? static_cast<int>(value) : 1;
    }
    return 1;
}

Picture turn_upright(Picture picture, int orientation) {
    if (orientation <= 1) return picture;
    // The stored row 0 is the upright picture's top, bottom, left or right side, and so is column
    // 0.
    const int o = orientation;
    const bool is_transposed = o >= 5;
    const bool is_row_reversed = o == 3 || o == 4 || o == 6 || o == 7;
    const bool is_column_reversed = o == 2 || o == 3 || o == 7 || o == 8;
    const PictureShape stored = picture.shape;
    Picture upright;
    upright.shape = stored;
    if (is_transposed) std::swap(upright.shape.height, upright.shape.width);
    upright.pixels.resize(picture.pixels.size());
    const size_t channels = static_cast<size_t>(stored.channels);
    uint8_t* out = upright.pixels.data();  // [H][W][C]
    for (int y = 0; y < upright.shape.height; y++) {
        for (int x = 0; x < upright.shape.width; x++, out += channels) {
            int row = is_transposed ? x : y, column = is_transposed ? y : x;
            if (is_row_reversed) row = stored.height - 1 - row;
            if (is_column_reversed) column = stored.width - 1 - column;
            size_t pixel = static_cast<size_t>(row) * static_cast<size_t>(stored.width) +
                           static_cast<size_t>(column);
            std::memcpy(out, picture.pixels.data() + pixel * channels, channels);
        }
    }
    return upright;
}

}  // namespace emulsion
