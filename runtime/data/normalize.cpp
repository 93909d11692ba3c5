// One table look-up a value: the three roundings happen once for each of the 256 pixel values.
#include "runtime/data/normalize.h"

#include <algorithm>

namespace emulsion {

Normalizer::Normalizer(int channels, const float* mean, const float* deviation)
    : channels_(channels), table_(static_cast<size_t>(channels) * 256) {
    if (mean) {
        mean_.assign(mean, mean + channels);
        deviation_.assign(deviation, deviation + channels);
    }
    for (int c = 0; c < channels; c++) {
        for (int pixel = 0; pixel < 256; pixel++) {
            const float fraction = static_cast<float>(pixel) / 255.0f;
            table_[static_cast<size_t>(c) * 256 + static_cast<size_t>(pixel)] =
                mean ? (fraction - mean[c]) / deviation[c] : fraction;
        }
    }
}

Normalizer::Normalizer(int channels, const emulsion_info& info)
    : Normalizer(channels, info.normalized ? info.input_mean : nullptr,
                 info.normalized ? info.input_deviation : nullptr) {}

namespace {

// pixels, values: [pixel_count][C]; table: [C][256].
template <int C>
void look_up(const uint8_t* pixels, uint64_t pixel_count, const float* table, float* values) {
    for (uint64_t i = 0; i < pixel_count; i++, pixels += C, values += C) {
        for (int c = 0; c < C; c++) values[c] = table[c * 256 + pixels[c]];
    }
}

// numbers, values: [pixel_count][C], which may be one; mean, deviation: [C].
template <int C>
void divide(const float* numbers, uint64_t pixel_count, const float* mean, const float* deviation,
            float* values) {
    for (uint64_t i = 0; i < pixel_count; i++, numbers += C, values += C) {
        for (int c = 0; c < C; c++) values[c] = (numbers[c] - mean[c]) / deviation[c];
    }
}

}  // namespace

void Normalizer::apply(const float* numbers, uint64_t pixel_count, float* values) const {
    if (mean_.empty()) {
        std::copy_n(numbers, pixel_count * static_cast<uint64_t>(channels_), values);
        return;
    }
    switch (channels_) {
        case 1:
            return divide<1>(numbers, pixel_count, mean_.data(), deviation_.data(), values);
        case 2:
            return divide<2>(numbers, pixel_count, mean_.data(), deviation_.data(), values);
        case 3:
            return divide<3>(numbers, pixel_count, mean_.data(), deviation_.data(), values);
        default:
            return divide<4>(numbers, pixel_count, mean_.data(), deviation_.data(), values);
    }
}

void Normalizer::apply(const uint8_t* pixels, uint64_t pixel_count, float* values) const {
    switch (channels_) {
        case 1:
            return look_up<1>(pixels, pixel_count, table_.data(), values);
        case 2:
            return look_up<2>(pixels, pixel_count, table_.data(), values);
        case 3:
            return look_up<3>(pixels, pixel_count, table_.data(), values);
        case 4:
            return look_up<4>(pixels, pixel_count, table_.data(), values);
        default:
            break;
    }
    const auto channels = static_cast<uint64_t>(channels_);
    for (uint64_t i = 0; i < pixel_count * channels; i++)
        values[i] = table_[i % channels * 256 + pixels[i]];
}

}  // namespace emulsion
