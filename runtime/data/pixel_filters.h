// Filters on pictures of single floats, [H][W][C]: what an augmentation smooths and sharpens with.
#pragma once
#include <cstdint>
#include <vector>

namespace emulsion {

struct FloatPicture {
    float* values;  // [height][width][channels]
    int64_t height, width, channels;

    uint64_t elements() const { return static_cast<uint64_t>(height * width * channels); }
};

// Memory that is used again.
struct FilterMemory {
    std::vector<float> rows, padded, weights;
};

// A Gaussian of this deviation in pixels, cut at three of them, weights of a sum of one; the border
// is repeated. Leaves the picture as it is where the deviation is 0. REQUIRES: 0 <= deviation <=
// 1000.
void blur(const FloatPicture& picture, double deviation, FilterMemory* memory);

// v becomes v + (1 - factor) * (s - v), where s is smoothed by [[1,1,1],[1,5,1],[1,1,1]] / 13, and
// v itself at the border.
void sharpen(const FloatPicture& picture, float factor, FilterMemory* memory);

}  // namespace emulsion
