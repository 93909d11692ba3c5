// See data_augment_support.h. The definitions unfold what they describe step by step.
#include "tests/runtime/data_augment_support.h"

#include <cmath>

#include "runtime/data/augmenter.h"
#include "runtime/data/random.h"

namespace emulsion::testing {

AugmentPiece make_piece(const std::string& kind,
                        const std::vector<std::pair<std::string, double>>& numbers) {
    AugmentPiece piece = usual_piece(kind);
    piece.values[0] = 1;
    for (const auto& [name, value] : numbers) {
        const auto fields = find_augment_kind(kind)->fields;
        for (size_t i = 0; i < fields.size(); i++) {
            if (fields[i].name == name) piece.values[i] = value;
        }
    }
    return piece;
}

Augmentation augmentation_of(std::vector<AugmentPiece> pieces, Fill fill, double fill_value) {
    return {std::move(pieces), fill, fill_value, 0};
}

Picture make_picture(int channels, int height, int width) {
    Picture picture{{channels, height, width}, {}};
    uint32_t state = 12345;
    for (uint64_t i = 0; i < picture.shape.elements(); i++) {
        state = state * 1664525 + 1013904223;
        picture.pixels.push_back(static_cast<uint8_t>(state >> 24));
    }
    return picture;
}

std::vector<double> augmented(const Picture& picture, const Augmentation& augmentation,
                              uint64_t epoch, uint32_t index, uint64_t seed) {
    const Augmenter augmenter(augmentation, picture.shape, seed);
    const Normalizer plain(picture.shape.channels, nullptr, nullptr);
    AugmentMemory memory;
    std::vector<float> row(picture.shape.elements());
    augmenter.write_row(picture, epoch, index, plain, &memory, row.data());
    std::vector<double> values;
    for (float value : row) values.push_back(static_cast<double>(value) * 255.0);
    return values;
}

namespace {

// -1: outside.
int64_t unfold(int64_t i, int64_t size, Fill fill) {
    while (i < 0 || i >= size) {
        if (fill == Fill::constant) return -1;
        if (fill == Fill::nearest) i = i < 0 ? i + 1 : i - 1;
        if (fill == Fill::wrap) i = i < 0 ? i + size : i - size;
        if (fill == Fill::reflect) i = i < 0 ? -1 - i : 2 * size - 1 - i;
    }
    return i;
}

}  // namespace

double cell_value(const Picture& picture, int64_t y, int64_t x, int c, Fill fill, double constant) {
    const int64_t row = unfold(y, picture.shape.height, fill);
    const int64_t column = unfold(x, picture.shape.width, fill);
    if (row < 0 || column < 0) return constant;
    const auto at = (row * picture.shape.width + column) * picture.shape.channels + c;
    return picture.pixels[static_cast<size_t>(at)];
}

double sample(const Picture& picture, const Point& place, int c, Fill fill, double constant) {
    const double x = std::floor(place[0]), y = std::floor(place[1]);
    double sum = 0;
    for (int dy = 0; dy < 2; dy++) {
        for (int dx = 0; dx < 2; dx++) {
            const double weight =
                (1 - std::fabs(x + dx - place[0])) * (1 - std::fabs(y + dy - place[1]));
            sum += weight * cell_value(picture, static_cast<int64_t>(y) + dy,
                                       static_cast<int64_t>(x) + dx, c, fill, constant);
        }
    }
    return sum;
}

std::vector<double> values_of(const Picture& picture) {
    return {picture.pixels.begin(), picture.pixels.end()};
}

std::array<uint32_t, 4> field_words(const SampleKey& key, uint32_t piece, uint64_t block) {
    FieldCounter field = field_counter(key, piece);
    field.counter[0] = static_cast<uint32_t>(block);
    return philox(field.counter, field.key);
}

}  // namespace emulsion::testing
