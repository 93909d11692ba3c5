// One Philox block makes 16 bytes, of a pattern or of noise.
#include "runtime/data/synthetic.h"

#include <array>
#include <bit>

#include "runtime/data/random.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kName = "synthetic";
constexpr uint64_t kSeed = 1;
constexpr int kPatches = 8;  // along each side of a picture

// The bytes of one row of a stream; each block is made once where they are asked for in order.
class RandomBytes {
  public:
    RandomBytes(Stream stream, uint32_t row, uint32_t group)
        : stream_(static_cast<uint32_t>(stream)), row_(row), group_(group) {}

    uint8_t at(uint64_t index) {
        const auto block = static_cast<uint32_t>(index / 16);
        if (block != block_) {
            words_ = philox({block, row_, group_, stream_}, kSeed);
            block_ = block;
        }
        return static_cast<uint8_t>(words_[index % 16 / 4] >> (index % 4 * 8));
    }

  private:
    uint32_t stream_, row_, group_;
    uint32_t block_ = UINT32_MAX;
    std::array<uint32_t, 4> words_{};
};

using Pattern = std::array<uint8_t, kPatches * kPatches>;  // of one channel

Pattern pattern_of(int label, int channel) {
    RandomBytes bytes(Stream::pattern, static_cast<uint32_t>(label),
                      static_cast<uint32_t>(channel));
    Pattern pattern;
    for (size_t i = 0; i < pattern.size(); i++) pattern[i] = bytes.at(i);
    return pattern;
}

// pixels: [H][W][C]
void draw(uint32_t index, Part part, int label, const PictureShape& shape, uint8_t* pixels) {
    RandomBytes noise(Stream::noise, index, part == Part::train ? 0 : 1);
    std::vector<Pattern> patterns;
    for (int c = 0; c < shape.channels; c++) patterns.push_back(pattern_of(label, c));
    uint64_t at = 0;
    for (int64_t y = 0; y < shape.height; y++) {
        for (int64_t x = 0; x < shape.width; x++) {
            const int64_t patch =
                y * kPatches / shape.height * kPatches + x * kPatches / shape.width;
            for (const Pattern& pattern : patterns) {
                const int sum = pattern[static_cast<size_t>(patch)] + noise.at(at);
                pixels[at++] = static_cast<uint8_t>(sum / 2);
            }
        }
    }
}

}  // namespace

std::optional<uint64_t> synthetic_count(std::string_view name) {
    if (!name.starts_with(kName)) return std::nullopt;
    const std::string_view rest = name.substr(kName.size());
    if (rest.empty()) return kSyntheticPictures;
    if (rest[0] != ':') return std::nullopt;
    const std::optional<uint64_t> count = parse_unsigned(rest.substr(1));
    if (count && *count >= 1 && *count <= kMostSynthetic) return count;
    throw RuntimeError("--data",
                       concat(quoted(rest.substr(1)),
                              " is no number of made-up pictures from 1 to ", kMostSynthetic),
                       concat("write ", kName, ":", kSyntheticPictures, ", or ", kName));
}

Dataset make_synthetic(uint64_t count, Part part, const PictureShape& shape, int classes) {
    Dataset dataset;
    dataset.source = kName;
    dataset.shape = shape;
    dataset.classes = classes;
    dataset.pixels.resize(count * shape.elements());
    dataset.labels.resize(count);
    for (uint64_t i = 0; i < count; i++) {
        const int label = static_cast<int>(i % static_cast<uint64_t>(classes));
        dataset.labels[i] = label;
        draw(static_cast<uint32_t>(i), part, label, shape,
             dataset.pixels.data() + i * shape.elements());
    }
    return dataset;
}

void add_synthetic_extras(Part part, const std::vector<ExtraInput>& extras, Source* source) {
    const auto group = [](uint32_t input, bool is_own) { return 2 + 2 * input + (is_own ? 1 : 0); };
    // In [-1, 1).
    const auto number = [](uint32_t word) {
        return static_cast<float>(static_cast<int32_t>(word)) / 2147483648.0f;
    };
    source->extras = extras;
    for (uint32_t k = 0; k < extras.size(); k++) {
        const auto limit = static_cast<uint32_t>(extras[k].indices.limit);
        std::vector<int32_t>& values = source->extra_values.emplace_back();
        for (uint32_t i = 0; i < source->count(); i++) {
            const uint32_t label =
                source->labels.empty() ? 0 : static_cast<uint32_t>(source->labels[i]);
            const uint32_t row = part == Part::train ? i : ~i;
            for (uint32_t place = 0; place < extras[k].elements(); place++) {
                const auto noise = philox(
                    {place, row, group(k, true), static_cast<uint32_t>(Stream::noise)}, kSeed);
                const auto own = philox(
                    {place, label, group(k, false), static_cast<uint32_t>(Stream::pattern)}, kSeed);
                const float sum = number(own[0]) + 0.5f * number(noise[0]);
                values.push_back(limit > 0 ? static_cast<int32_t>(noise[0] % limit)
                                           : std::bit_cast<int32_t>(sum));
            }
        }
    }
}

}  // namespace emulsion
