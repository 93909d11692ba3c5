// Most pixels of a result lie inside the picture and take four neighbours as they are; the others
// ask cell_of for each of the four.
#include "runtime/data/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace emulsion {

int32_t cell_of(int64_t i, int32_t size, Fill fill) {
    if (i >= 0 && i < size) return static_cast<int32_t>(i);
    const auto modulo = [&](int64_t period) { return ((i % period) + period) % period; };
    switch (fill) {
        case Fill::constant:
            return -1;
        case Fill::nearest:
            return i < 0 ? 0 : size - 1;
        case Fill::wrap:
            return static_cast<int32_t>(modulo(size));
        case Fill::reflect: {
            const int64_t place = modulo(int64_t{2} * size);
            return static_cast<int32_t>(place < size ? place : int64_t{2} * size - 1 - place);
        }
    }
    return -1;
}

namespace {

constexpr double kFar = 1e6;  // no place further from the picture is told from this one

bool is_whole(double x) { return x == std::floor(x) && std::fabs(x) < kFar; }

}  // namespace

bool moves_whole_pixels(const Affine& map) {
    return std::fabs(map.xx) == 1 && std::fabs(map.yy) == 1 && map.xy == 0 && map.yx == 0 &&
           is_whole(map.x0) && is_whole(map.y0);
}

namespace {

// One row: of each column that is read inside of the picture, its pixel.
template <int C>
void move_row(const uint8_t* row, const std::vector<int32_t>& columns, uint8_t* to) {
    for (const int32_t column : columns) {
        if (column >= 0) {
            for (int c = 0; c < C; c++) to[c] = row[static_cast<ptrdiff_t>(column) * C + c];
        }
        to += C;
    }
}

using MoveRow = void (*)(const uint8_t*, const std::vector<int32_t>&, uint8_t*);
constexpr MoveRow kMoveRow[] = {move_row<1>, move_row<2>, move_row<3>, move_row<4>};

}  // namespace

void move_pixels(const uint8_t* from, const PictureShape& shape, const Affine& map,
                 const Outside& outside, std::vector<int32_t>* columns, uint8_t* to) {
    const size_t row_bytes = static_cast<size_t>(shape.width) * static_cast<size_t>(shape.channels);
    columns->resize(static_cast<size_t>(shape.width));
    for (int x = 0; x < shape.width; x++) {
        const auto place = static_cast<int64_t>(map.xx * x + map.x0);
        (*columns)[static_cast<size_t>(x)] = cell_of(place, shape.width, outside.fill);
    }
    const bool has_constant = outside.fill == Fill::constant;
    for (int y = 0; y < shape.height; y++, to += row_bytes) {
        const auto place = static_cast<int64_t>(map.yy * y + map.y0);
        const int32_t row = cell_of(place, shape.height, outside.fill);
        if (has_constant) std::memset(to, outside.value, row_bytes);
        if (row < 0) continue;
        kMoveRow[shape.channels - 1](from + static_cast<size_t>(row) * row_bytes, *columns, to);
    }
}

namespace {

struct Place {
    double x, y;
};

double near(double x) { return x > -kFar ? (x < kFar ? x : kFar) : -kFar; }

// The whole part of a place that is near, without libm.
int32_t floor_of(double x) {
    const auto whole = static_cast<int32_t>(x);
    return whole - (x < whole ? 1 : 0);
}

// Taken from memory faster than they are converted.
constexpr std::array<float, 256> kFloats = [] {
    std::array<float, 256> floats{};
    for (size_t i = 0; i < floats.size(); i++) floats[i] = static_cast<float>(i);
    return floats;
}();

// The mean of the four pixels around, weighed by how near they are; exact where a weight is 1.
float blend(float top_left, float top_right, float low_left, float low_right, float right,
            float low) {
    const float top = (1.0f - right) * top_left + right * top_right;
    const float bottom = (1.0f - right) * low_left + right * low_right;
    return (1.0f - low) * top + low * bottom;
}

template <int C>
class Reader {
  public:
    Reader(const uint8_t* pixels, const PictureShape& shape, const Outside& outside)
        : pixels_(pixels), height_(shape.height), width_(shape.width), outside_(outside) {
        std::fill_n(constant_, C, outside.value);
    }

    void read(const Place& place, float* to) const {
        const double x = near(place.x), y = near(place.y);
        const int32_t column = floor_of(x), row = floor_of(y);
        const auto right = static_cast<float>(x - column), low = static_cast<float>(y - row);
        const bool is_inside = column >= 0 && column < width_ - 1 && row >= 0 && row < height_ - 1;
        if (is_inside) {
            const uint8_t* top = pixel(row, column);
            const uint8_t* bottom = top + static_cast<size_t>(width_) * C;
            return blend_all(top, top + C, bottom, bottom + C, right, low, to);
        }
        blend_all(pixel_at(row, column), pixel_at(row, column + 1), pixel_at(row + 1, column),
                  pixel_at(row + 1, column + 1), right, low, to);
    }

  private:
    static void blend_all(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                          float right, float low, float* to) {
        for (int i = 0; i < C; i++) {
            to[i] = blend(kFloats[a[i]], kFloats[b[i]], kFloats[c[i]], kFloats[d[i]], right, low);
        }
    }
    const uint8_t* pixel(int32_t row, int32_t column) const {
        return pixels_ + (static_cast<size_t>(row) * static_cast<size_t>(width_) +
                          static_cast<size_t>(column)) *
                             C;
    }
    const uint8_t* pixel_at(int64_t row, int64_t column) const {
        const int32_t y = cell_of(row, height_, outside_.fill);
        const int32_t x = cell_of(column, width_, outside_.fill);
        return x < 0 || y < 0 ? constant_ : pixel(y, x);
    }

    const uint8_t* pixels_;
    int32_t height_, width_;
    Outside outside_;
    uint8_t constant_[C];
};

Place read_at(const Affine& map, double x, double y) {
    return {map.xx * x + map.xy * y + map.x0, map.yx * x + map.yy * y + map.y0};
}

template <int C>
void warp(const uint8_t* from, const PictureShape& shape, const Affine& map, const float* aside,
          const Outside& outside, float* to) {
    const Reader<C> reader(from, shape, outside);
    for (int row = 0; row < shape.height; row++) {
        for (int column = 0; column < shape.width; column++, to += C) {
            double x = column, y = row;
            if (aside != nullptr) {
                x += static_cast<double>(*aside++);
                y += static_cast<double>(*aside++);
            }
            reader.read(read_at(map, x, y), to);
        }
    }
}

}  // namespace

void warp_pixels(const uint8_t* from, const PictureShape& shape, const Affine& map,
                 const float* aside, const Outside& outside, float* to) {
    switch (shape.channels) {
        case 1:
            return warp<1>(from, shape, map, aside, outside, to);
        case 2:
            return warp<2>(from, shape, map, aside, outside, to);
        case 3:
            return warp<3>(from, shape, map, aside, outside, to);
        default:
            return warp<4>(from, shape, map, aside, outside, to);
    }
}

namespace {

// From the middle of a cell of one axis to the place in an axis of `scale` times as many cells.
double rescale(double place, double scale) { return (place + 0.5) * scale - 0.5; }

// The nearest cell.
int64_t nearest(double place) { return floor_of(near(place) + 0.5); }

}  // namespace

void warp_values(const int32_t* from, const PictureShape& values, const PictureShape& picture,
                 const Affine& map, const float* aside, Fill fill, int32_t outside, int32_t* to) {
    const double down = static_cast<double>(picture.height) / values.height;
    const double across = static_cast<double>(picture.width) / values.width;
    for (int row = 0; row < values.height; row++) {
        for (int column = 0; column < values.width; column++, to += values.channels) {
            double x = rescale(column, across), y = rescale(row, down);
            if (aside != nullptr) {
                const int64_t pixel =
                    std::clamp<int64_t>(nearest(y), 0, picture.height - 1) * picture.width +
                    std::clamp<int64_t>(nearest(x), 0, picture.width - 1);
                x += static_cast<double>(aside[2 * pixel]);
                y += static_cast<double>(aside[2 * pixel + 1]);
            }
            const Place place = read_at(map, x, y);
            const int32_t cell_x =
                cell_of(nearest(rescale(near(place.x), 1 / across)), values.width, fill);
            const int32_t cell_y =
                cell_of(nearest(rescale(near(place.y), 1 / down)), values.height, fill);
            if (cell_x < 0 || cell_y < 0) {
                std::fill_n(to, values.channels, outside);
                continue;
            }
            const int64_t cell = static_cast<int64_t>(cell_y) * values.width + cell_x;
            std::copy_n(from + cell * values.channels, values.channels, to);
        }
    }
}

Edges move_box(const Edges& box, const PictureShape& picture, const Affine& map) {
    constexpr double kLeastShare = 0.1;  // of its area
    const double height = picture.height, width = picture.width;
    const double determinant = map.xx * map.yy - map.xy * map.yx;
    if (determinant == 0) return {};
    double left = kFar, top = kFar, right = -kFar, bottom = -kFar;
    for (const double across : {double{box.left}, double{box.right}}) {
        for (const double down : {double{box.top}, double{box.bottom}}) {
            const double x = across * width - 0.5 - map.x0;
            const double y = down * height - 0.5 - map.y0;
            const double to_x = (map.yy * x - map.xy * y) / determinant + 0.5;
            const double to_y = (map.xx * y - map.yx * x) / determinant + 0.5;
            left = std::min(left, to_x), right = std::max(right, to_x);
            top = std::min(top, to_y), bottom = std::max(bottom, to_y);
        }
    }
    const double area = (right - left) * (bottom - top);
    left = std::max(left, 0.0), right = std::min(right, width);
    top = std::max(top, 0.0), bottom = std::min(bottom, height);
    const bool is_left = right - left >= 1 && bottom - top >= 1 &&
                         (right - left) * (bottom - top) >= kLeastShare * area;
    if (!is_left) return {};
    return {static_cast<float>(left / width), static_cast<float>(top / height),
            static_cast<float>(right / width), static_cast<float>(bottom / height)};
}

}  // namespace emulsion
