// From 8-bit pixels to a network's input: x = (pixel / 255 - mean) / deviation, each step in single
// precision.
//
// Trainer and inference program share this one table of 256 values a channel, so both see the same
// bits.
#pragma once
#include <cstdint>
#include <vector>

#include "runtime/abi/emulsion_abi.h"

namespace emulsion {

class Normalizer {
  public:
    // `mean` and `deviation` hold one value for each channel; null for both means x = pixel / 255.
    // REQUIRES: 1 <= channels, deviations > 0.
    Normalizer(int channels, const float* mean, const float* deviation);

    // That of a library: its input_mean and input_deviation where `normalized` is 1.
    Normalizer(int channels, const emulsion_info& info);

    int channels() const { return channels_; }

    // pixels, values: [pixel_count][C]. Takes no memory.
    void apply(const uint8_t* pixels, uint64_t pixel_count, float* values) const;

    // The same of numbers in the place of pixel / 255: x = (number - mean) / deviation. `numbers`
    // and `values` may be one.
    void apply(const float* numbers, uint64_t pixel_count, float* values) const;

  private:
    int channels_;
    std::vector<float> mean_, deviation_;  // [C], or empty
    std::vector<float> table_;             // [C][256]
};

}  // namespace emulsion
