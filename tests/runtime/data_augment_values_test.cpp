// What changes values, how often pieces happen, and what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/data/augment_draw.h"
#include "runtime/data/augment_noise.h"
#include "runtime/data/augmenter.h"
#include "tests/runtime/data_augment_support.h"

namespace emulsion {
namespace {

using testing::augmentation_of;
using testing::augmented;
using testing::make_picture;
using testing::make_piece;
using Values = std::vector<double>;

struct Size {
    int channels, height, width;
};
constexpr Size kSizes[] = {{1, 1, 1}, {1, 5, 7}, {3, 5, 7}, {2, 3, 1}, {3, 3, 4}};

AugmentPiece fixed_piece(const char* kind, double value) {
    return make_piece(kind, {{"low", value}, {"high", value}});
}

Values cut(Values values) {
    for (double& value : values) value = std::clamp(value, 0.0, 255.0);
    return values;
}

void expect_values(const Values& found, const Values& expected, const std::string& what) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); i++) EXPECT_NEAR(found[i], expected[i], 2e-3) << what << i;
}

// Values of a picture by row, column and channel, the border repeated.
double at(const Values& values, const Size& size, int y, int x, int c) {
    const int row = std::clamp(y, 0, size.height - 1), column = std::clamp(x, 0, size.width - 1);
    return values[static_cast<size_t>((row * size.width + column) * size.channels + c)];
}

// Each new value from what `value(y, x, c)` says.
template <class Value>
Values each_of(const Size& size, const Value& value) {
    Values values;
    for (int y = 0; y < size.height; y++) {
        for (int x = 0; x < size.width; x++) {
            for (int c = 0; c < size.channels; c++) values.push_back(value(y, x, c));
        }
    }
    return values;
}

double mean_grey(const Values& values, const Size& size) {
    const double weights[] = {0.299, 0.587, 0.114};
    double sum = 0;
    each_of(size, [&](int y, int x, int c) {
        return sum +=
               at(values, size, y, x, c) * (size.channels == 3 ? weights[c] : 1.0 / size.channels);
    });
    return sum / (size.height * size.width);
}

Values contrast_of(const Values& values, const Size& size, double factor) {
    const double mean = mean_grey(values, size);
    return each_of(size, [&](int y, int x, int c) {
        return mean + factor * (at(values, size, y, x, c) - mean);
    });
}

Values blur_of(const Values& values, const Size& size, double sigma) {
    const int radius = static_cast<int>(std::ceil(3 * sigma));
    return each_of(size, [&](int y, int x, int c) {
        double sum = 0, weights = 0;
        for (int dy = -radius; dy <= radius; dy++) {
            for (int dx = -radius; dx <= radius; dx++) {
                const double weight = std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
                weights += weight;
                sum += weight * at(values, size, y + dy, x + dx, c);
            }
        }
        return sum / weights;
    });
}

Values sharpen_of(const Values& values, const Size& size, double factor) {
    return each_of(size, [&](int y, int x, int c) {
        const double own = at(values, size, y, x, c);
        if (y == 0 || x == 0 || y == size.height - 1 || x == size.width - 1) return own;
        double sum = 4 * own;
        for (int dy = -1; dy <= 1; dy++) {
            for (int dx = -1; dx <= 1; dx++) sum += at(values, size, y + dy, x + dx, c);
        }
        return factor * own + (1 - factor) * sum / 13;
    });
}

TEST(AugmentValues, EachByItsDefinition) {
    for (const Size& size : kSizes) {
        const Picture picture = make_picture(size.channels, size.height, size.width);
        const Values values = testing::values_of(picture);
        const auto found = [&](const AugmentPiece& piece) {
            return augmented(picture, augmentation_of({piece}));
        };
        const auto brighter =
            each_of(size, [&](int y, int x, int c) { return 1.4 * at(values, size, y, x, c); });
        expect_values(found(fixed_piece("brightness", 1.4)), cut(brighter), "brightness");
        for (double factor : {0.0, 0.5, 2.0}) {
            expect_values(found(fixed_piece("contrast", factor)),
                          cut(contrast_of(values, size, factor)), "contrast");
        }
        for (double sigma : {0.4, 1.7, 3.0}) {
            expect_values(found(fixed_piece("blur", sigma)), blur_of(values, size, sigma), "blur");
        }
        for (double factor : {0.0, 0.5, 3.0}) {
            expect_values(found(fixed_piece("sharpen", factor)),
                          cut(sharpen_of(values, size, factor)), "sharpen");
        }
    }
}

// Factors and terms are put together over filters, and settled before noise and cutouts.
TEST(AugmentValues, SeveralFollowEachOther) {
    for (const Size& size : kSizes) {
        const Picture picture = make_picture(size.channels, size.height, size.width);
        Values values = testing::values_of(picture);
        for (double& value : values) value *= 0.6;
        values = contrast_of(values, size, 1.5);
        values = blur_of(values, size, 0.8);
        values = contrast_of(values, size, 0.7);
        values = sharpen_of(values, size, 2);
        for (double& value : values) value *= 1.1;
        const auto chain =
            augmentation_of({fixed_piece("brightness", 0.6), fixed_piece("contrast", 1.5),
                             fixed_piece("blur", 0.8), fixed_piece("contrast", 0.7),
                             fixed_piece("sharpen", 2), fixed_piece("brightness", 1.1)});
        expect_values(augmented(picture, chain), cut(values), "chain");
    }
}

TEST(AugmentValues, ChannelShiftsAreEachTheirOwnOrOne) {
    const Picture grey{{3, 1, 2}, std::vector<uint8_t>(6, 100)};
    double lowest = 255, highest = 0;
    for (uint32_t i = 0; i < 200; i++) {
        const Values own =
            augmented(grey, augmentation_of({make_piece("channel_shift", {{"range", 40}})}), 0, i);
        EXPECT_EQ(own[0], own[3]);
        EXPECT_NE(own[0], own[1]);
        EXPECT_NE(own[1], own[2]);
        lowest = std::min(lowest, own[1]);
        highest = std::max(highest, own[1]);
        const Values one = augmented(
            grey, augmentation_of({make_piece("channel_shift", {{"range", 40}, {"together", 1}})}),
            0, i);
        EXPECT_EQ(one, Values(6, one[0]));
    }
    EXPECT_NEAR(lowest, 60, 2);
    EXPECT_NEAR(highest, 140, 2);
    EXPECT_GE(lowest, 60 - 1e-3);
    EXPECT_LE(highest, 140 + 1e-3);
}

// Sixteen blocks at once and what is left, against the library's functions.
TEST(AugmentNoise, FieldsByTheirDefinition) {
    for (size_t count : {1u, 7u, 64u, 5003u}) {
        const SampleKey key{0x123456789abcdef, 3, 8};
        std::vector<float> even(count), normal(count);
        fill_even(key, 2, even);
        fill_normal(key, 2, normal);
        for (size_t i = 0; i < count; i++) {
            const auto words = testing::field_words(key, 2, i / 4);
            EXPECT_EQ(even[i], static_cast<float>((words[i % 4] >> 8) * 0x1p-23 - 1));
            const double u = ((words[i % 4 / 2 * 2] >> 8) + 0.5) * 0x1p-24;
            const double turn =
                2 * 3.14159265358979323846 * (words[i % 4 / 2 * 2 + 1] >> 8) * 0x1p-24;
            const double radius = std::sqrt(-2 * std::log(u));
            EXPECT_NEAR(normal[i], radius * (i % 2 == 0 ? std::cos(turn) : std::sin(turn)), 1e-5)
                << i;
        }
    }
}

TEST(AugmentValues, NoiseIsNormalAndItsOwnInEachPicture) {
    const Picture grey{{1, 100, 100}, std::vector<uint8_t>(10000, 128)};
    const Augmentation noise = augmentation_of({make_piece("noise", {{"deviation", 10}})});
    const Values values = augmented(grey, noise);
    double sum = 0, squares = 0, beyond = 0;
    for (double value : values) {
        const double z = (value - 128) / 10;
        sum += z;
        squares += z * z;
        beyond += std::fabs(z) > 1.959964 ? 1 : 0;
    }
    EXPECT_NEAR(sum / 10000, 0, 0.04);
    EXPECT_NEAR(squares / 10000, 1, 0.06);
    EXPECT_NEAR(beyond / 10000, 0.05, 0.009);
    EXPECT_EQ(augmented(grey, noise), values);
    EXPECT_NE(augmented(grey, noise, 1), values);
    EXPECT_NE(augmented(grey, noise, 0, 1), values);
    EXPECT_NE(augmented(grey, noise, 0, 0, 2), values);
}

// Rectangles of the value, cut off at the border, with their middles all over the picture.
TEST(AugmentValues, CutoutsAreRectangles) {
    const Picture white{{2, 5, 7}, std::vector<uint8_t>(70, 255)};
    std::vector<int> covered(35);
    for (uint32_t i = 0; i < 700; i++) {
        const Values values = augmented(
            white,
            augmentation_of({make_piece("cutout", {{"height", 3}, {"width", 3}, {"value", 7}})}), 0,
            i);
        int rows = 0, columns = 0, cells = 0;
        for (int y = 0; y < 5; y++) {
            int in_row = 0;
            for (int x = 0; x < 7; x++) {
                const auto cell = static_cast<size_t>(y * 7 + x);
                EXPECT_EQ(values[2 * cell], values[2 * cell + 1]);
                const bool is_cut = values[2 * cell] != 255;
                EXPECT_NEAR(values[2 * cell], is_cut ? 7 : 255, 1e-4);
                in_row += is_cut ? 1 : 0;
                covered[cell] += is_cut ? 1 : 0;
            }
            rows += in_row > 0 ? 1 : 0;
            columns = std::max(columns, in_row);
            cells += in_row;
        }
        EXPECT_EQ(cells, rows * columns);
        EXPECT_TRUE(rows == 2 || rows == 3);
        EXPECT_TRUE(columns == 2 || columns == 3);
    }
    for (int count : covered) EXPECT_GT(count, 40);
    const Values two = augmented(
        white,
        augmentation_of({make_piece("cutout", {{"height", 1}, {"width", 1}, {"count", 9}})}));
    EXPECT_GT(std::count(two.begin(), two.end(), 0.0), 8);
}

// Each kind with numbers of no effect: the bits of a row that nothing has happened to.
TEST(AugmentValues, NothingAtZeroStrength) {
    const std::vector<AugmentPiece> pieces{
        make_piece("rotate"),
        make_piece("translate"),
        make_piece("shear"),
        make_piece("stretch"),
        make_piece("zoom"),
        make_piece("random_crop"),
        make_piece("random_resized_crop",
                   {{"scale_low", 1}, {"ratio_low", 1.4}, {"ratio_high", 1.4}}),
        make_piece("elastic", {{"alpha", 0}}),
        make_piece("brightness"),
        make_piece("contrast"),
        make_piece("channel_shift"),
        make_piece("blur"),
        make_piece("sharpen"),
        make_piece("noise"),
        make_piece("cutout", {{"probability", 0}}),
        make_piece("horizontal_flip", {{"probability", 0}}),
        make_piece("vertical_flip", {{"probability", 0}})};
    ASSERT_EQ(pieces.size(), augment_kinds().size());
    const float mean[] = {0.1307f, 0.5f, 0.25f}, deviation[] = {0.3081f, 0.25f, 2.0f};
    const Normalizer normalizer(3, mean, deviation);
    const Picture picture = make_picture(3, 5, 7);
    std::vector<float> plain(picture.pixels.size());
    normalizer.apply(picture.pixels.data(), 35, plain.data());
    const auto row = [&](const Augmentation& augmentation) {
        std::vector<float> values(picture.pixels.size());
        AugmentMemory memory;
        Augmenter(augmentation, picture.shape, 5)
            .write_row(picture, 3, 8, normalizer, &memory, values.data());
        return values;
    };
    for (const AugmentPiece& piece : pieces)
        EXPECT_EQ(row(augmentation_of({piece})), plain) << piece.kind;
    EXPECT_EQ(row(augmentation_of(pieces)), plain);
}

// Each kind with numbers of effect changes the picture: none is forgotten.
TEST(AugmentValues, EveryKindDoesSomething) {
    const Picture picture = make_picture(3, 5, 7);
    for (const AugmentKind& kind : augment_kinds()) {
        AugmentPiece piece = make_piece(std::string(kind.name));
        for (size_t i = 1; i < kind.fields.size(); i++) {
            if (piece.values[i] == kind.fields[i].usual && kind.fields[i].name != "together")
                piece.values[i] = std::min(kind.fields[i].highest, piece.values[i] + 2);
        }
        if (kind.name == "random_resized_crop") piece = make_piece("random_resized_crop");
        EXPECT_NE(augmented(picture, augmentation_of({piece}, Fill::wrap), 0, 3),
                  testing::values_of(picture))
            << kind.name;
    }
}

// Probabilities

TEST(AugmentDraws, PiecesHappenAsOftenAsTheyShould) {
    Augmentation augmentation =
        augmentation_of({make_piece("horizontal_flip", {{"probability", 0.3}}),
                         make_piece("brightness", {{"probability", 0.5}, {"low", 2}, {"high", 2}}),
                         make_piece("noise", {{"probability", 0}, {"deviation", 9}})});
    augmentation.untouched = 0.2;
    int untouched = 0, flipped = 0, brighter = 0, both = 0;
    AugmentDraw draw;
    constexpr uint32_t kSamples = 20000;
    for (uint32_t i = 0; i < kSamples; i++) {
        draw_augmentation(augmentation, {1, 4, 4}, {9, i % 7, i}, &draw);
        const bool is_flipped = draw.map.xx == -1, is_brighter = !draw.values.empty();
        EXPECT_LE(draw.values.size(), 1u);
        untouched += draw.is_nothing() ? 1 : 0;
        flipped += is_flipped ? 1 : 0;
        brighter += is_brighter ? 1 : 0;
        both += is_flipped && is_brighter ? 1 : 0;
    }
    EXPECT_NEAR(flipped / double{kSamples}, 0.8 * 0.3, 0.012);
    EXPECT_NEAR(brighter / double{kSamples}, 0.8 * 0.5, 0.014);
    EXPECT_NEAR(both / double{kSamples}, 0.8 * 0.3 * 0.5, 0.009);
    EXPECT_NEAR(untouched / double{kSamples}, 0.2 + 0.8 * 0.7 * 0.5, 0.014);
    augmentation.untouched = 1;
    draw_augmentation(augmentation, {1, 4, 4}, {9, 0, 0}, &draw);
    EXPECT_TRUE(draw.is_nothing());
}

// A piece draws the same whatever stands beside it, and whether that happens.
TEST(AugmentDraws, PiecesDoNotDisturbEachOther) {
    Augmentation both = augmentation_of({make_piece("random_crop", {{"padding", 3}}),
                                         make_piece("rotate", {{"low", -9}, {"high", 9}})});
    Augmentation second = both;
    second.pieces[0].values[0] = 0;
    AugmentDraw of_both, of_second;
    for (uint32_t i = 0; i < 50; i++) {
        draw_augmentation(both, {1, 8, 8}, {1, 0, i}, &of_both);
        draw_augmentation(second, {1, 8, 8}, {1, 0, i}, &of_second);
        EXPECT_EQ(of_both.map.xy, of_second.map.xy);
        EXPECT_NE(of_both.map.xy, 0);
    }
}

// Refusals

TEST(Augmentation, FaultsAreNamedInFull) {
    const auto fault_of = [](const Augmentation& augmentation) {
        const auto fault = find_fault(augmentation, 5, 7);
        return fault ? fault->what + " | " + fault->fix : "";
    };
    const auto fault = [&](const char* kind, const char* field, double value) {
        return fault_of(augmentation_of({make_piece(kind, {{field, value}})}));
    };
    EXPECT_EQ(fault("rotate", "high", 181),
              "rotate: high is 181, which is not between -180 and 180 | choose a value from -180 "
              "to 180");
    EXPECT_EQ(fault("rotate", "high", std::nan("")),
              "rotate: high is nan, which is not between -180 and 180 | choose a value from -180 "
              "to 180");
    EXPECT_EQ(fault("rotate", "low", 1),
              "rotate: low is 1, but high is 0 | give the lower end first");
    EXPECT_EQ(fault("stretch", "height_high", 0.5),
              "stretch: height_low is 1, but height_high is 0.5 | give the lower end first");
    EXPECT_EQ(fault("horizontal_flip", "probability", 1.5),
              "horizontal_flip: probability is 1.5, which is not between 0 and 1 | choose a value "
              "from 0 to 1");
    EXPECT_EQ(fault("random_crop", "padding", 1.5),
              "random_crop: padding is 1.5, which is no whole number | choose a whole number");
    EXPECT_EQ(fault("random_crop", "height", 6),
              "random_crop: a part 6 high and 7 wide does not fit into the picture, 5 high and 7 "
              "wide | choose a smaller part, or more padding");
    EXPECT_EQ(fault("cutout", "width", 8),
              "cutout: a part 1 high and 8 wide does not fit into the picture, 5 high and 7 wide | "
              "choose a smaller one");
    EXPECT_EQ(
        fault_of(augmentation_of({make_piece("random_crop", {{"padding", 1}, {"width", 10}})})),
        "random_crop: a part 5 high and 10 wide does not fit into the picture, 7 high and 9 "
        "wide with its padding | choose a smaller part, or more padding");
    EXPECT_EQ(
        fault_of(augmentation_of({make_piece("random_crop", {{"padding", 1}, {"width", 9}})})), "");
    EXPECT_EQ(
        fault_of({{}, Fill::constant, 256, 0}),
        "augment: fill_value is 256, which is not between 0 and 255 | choose a value from 0 to "
        "255");
    EXPECT_EQ(
        fault_of({{}, Fill::constant, 0, -0.5}),
        "augment: untouched is -0.5, which is not between 0 and 1 | choose a value from 0 to 1");
    EXPECT_EQ(fault_of({{AugmentPiece{"spin", {1}}}, Fill::constant, 0, 0}),
              "there is no augmentation 'spin' | use one that runtime/data/augmentation.h lists");
    EXPECT_EQ(fault_of(augmentation_of(std::vector<AugmentPiece>(101, make_piece("rotate")))),
              "augment: there are 101 augmentations, more than 100 | leave some of them out");
}

TEST(Augmentation, Texts) {
    EXPECT_EQ(to_text(Augmentation{}), "");
    EXPECT_EQ(to_text(augmentation_of({make_piece("translate", {{"width", 0.1}})})),
              "translate {probability=1, width=0.1, height=0}");
    Augmentation all = augmentation_of({make_piece("noise")}, Fill::wrap, 3);
    all.untouched = 0.25;
    EXPECT_EQ(to_text(all),
              "noise {probability=1, deviation=0}, fill=wrap, fill_value=3, untouched=0.25");
    for (Fill fill : {Fill::constant, Fill::nearest, Fill::reflect, Fill::wrap})
        EXPECT_EQ(find_fill(fill_name(fill)), fill);
    EXPECT_EQ(find_fill("mirror"), std::nullopt);
}

}  // namespace
}  // namespace emulsion
