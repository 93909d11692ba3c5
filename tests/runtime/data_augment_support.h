// What the tests of augmentations share: pieces with one number, pictures, and plain definitions in
// double precision.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/data/augment_draw.h"
#include "runtime/data/augmentation.h"
#include "runtime/data/picture.h"

namespace emulsion::testing {

// A piece with its usual numbers but for these, and the probability 1 unless it is given.
AugmentPiece make_piece(const std::string& kind,
                        const std::vector<std::pair<std::string, double>>& numbers = {});

Augmentation augmentation_of(std::vector<AugmentPiece> pieces, Fill fill = Fill::constant,
                             double fill_value = 0);

// A picture whose pixels are all over the place.
Picture make_picture(int channels, int height, int width);

// The values, 0 to 255 and [H][W][C], that Augmenter gives sample `index` of epoch `epoch`.
std::vector<double> augmented(const Picture& picture, const Augmentation& augmentation,
                              uint64_t epoch = 0, uint32_t index = 0, uint64_t seed = 1);

using Point = std::array<double, 2>;  // x, y

// One value of the picture at any cell, by the definition of the fills.
double cell_value(const Picture& picture, int64_t y, int64_t x, int c, Fill fill, double constant);

// The bilinear mean of the four cells around the place.
double sample(const Picture& picture, const Point& place, int c, Fill fill, double constant);

std::vector<double> values_of(const Picture& picture);

// Four words of the random field of a piece.
std::array<uint32_t, 4> field_words(const SampleKey& key, uint32_t piece, uint64_t block);

}  // namespace emulsion::testing
