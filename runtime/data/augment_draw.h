// What happens to one picture in one epoch: the small table of numbers that is drawn from an
// augmentation.
//
// A number is a function of seed, epoch, index of the sample and place of the piece in the
// augmentation, so it depends on no thread and no order, and a resumed run draws it again. A piece
// with probability 0 has no effect on the others.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "runtime/data/augmentation.h"
#include "runtime/data/picture.h"

namespace emulsion {

// From a pixel of the result to the place in the picture it is read from: x = xx * ox + xy * oy +
// x0, y = yx * ox + yy * oy + y0.
struct Affine {
    double xx = 1, xy = 0, x0 = 0;
    double yx = 0, yy = 1, y0 = 0;

    bool is_identity() const {
        return xx == 1 && xy == 0 && x0 == 0 && yx == 0 && yy == 1 && y0 == 0;
    }
};

// a(b(place)).
Affine compose(const Affine& a, const Affine& b);

struct SampleKey {
    uint64_t seed = 0, epoch = 0;  // epoch < 2^32
    uint32_t index = 0;            // of the sample
};

struct ElasticField {
    double alpha = 0, sigma = 1;
    uint32_t piece = 0;
};

struct ValueStep {
    enum class Kind { kScale, kContrast, kShift, kBlur, kSharpen, kNoise, kCutout };
    Kind kind = Kind::kScale;
    // kScale, kContrast, kSharpen: the factor. kShift: of each channel. kBlur, kNoise: deviation.
    // kCutout: top, left, height, width (within the picture), value.
    std::array<double, 5> numbers{};
    uint32_t piece = 0;
};

struct AugmentDraw {
    Affine map;
    std::vector<ElasticField> elastic;
    std::vector<ValueStep> values;

    bool is_nothing() const { return map.is_identity() && elastic.empty() && values.empty(); }
};

// Writes to `draw`, whose memory it uses again. REQUIRES: find_fault finds none for this height and
// width; 1 to 4 channels.
void draw_augmentation(const Augmentation& augmentation, const PictureShape& shape,
                       const SampleKey& key, AugmentDraw* draw);

// The Philox counter and key of the random field that a piece needs, such as its noise: word 0 of
// the counter is the number of a block of four words of the field.
struct FieldCounter {
    std::array<uint32_t, 4> counter;
    uint64_t key;
};
FieldCounter field_counter(const SampleKey& key, uint32_t piece);

}  // namespace emulsion
