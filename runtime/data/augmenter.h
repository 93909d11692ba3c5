// Carries out an augmentation: from a picture of 8 bits to a row of a batch, or to another picture.
//
// What moves pixels is composed into one map, by which the picture is read once; brightness,
// contrast and channel shifts are one factor and one term for each channel; what is left follows in
// its order. The result is a function of picture, seed, epoch and index of the sample. A sample
// that nothing happens to has the bits of Source::read.
#pragma once
#include <cstdint>
#include <vector>

#include "runtime/data/augment_draw.h"
#include "runtime/data/augmentation.h"
#include "runtime/data/normalize.h"
#include "runtime/data/picture.h"
#include "runtime/data/pixel_filters.h"
#include "runtime/data/target.h"

namespace emulsion {

// Memory of one thread, used again for each of its pictures.
struct AugmentMemory {
    AugmentDraw draw;
    std::vector<uint8_t> moved;
    std::vector<int32_t> columns;
    std::vector<float> values, aside, field;
    std::vector<int32_t> target;
    FilterMemory filters;
};

class Augmenter {
  public:
    // REQUIRES: find_fault finds none for pictures of this shape, which has 1 to 4 channels.
    Augmenter(const Augmentation& augmentation, const PictureShape& shape, uint64_t seed);

    // The picture of sample `index` in an epoch, normalised, to `row`. Any number of threads may
    // call it at once, each with its own memory. REQUIRES: the picture is of the shape.
    void write_row(const Picture& picture, uint64_t epoch, uint32_t index,
                   const Normalizer& normalizer, AugmentMemory* memory, float* row) const;

    // Moves what the picture of the last write_row with this memory is trained towards as that has
    // moved its pixels: maps by their nearest values (warp_values), beyond the picture of fill
    // constant the class that does not count, else 0; `has_boxes`: a vector of boxes, four numbers
    // each in the order of Edges, by move_box. Labels and other numbers stay. `values` is [H][W][C]
    // of target.shape.
    void move_target(const TargetForm& target, bool has_boxes, AugmentMemory* memory,
                     int32_t* values) const;

    // The same as a picture, rounded to 8 bits.
    Picture make_picture(const Picture& picture, uint64_t epoch, uint32_t index,
                         AugmentMemory* memory) const;

  private:
    const uint8_t* move(const Picture& picture, AugmentMemory* memory) const;
    void compute(const Picture& picture, const SampleKey& key, AugmentMemory* memory,
                 float* values) const;
    void read_picture(const Picture& picture, const SampleKey& key, AugmentMemory* memory,
                      float* values) const;

    Augmentation augmentation_;
    PictureShape shape_;
    uint64_t seed_;
};

}  // namespace emulsion
