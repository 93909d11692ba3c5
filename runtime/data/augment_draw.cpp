// One function for each kind draws its numbers and adds what it does to the table.
#include "runtime/data/augment_draw.h"

#include <algorithm>
#include <cmath>

#include "runtime/data/elementary.h"
#include "runtime/data/random.h"

namespace emulsion {

namespace {

constexpr uint32_t kOwnSlot = 0;  // of the augmentation as a whole; pieces follow from 1 on

std::array<uint32_t, 4> counter_of(const SampleKey& key, Stream stream, uint32_t slot,
                                   uint32_t block) {
    return {block, key.index, static_cast<uint32_t>(key.epoch),
            static_cast<uint32_t>(stream) | slot << 8};
}

// Numbers of one slot, one after the other.
class Draws {
  public:
    Draws(const SampleKey& key, uint32_t slot) : key_(key), slot_(slot) {}

    // In [0, 1).
    double share() {
        const uint32_t place = count_++;
        if (place % 4 == 0)
            words_ = philox(counter_of(key_, Stream::augment, slot_, place / 4), key_.seed);
        return words_[place % 4] * 0x1p-32;
    }
    double between(double low, double high) { return low + (high - low) * share(); }
    // 0 .. count - 1. REQUIRES: count < 2^31.
    double below(double count) { return std::floor(share() * count); }

  private:
    const SampleKey& key_;
    uint32_t slot_, count_ = 0;
    std::array<uint32_t, 4> words_{};
};

struct Context {
    const AugmentPiece& piece;
    uint32_t place;
    double height, width;
    Draws& draws;
    AugmentDraw& out;

    double number(size_t field) const { return piece.values[field]; }  // 0: the probability
    double drawn(size_t low) { return draws.between(number(low), number(low + 1)); }

    void map(const Affine& affine) { out.map = compose(out.map, affine); }
    // Acts about the middle of the picture: xx … yy as given.
    void map_about_middle(double xx, double xy, double yx, double yy) {
        const double x = (width - 1) / 2, y = (height - 1) / 2;
        map({xx, xy, x - (xx * x + xy * y), yx, yy, y - (yx * x + yy * y)});
    }
    // Reads a part of the picture in its place.
    void map_part(double top, double left, double part_height, double part_width) {
        const double sx = part_width / width, sy = part_height / height;
        map({sx, 0, left + 0.5 * sx - 0.5, 0, sy, top + 0.5 * sy - 0.5});
    }
    void value(ValueStep::Kind kind, const std::array<double, 5>& numbers) {
        out.values.push_back({kind, numbers, place});
    }
};

void horizontal_flip(Context& c) { c.map({-1, 0, c.width - 1, 0, 1, 0}); }

void vertical_flip(Context& c) { c.map({1, 0, 0, 0, -1, c.height - 1}); }

void rotate(Context& c) {
    const auto [sine, cosine] = sine_cosine(c.drawn(1));
    c.map_about_middle(cosine, -sine, sine, cosine);
}

void translate(Context& c) {
    const double x = c.number(1) * c.width, y = c.number(2) * c.height;
    const double right = std::floor(c.draws.between(-x, x) + 0.5);
    const double down = std::floor(c.draws.between(-y, y) + 0.5);
    c.map({1, 0, -right, 0, 1, -down});
}

double tangent(double degrees) {
    const auto [sine, cosine] = sine_cosine(degrees);
    return sine / cosine;
}

void shear(Context& c) {
    const double x = tangent(c.draws.between(-c.number(1), c.number(1)));
    const double y = tangent(c.draws.between(-c.number(2), c.number(2)));
    c.map_about_middle(1, -x, 0, 1);
    c.map_about_middle(1, 0, -y, 1);
}

void stretch(Context& c) {
    const double x = c.drawn(1), y = c.drawn(3);
    c.map_about_middle(1 / x, 0, 0, 1 / y);
}

void zoom(Context& c) {
    const double factor = c.drawn(1);
    c.map_about_middle(1 / factor, 0, 0, 1 / factor);
}

void random_crop(Context& c) {
    const double padding = c.number(1);
    const double height = c.number(2) > 0 ? c.number(2) : c.height;
    const double width = c.number(3) > 0 ? c.number(3) : c.width;
    const double top = c.draws.below(c.height + 2 * padding - height + 1);
    const double left = c.draws.below(c.width + 2 * padding - width + 1);
    c.map_part(top - padding, left - padding, height, width);
}

// As torchvision's RandomResizedCrop: ten tries, then the middle with a ratio at the near end.
void random_resized_crop(Context& c) {
    const double area = c.height * c.width, low = c.number(3), high = c.number(4);
    for (int i = 0; i < 10; i++) {
        const double part = area * c.drawn(1);
        const double ratio = exponential(c.draws.between(logarithm(low), logarithm(high)));
        const double width = std::floor(std::sqrt(part * ratio) + 0.5);
        const double height = std::floor(std::sqrt(part / ratio) + 0.5);
        if (!(width >= 1 && width <= c.width && height >= 1 && height <= c.height)) continue;
        const double top = c.draws.below(c.height - height + 1);
        const double left = c.draws.below(c.width - width + 1);
        return c.map_part(top, left, height, width);
    }
    const double ratio = std::clamp(c.width / c.height, low, high);
    const double width = std::clamp(std::floor(c.height * ratio + 0.5), 1.0, c.width);
    const double height = std::clamp(std::floor(c.width / ratio + 0.5), 1.0, c.height);
    c.map_part(std::floor((c.height - height) / 2), std::floor((c.width - width) / 2), height,
               width);
}

void elastic(Context& c) { c.out.elastic.push_back({c.number(1), c.number(2), c.place}); }

void brightness(Context& c) { c.value(ValueStep::Kind::kScale, {c.drawn(1)}); }

void contrast(Context& c) { c.value(ValueStep::Kind::kContrast, {c.drawn(1)}); }

void channel_shift(Context& c) {
    std::array<double, 5> numbers{};
    const double range = c.number(1);
    for (size_t i = 0; i < 4; i++) {
        const bool is_drawn = i == 0 || c.number(2) == 0;
        numbers[i] = is_drawn ? c.draws.between(-range, range) : numbers[0];
    }
    c.value(ValueStep::Kind::kShift, numbers);
}

void blur(Context& c) { c.value(ValueStep::Kind::kBlur, {c.drawn(1)}); }

void sharpen(Context& c) { c.value(ValueStep::Kind::kSharpen, {c.drawn(1)}); }

void noise(Context& c) { c.value(ValueStep::Kind::kNoise, {c.number(1)}); }

void cutout(Context& c) {
    const double height = c.number(1), width = c.number(2);
    for (int i = 0; i < static_cast<int>(c.number(3)); i++) {
        const double top = c.draws.below(c.height) - std::floor(height / 2);
        const double left = c.draws.below(c.width) - std::floor(width / 2);
        const double first_row = std::max(top, 0.0), first_column = std::max(left, 0.0);
        c.value(ValueStep::Kind::kCutout,
                {first_row, first_column, std::min(top + height, c.height) - first_row,
                 std::min(left + width, c.width) - first_column, c.number(4)});
    }
}

// In the order of augment_kinds().
constexpr void (*kFunctions[])(Context&) = {horizontal_flip,
                                            vertical_flip,
                                            rotate,
                                            translate,
                                            shear,
                                            stretch,
                                            zoom,
                                            random_crop,
                                            random_resized_crop,
                                            elastic,
                                            brightness,
                                            contrast,
                                            channel_shift,
                                            blur,
                                            sharpen,
                                            noise,
                                            cutout};

}  // namespace

Affine compose(const Affine& a, const Affine& b) {
    return {a.xx * b.xx + a.xy * b.yx, a.xx * b.xy + a.xy * b.yy, a.xx * b.x0 + a.xy * b.y0 + a.x0,
            a.yx * b.xx + a.yy * b.yx, a.yx * b.xy + a.yy * b.yy, a.yx * b.x0 + a.yy * b.y0 + a.y0};
}

void draw_augmentation(const Augmentation& augmentation, const PictureShape& shape,
                       const SampleKey& key, AugmentDraw* draw) {
    draw->map = {};
    draw->elastic.clear();
    draw->values.clear();
    if (Draws(key, kOwnSlot).share() < augmentation.untouched) return;
    for (uint32_t i = 0; i < augmentation.pieces.size(); i++) {
        const AugmentPiece& piece = augmentation.pieces[i];
        Draws draws(key, i + 1);
        if (!(draws.share() < piece.values[0])) continue;
        const AugmentKind* kind = find_augment_kind(piece.kind);
        Context context{
            piece, i,    static_cast<double>(shape.height), static_cast<double>(shape.width),
            draws, *draw};
        kFunctions[kind - augment_kinds().data()](context);
    }
}

FieldCounter field_counter(const SampleKey& key, uint32_t piece) {
    return {counter_of(key, Stream::augment_field, piece + 1, 0), key.seed};
}

}  // namespace emulsion
