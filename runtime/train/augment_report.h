// What --augment-preview and --augment-ablation show: a sheet of pictures, and a table of runs.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/augmenter.h"
#include "runtime/data/source.h"

namespace emulsion {

// A row for each of the samples: the picture as it is, then as epochs 0, 1, … have it. Small
// pictures are drawn larger by a whole factor; between the pictures lies a white line. At most 8
// rows of 9, fewer where the pictures are large. Throws RuntimeError where a picture cannot be
// read, or has neither 1 nor 3 channels.
Picture contact_sheet(const Source& source, std::span<const uint32_t> samples,
                      const Augmenter& augmenter);

// One run of the comparison. A loss or accuracy that the validation does not have is missing.
struct AblationRow {
    std::string name;
    std::optional<double> loss, accuracy;
};

// The augmentations to compare, by name: none, each piece alone, all. The pieces of each draw the
// same numbers as in the whole.
struct NamedAugmentation {
    std::string name;
    Augmentation augmentation;
};
std::vector<NamedAugmentation> ablations_of(const Augmentation& augmentation);

// For people: with the difference of each accuracy to that of the first row.
std::string ablation_text(std::span<const AblationRow> rows);
std::string ablation_csv(std::span<const AblationRow> rows);
// A line with a JSON object for each row.
std::string ablation_json(std::span<const AblationRow> rows);

}  // namespace emulsion
