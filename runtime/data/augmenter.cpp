// See augmenter.h. Values are those of pixels, 0 to 255, until the end.
#include "runtime/data/augmenter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/data/augment_noise.h"
#include "runtime/data/warp.h"

namespace emulsion {

namespace {

// So many values that any number of channels up to 4 divides them: what differs by channel repeats.
constexpr size_t kPeriod = 12;

Outside outside_of(const Augmentation& augmentation) {
    return {augmentation.fill, static_cast<uint8_t>(augmentation.fill_value)};
}

// The picture while its values change: what is in memory, times a factor and plus a term of each
// channel.
class Values {
  public:
    Values(const FloatPicture& picture, const SampleKey& key, FilterMemory* memory)
        : picture_(picture), key_(key), memory_(memory) {
        factor_.fill(1.0f);
        term_.fill(0.0f);
    }

    void apply(const ValueStep& step) {
        const double number = step.numbers[0];
        switch (step.kind) {
            case ValueStep::Kind::kScale:
                return scale(static_cast<float>(number), 0.0f);
            case ValueStep::Kind::kContrast:
                return scale(static_cast<float>(number),
                             static_cast<float>((1.0 - number) * mean_grey()));
            case ValueStep::Kind::kShift:
                for (size_t c = 0; c < 4; c++) term_[c] += static_cast<float>(step.numbers[c]);
                return;
            // Filters whose weights have a sum of one leave factor and term as they are.
            case ValueStep::Kind::kBlur:
                return blur(picture_, number, memory_);
            case ValueStep::Kind::kSharpen:
                return sharpen(picture_, static_cast<float>(number), memory_);
            case ValueStep::Kind::kNoise:
                return add_noise(number, step.piece);
            case ValueStep::Kind::kCutout:
                return cut_out(step.numbers);
        }
    }

    // What is in memory becomes the values themselves, cut to 0 .. 255.
    void finish() {
        settle();
        for (uint64_t i = 0; i < picture_.elements(); i++)
            picture_.values[i] = std::min(std::max(picture_.values[i], 0.0f), 255.0f);
    }

  private:
    void scale(float factor, float term) {
        for (size_t c = 0; c < 4; c++) {
            factor_[c] *= factor;
            term_[c] = term_[c] * factor + term;
        }
    }

    double mean_grey() const {
        std::array<double, 4> sums{};
        const auto channels = static_cast<size_t>(picture_.channels);
        const float* value = picture_.values;
        for (uint64_t i = 0; i < picture_.elements(); i += channels) {
            for (size_t c = 0; c < channels; c++) sums[c] += static_cast<double>(*value++);
        }
        const auto pixels = static_cast<double>(picture_.height * picture_.width);
        const auto mean = [&](size_t c) {
            return static_cast<double>(factor_[c]) * (sums[c] / pixels) +
                   static_cast<double>(term_[c]);
        };
        if (channels == 3) return 0.299 * mean(0) + 0.587 * mean(1) + 0.114 * mean(2);
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += mean(c);
        return sum / static_cast<double>(channels);
    }

    void settle() {
        const auto channels = static_cast<size_t>(picture_.channels);
        std::array<float, kPeriod> factor, term;
        for (size_t i = 0; i < kPeriod; i++) {
            factor[i] = factor_[i % channels];
            term[i] = term_[i % channels];
        }
        const uint64_t elements = picture_.elements();
        float* values = picture_.values;
        uint64_t i = 0;
        for (; i + kPeriod <= elements; i += kPeriod) {
            for (size_t j = 0; j < kPeriod; j++)
                values[i + j] = values[i + j] * factor[j] + term[j];
        }
        for (size_t j = 0; i + j < elements; j++)
            values[i + j] = values[i + j] * factor[j] + term[j];
        factor_.fill(1.0f);
        term_.fill(0.0f);
    }

    void add_noise(double deviation, uint32_t piece) {
        settle();
        std::vector<float>& noise = memory_->rows;
        noise.resize(picture_.elements());
        fill_normal(key_, piece, noise);
        const auto scale = static_cast<float>(deviation);
        for (uint64_t i = 0; i < picture_.elements(); i++) picture_.values[i] += scale * noise[i];
    }

    // top, left, height, width, value
    void cut_out(const std::array<double, 5>& numbers) {
        settle();
        const auto top = static_cast<int64_t>(numbers[0]), left = static_cast<int64_t>(numbers[1]);
        const auto height = static_cast<int64_t>(numbers[2]);
        const auto width = static_cast<int64_t>(numbers[3]);
        for (int64_t y = top; y < top + height; y++) {
            float* row = picture_.values + (y * picture_.width + left) * picture_.channels;
            std::fill_n(row, width * picture_.channels, static_cast<float>(numbers[4]));
        }
    }

    FloatPicture picture_;
    const SampleKey& key_;
    FilterMemory* memory_;
    std::array<float, 4> factor_, term_;  // of each channel
};

// aside: [H][W][2], to the right and down.
void add_elastic(const ElasticField& elastic, const SampleKey& key, const PictureShape& shape,
                 AugmentMemory* memory) {
    memory->field.resize(memory->aside.size());
    fill_even(key, elastic.piece, memory->field);
    blur({memory->field.data(), shape.height, shape.width, 2}, elastic.sigma, &memory->filters);
    const auto alpha = static_cast<float>(elastic.alpha);
    for (size_t i = 0; i < memory->aside.size(); i++) memory->aside[i] += alpha * memory->field[i];
}

}  // namespace

Augmenter::Augmenter(const Augmentation& augmentation, const PictureShape& shape, uint64_t seed)
    : augmentation_(augmentation), shape_(shape), seed_(seed) {}

// The pixels behind a map that moves whole ones.
const uint8_t* Augmenter::move(const Picture& picture, AugmentMemory* memory) const {
    const Affine& map = memory->draw.map;
    if (map.is_identity()) return picture.pixels.data();
    memory->moved.resize(picture.pixels.size());
    move_pixels(picture.pixels.data(), shape_, map, outside_of(augmentation_), &memory->columns,
                memory->moved.data());
    return memory->moved.data();
}

void Augmenter::read_picture(const Picture& picture, const SampleKey& key, AugmentMemory* memory,
                             float* values) const {
    const AugmentDraw& draw = memory->draw;
    if (draw.elastic.empty() && moves_whole_pixels(draw.map)) {
        std::copy_n(move(picture, memory), shape_.elements(), values);
        return;
    }
    memory->aside.assign(draw.elastic.empty() ? 0
                                              : static_cast<size_t>(shape_.height) *
                                                    static_cast<size_t>(shape_.width) * 2,
                         0.0f);
    for (const ElasticField& elastic : draw.elastic) add_elastic(elastic, key, shape_, memory);
    warp_pixels(picture.pixels.data(), shape_, draw.map,
                draw.elastic.empty() ? nullptr : memory->aside.data(), outside_of(augmentation_),
                values);
}

void Augmenter::compute(const Picture& picture, const SampleKey& key, AugmentMemory* memory,
                        float* values) const {
    read_picture(picture, key, memory, values);
    if (memory->draw.values.empty()) return;
    Values changing({values, shape_.height, shape_.width, shape_.channels}, key, &memory->filters);
    for (const ValueStep& step : memory->draw.values) changing.apply(step);
    changing.finish();
}

void Augmenter::write_row(const Picture& picture, uint64_t epoch, uint32_t index,
                          const Normalizer& normalizer, AugmentMemory* memory, float* row) const {
    const SampleKey key{seed_, epoch, index};
    AugmentDraw& draw = memory->draw;
    draw_augmentation(augmentation_, shape_, key, &draw);
    const uint64_t elements = shape_.elements();
    const uint64_t pixels = elements / static_cast<uint64_t>(shape_.channels);
    if (draw.values.empty() && draw.elastic.empty() && moves_whole_pixels(draw.map))
        return normalizer.apply(move(picture, memory), pixels, row);
    compute(picture, key, memory, row);
    for (uint64_t i = 0; i < elements; i++) row[i] /= 255.0f;
    normalizer.apply(row, pixels, row);
}

void Augmenter::move_target(const TargetForm& target, bool has_boxes, AugmentMemory* memory,
                            int32_t* values) const {
    const AugmentDraw& draw = memory->draw;
    if (draw.map.is_identity() && draw.elastic.empty()) return;
    const PictureShape& shape = target.shape;
    if (shape.height * shape.width > 1) {
        memory->target.assign(values, values + shape.elements());
        warp_values(memory->target.data(), shape, shape_, draw.map,
                    draw.elastic.empty() ? nullptr : memory->aside.data(), augmentation_.fill,
                    target.ignored.value_or(0), values);
        return;
    }
    if (target.kind != TargetKind::kNumbers || !has_boxes) return;
    for (uint64_t i = 0; i + 4 <= shape.elements(); i += 4) {
        Edges box;
        std::memcpy(&box, values + i, sizeof box);
        box = move_box(box, shape_, draw.map);
        std::memcpy(values + i, &box, sizeof box);
    }
}

Picture Augmenter::make_picture(const Picture& picture, uint64_t epoch, uint32_t index,
                                AugmentMemory* memory) const {
    const SampleKey key{seed_, epoch, index};
    draw_augmentation(augmentation_, shape_, key, &memory->draw);
    memory->values.resize(shape_.elements());
    compute(picture, key, memory, memory->values.data());
    Picture result{shape_, std::vector<uint8_t>(shape_.elements())};
    for (size_t i = 0; i < result.pixels.size(); i++)
        result.pixels[i] = static_cast<uint8_t>(memory->values[i] + 0.5f);
    return result;
}

}  // namespace emulsion
