// Pictures from files: PNG, JPEG, BMP, PGM and PPM, told apart by content and never by name, as
// 8-bit grey or RGB.
//
// Conventions: 16 bits are scaled to 8 by 255 / 65535 and rounded; palettes and 1-, 2- and 4-bit
// grey are expanded; interlaced files are read; an alpha channel is composited over white; EXIF
// orientation is applied; CMYK is converted, inverted where Adobe's marker says so. Cut, damaged
// and oversized files are refused by name; the size is judged by the header, before any memory is
// taken.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/support/file.h"
#include "runtime/support/limits.h"

namespace emulsion {

// The logical shape of one sample: C, H, W.
struct PictureShape {
    int channels = 0, height = 0, width = 0;

    bool operator==(const PictureShape&) const = default;
    uint64_t elements() const {
        return static_cast<uint64_t>(channels) * static_cast<uint64_t>(height) *
               static_cast<uint64_t>(width);
    }
};

// "1x28x28", channels first.
std::string to_text(const PictureShape& shape);

struct Picture {
    PictureShape shape;
    std::vector<uint8_t> pixels;  // [H][W][C], C is 1 or 3
};

struct PictureLimits {
    uint32_t side = kMostPictureSide;
    uint64_t pixels = kMostPicturePixels;
    uint64_t file_bytes = kMostPictureFile;
    uint64_t block_visits = kMostJpegBlockVisits;
    // The one size that is wanted, upright or lying, or 0 by 0: any.
    int height = 0, width = 0;
    // Where they are not 0: a JPEG may come at a half, a quarter or an eighth of its size, rounded
    // up, as long as it stays so large, upright.
    int least_height = 0, least_width = 0;
};

// Those of pictures for a network of this shape: nothing larger is read or decoded.
PictureLimits limits_for(const PictureShape& shape);

// `name` is what messages call the picture. Throws RuntimeError.
Picture decode_picture(std::span<const uint8_t> bytes, const std::string& name,
                       const PictureLimits& limits = {});
Picture read_picture(const std::string& path, const PictureLimits& limits = {});

// The picture in a file as the network reads it (see fit_picture). A file of another size is
// refused by its header.
Picture read_picture(const std::string& path, const PictureShape& shape);

// True where the bytes begin like a file of one of the formats.
bool is_picture(std::span<const uint8_t> bytes);

// Whether a file of this name is taken for a picture where a folder is searched: .png, .jpg, .jpeg,
// .jpe, .bmp, .pgm, .ppm, .pnm, in any case, and not hidden.
bool has_picture_name(std::string_view name);

// Grey to RGB repeats the value; RGB to grey is round(0.299 R + 0.587 G + 0.114 B). REQUIRES:
// channels is 1 or 3.
Picture convert_channels(const Picture& picture, int channels);

// The picture with the network's channels; throws RuntimeError where height or width differ, with
// both sizes.
Picture fit_picture(Picture picture, const PictureShape& shape, const std::string& name);

// The class indices that a PNG holds, one channel: grey values or indices into a palette, of 8 bits
// or less, as they are. Throws RuntimeError where the bytes are no such file.
Picture decode_index_png(std::span<const uint8_t> bytes, const std::string& name);

// PNG of indices into a palette of red, green and blue. REQUIRES: one channel, and every index
// below the length of the palette, which is at most 256.
Bytes encode_index_png(const Picture& indices, std::span<const std::array<uint8_t, 3>> palette);

// PNG of 1 or 3 channels, 8 bits; equal pixels give equal bytes.
Bytes encode_png(const Picture& picture);
void write_png(const std::string& path, const Picture& picture);

}  // namespace emulsion
