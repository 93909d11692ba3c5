// Loops run along rows of values, so that they become vector code; sums have one order.
#include "runtime/data/pixel_filters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/data/elementary.h"

namespace emulsion {

namespace {

// [2 * radius + 1]
void make_weights(double deviation, std::vector<float>* weights) {
    const auto radius = static_cast<int64_t>(std::ceil(3 * deviation));
    weights->clear();
    double sum = 0;
    for (int64_t i = -radius; i <= radius; i++) {
        const double place = static_cast<double>(i) / deviation;
        sum += exponential(-0.5 * place * place);
    }
    for (int64_t i = -radius; i <= radius; i++) {
        const double place = static_cast<double>(i) / deviation;
        weights->push_back(static_cast<float>(exponential(-0.5 * place * place) / sum));
    }
}

void add_scaled(const float* __restrict from, float factor, int64_t count, float* __restrict to) {
    for (int64_t i = 0; i < count; i++) to[i] += factor * from[i];
}

// Of one row, with its first and last pixel repeated.
void blur_row(const float* row, int64_t width, int64_t channels, const std::vector<float>& weights,
              std::vector<float>* padded, float* to) {
    const auto taps = static_cast<int64_t>(weights.size()), radius = taps / 2;
    padded->resize(static_cast<size_t>((width + 2 * radius) * channels));
    float* wide = padded->data();
    for (int64_t x = -radius; x < width + radius; x++) {
        const float* pixel = row + std::clamp<int64_t>(x, 0, width - 1) * channels;
        for (int64_t c = 0; c < channels; c++) *wide++ = pixel[c];
    }
    std::fill_n(to, width * channels, 0.0f);
    for (int64_t k = 0; k < taps; k++) {
        add_scaled(padded->data() + k * channels, weights[static_cast<size_t>(k)], width * channels,
                   to);
    }
}

}  // namespace

void blur(const FloatPicture& picture, double deviation, FilterMemory* memory) {
    if (!(deviation > 0)) return;
    make_weights(deviation, &memory->weights);
    const std::vector<float>& weights = memory->weights;
    const int64_t row = picture.width * picture.channels;
    memory->rows.resize(picture.elements());
    for (int64_t y = 0; y < picture.height; y++) {
        blur_row(picture.values + y * row, picture.width, picture.channels, weights,
                 &memory->padded, memory->rows.data() + y * row);
    }
    const auto taps = static_cast<int64_t>(weights.size()), radius = taps / 2;
    for (int64_t y = 0; y < picture.height; y++) {
        float* to = picture.values + y * row;
        std::fill_n(to, row, 0.0f);
        for (int64_t k = 0; k < taps; k++) {
            const int64_t from = std::clamp<int64_t>(y + k - radius, 0, picture.height - 1);
            add_scaled(memory->rows.data() + from * row, weights[static_cast<size_t>(k)], row, to);
        }
    }
}

namespace {

// Of `count` values that lie `step` apart from their neighbours to the left and right.
void sharpen_row(const float* __restrict above, const float* __restrict row,
                 const float* __restrict below, int64_t step, int64_t count, float part,
                 float* __restrict to) {
    for (int64_t i = 0; i < count; i++) {
        const float ring = above[i - step] + above[i] + above[i + step] + row[i - step] +
                           row[i + step] + below[i - step] + below[i] + below[i + step];
        const float smooth = (ring + 5.0f * row[i]) / 13.0f;
        to[i] = row[i] + part * (smooth - row[i]);
    }
}

}  // namespace

void sharpen(const FloatPicture& picture, float factor, FilterMemory* memory) {
    if (picture.height < 3 || picture.width < 3) return;
    const int64_t channels = picture.channels, row = picture.width * channels;
    memory->rows.assign(picture.values, picture.values + picture.elements());
    for (int64_t y = 1; y + 1 < picture.height; y++) {
        const float* from = memory->rows.data() + y * row + channels;
        sharpen_row(from - row, from, from + row, channels, row - 2 * channels, 1.0f - factor,
                    picture.values + y * row + channels);
    }
}

}  // namespace emulsion
