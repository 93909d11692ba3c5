// Made-up pictures, to train and measure a network without data: `synthetic:N` in the place of a
// data set's name, or `synthetic`.
//
// They are a function of part, shape and number of classes, and the first N of them are the same
// for any N. A picture shows the patches of colour of its class, half hidden by noise of its own,
// so whoever looks at it can tell the label, and a network learns to. The classes of a set take
// turns.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/data/dataset.h"

namespace emulsion {

constexpr uint64_t kSyntheticPictures = 512;  // of each part, where the name holds no number
constexpr uint64_t kMostSynthetic = INT32_MAX;

// The N of such a name; nothing where the name is none. Throws RuntimeError where a colon is there
// and no count behind it.
std::optional<uint64_t> synthetic_count(std::string_view name);

// REQUIRES: 1 <= count <= kMostSynthetic, classes >= 1.
Dataset make_synthetic(uint64_t count, Part part, const PictureShape& shape, int classes);

// Gives the made-up rows of a source their extra inputs: numbers around one of the row's class for
// each place, from -1.5 to 1.5, or random indices. Rows without labels are of one class.
void add_synthetic_extras(Part part, const std::vector<ExtraInput>& extras, Source* source);

}  // namespace emulsion
