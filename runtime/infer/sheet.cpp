// See sheet.h.
#include "runtime/infer/sheet.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace emulsion {

Picture scale_values(std::span<const float> values, const PictureShape& shape) {
    float least = std::numeric_limits<float>::infinity(), greatest = -least;
    for (const float value : values) {
        if (!std::isfinite(value)) continue;
        least = std::min(least, value);
        greatest = std::max(greatest, value);
    }
    const double range = double{greatest} - double{least};
    Picture picture{shape, std::vector<uint8_t>(values.size(), 0)};
    if (!(range > 0.0)) return picture;
    for (size_t i = 0; i < values.size(); i++) {
        if (!std::isfinite(values[i])) continue;
        const double share = (double{values[i]} - double{least}) / range;
        picture.pixels[i] = static_cast<uint8_t>(std::lround(255.0 * share));
    }
    return picture;
}

int enlargement(int side, int least) { return std::max(1, (least + side - 1) / side); }

Picture enlarge(const Picture& picture, int factor) {
    const PictureShape& from = picture.shape;
    Picture large{{from.channels, from.height * factor, from.width * factor}, {}};
    large.pixels.reserve(large.shape.elements());
    const auto channels = static_cast<size_t>(from.channels);
    for (int y = 0; y < large.shape.height; y++) {
        for (int x = 0; x < large.shape.width; x++) {
            const auto pixel = static_cast<size_t>(y / factor) * static_cast<size_t>(from.width) +
                               static_cast<size_t>(x / factor);
            const uint8_t* in = picture.pixels.data() + pixel * channels;
            large.pixels.insert(large.pixels.end(), in, in + channels);
        }
    }
    return large;
}

Picture make_sheet(const std::vector<Picture>& pictures) {
    constexpr int kGap = 2;
    constexpr uint8_t kGround = 48;
    const PictureShape& tile = pictures[0].shape;
    const bool has_colour =
        std::any_of(pictures.begin(), pictures.end(),
                    [](const Picture& picture) { return picture.shape.channels == 3; });
    const int count = static_cast<int>(pictures.size());
    const int columns = std::max(1, static_cast<int>(std::ceil(std::sqrt(
                                        static_cast<double>(count) * tile.height / tile.width))));
    const int rows = (count + columns - 1) / columns;
    const int channels = has_colour ? 3 : 1;
    Picture sheet{{channels, rows * (tile.height + kGap) + kGap,
                   std::min(columns, count) * (tile.width + kGap) + kGap},
                  {}};
    sheet.pixels.assign(sheet.shape.elements(), kGround);
    for (int i = 0; i < count; i++) {
        const Picture picture = convert_channels(pictures[static_cast<size_t>(i)], channels);
        const auto row_bytes = static_cast<ptrdiff_t>(tile.width) * channels;
        for (int y = 0; y < tile.height; y++) {
            const ptrdiff_t top = kGap + i / columns * (tile.height + kGap) + y;
            const ptrdiff_t left = kGap + i % columns * (tile.width + kGap);
            std::copy_n(picture.pixels.begin() + y * row_bytes, row_bytes,
                        sheet.pixels.begin() + (top * sheet.shape.width + left) * channels);
        }
    }
    return sheet;
}

std::array<uint8_t, 3> scale_colour(double share) {
    static constexpr double kColours[][3] = {
        {68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
    constexpr int kParts = 4;
    const double place = std::clamp(share, 0.0, 1.0) * kParts;
    const int part = std::min(static_cast<int>(place), kParts - 1);
    std::array<uint8_t, 3> colour{};
    for (size_t c = 0; c < 3; c++) {
        const double from = kColours[part][c], to = kColours[part + 1][c];
        colour[c] = static_cast<uint8_t>(std::lround(from + (to - from) * (place - part)));
    }
    return colour;
}

}  // namespace emulsion
