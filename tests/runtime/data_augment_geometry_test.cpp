// What moves pixels, against plain definitions on pictures of odd sizes.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "runtime/data/augment_draw.h"
#include "runtime/data/augmenter.h"
#include "runtime/data/elementary.h"
#include "runtime/data/warp.h"
#include "tests/runtime/data_augment_support.h"

namespace emulsion {
namespace {

using testing::augmentation_of;
using testing::augmented;
using testing::make_picture;
using testing::make_piece;
using testing::Point;

constexpr double kPi = 3.14159265358979323846;
constexpr Fill kFills[] = {Fill::constant, Fill::nearest, Fill::reflect, Fill::wrap};

TEST(AugmentElementary, AgreesWithTheLibrary) {
    for (double x = -720; x <= 720; x += 7.25) {
        const SineCosine found = sine_cosine(x);
        EXPECT_NEAR(found.sine, std::sin(x * kPi / 180), 2e-14) << x;
        EXPECT_NEAR(found.cosine, std::cos(x * kPi / 180), 2e-14) << x;
        EXPECT_NEAR(exponential(x / 10) / std::exp(x / 10), 1, 3e-13) << x;
        const double positive = std::fabs(x) + 0.01;
        EXPECT_NEAR(logarithm(positive), std::log(positive), 1e-14 * 7);
    }
    EXPECT_EQ(sine_cosine(0).sine, 0);
    EXPECT_EQ(sine_cosine(0).cosine, 1);
    EXPECT_EQ(sine_cosine(90).sine, 1);
    EXPECT_EQ(sine_cosine(-180).cosine, -1);
}

TEST(AugmentFill, RowsContinueAsTheirNamesSay) {
    const auto row = [](Fill fill, int size) {
        std::string text;
        for (int i = -4; i < size + 4; i++) {
            const int32_t cell = cell_of(i, size, fill);
            text += cell < 0 ? 'k' : static_cast<char>('a' + cell);
        }
        return text;
    };
    EXPECT_EQ(row(Fill::constant, 3), "kkkkabckkkk");
    EXPECT_EQ(row(Fill::nearest, 3), "aaaaabccccc");
    EXPECT_EQ(row(Fill::reflect, 3), "ccbaabccbaa");
    EXPECT_EQ(row(Fill::wrap, 3), "cabcabcabca");
    for (Fill fill : {Fill::nearest, Fill::reflect, Fill::wrap})
        EXPECT_EQ(row(fill, 1), "aaaaaaaaa");
}

// Where pixel (x, y) of the result is read in a picture of this size.
using Map = std::function<Point(double x, double y, double height, double width)>;

struct Case {
    AugmentPiece piece;
    Map map;
};

Point about_middle(double x, double y, double height, double width, double xx, double xy, double yx,
                   double yy) {
    const double dx = x - (width - 1) / 2, dy = y - (height - 1) / 2;
    return {(width - 1) / 2 + xx * dx + xy * dy, (height - 1) / 2 + yx * dx + yy * dy};
}

// Each with ranges of one number, so that nothing is left to chance.
std::vector<Case> all_cases() {
    const double turn = 30 * kPi / 180;
    return {
        {make_piece("horizontal_flip"),
         [](double x, double y, double, double width) { return Point{width - 1 - x, y}; }},
        {make_piece("vertical_flip"),
         [](double x, double y, double height, double) { return Point{x, height - 1 - y}; }},
        {make_piece("rotate", {{"low", 30}, {"high", 30}}),
         [=](double x, double y, double height, double width) {
             return about_middle(x, y, height, width, std::cos(turn), -std::sin(turn),
                                 std::sin(turn), std::cos(turn));
         }},
        {make_piece("zoom", {{"low", 1.7}, {"high", 1.7}}),
         [](double x, double y, double height, double width) {
             return about_middle(x, y, height, width, 1 / 1.7, 0, 0, 1 / 1.7);
         }},
        {make_piece("zoom", {{"low", 0.4}, {"high", 0.4}}),
         [](double x, double y, double height, double width) {
             return about_middle(x, y, height, width, 2.5, 0, 0, 2.5);
         }},
        {make_piece(
             "stretch",
             {{"width_low", 2}, {"width_high", 2}, {"height_low", 0.8}, {"height_high", 0.8}}),
         [](double x, double y, double height, double width) {
             return about_middle(x, y, height, width, 0.5, 0, 0, 1.25);
         }},
    };
}

void expect_values(const std::vector<double>& found, const std::vector<double>& expected,
                   const std::string& what) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); i++) EXPECT_NEAR(found[i], expected[i], 2e-3) << what << i;
}

std::vector<double> read_by(const Picture& picture, const std::function<Point(double, double)>& map,
                            Fill fill, double constant) {
    std::vector<double> values;
    for (int y = 0; y < picture.shape.height; y++) {
        for (int x = 0; x < picture.shape.width; x++) {
            for (int c = 0; c < picture.shape.channels; c++)
                values.push_back(testing::sample(picture, map(x, y), c, fill, constant));
        }
    }
    return values;
}

TEST(AugmentGeometry, EachMapByItsDefinition) {
    for (const auto& [channels, height, width] :
         {std::array{1, 5, 7}, std::array{3, 5, 7}, std::array{1, 1, 1}, std::array{2, 1, 6}}) {
        const Picture picture = make_picture(channels, height, width);
        for (Fill fill : kFills) {
            for (const Case& each : all_cases()) {
                const auto map = [&](double x, double y) { return each.map(x, y, height, width); };
                expect_values(augmented(picture, augmentation_of({each.piece}, fill, 77)),
                              read_by(picture, map, fill, 77),
                              to_text(each.piece) + std::string(fill_name(fill)));
            }
        }
    }
}

// The first of two acts first: what it gives is read by the second. One reading of the picture.
TEST(AugmentGeometry, MapsAreComposedInTheirOrder) {
    const Picture picture = make_picture(3, 7, 5);
    const std::vector<Case> cases = all_cases();
    for (const Case& first : cases) {
        for (const Case& second : cases) {
            const auto map = [&](double x, double y) {
                const Point between = second.map(x, y, 7, 5);
                return first.map(between[0], between[1], 7, 5);
            };
            expect_values(
                augmented(picture, augmentation_of({first.piece, second.piece}, Fill::reflect)),
                read_by(picture, map, Fill::reflect, 0),
                to_text(first.piece) + to_text(second.piece));
        }
    }
}

// Shears and shifts draw with both signs: the numbers of the draw are taken for the definition.
TEST(AugmentGeometry, ShearsStayInTheirRangeAndMoveRows) {
    const Picture picture = make_picture(1, 5, 7);
    const Augmentation shear = augmentation_of({make_piece("shear", {{"horizontal", 45}})});
    double lowest = 0, highest = 0;
    AugmentDraw draw;
    for (uint32_t i = 0; i < 400; i++) {
        draw_augmentation(shear, picture.shape, {1, 0, i}, &draw);
        lowest = std::min(lowest, draw.map.xy);
        highest = std::max(highest, draw.map.xy);
        EXPECT_EQ(draw.map.xx, 1);
        EXPECT_EQ(draw.map.yx, 0);
        EXPECT_NEAR(draw.map.x0, -2 * draw.map.xy, 1e-12);  // the middle row stays
    }
    EXPECT_LT(lowest, -0.95);
    EXPECT_GT(highest, 0.95);
    EXPECT_GE(lowest, -1 - 1e-12);
    EXPECT_LE(highest, 1 + 1e-12);
    draw_augmentation(shear, picture.shape, {1, 0, 3}, &draw);
    const double slope = draw.map.xy;
    expect_values(augmented(picture, shear, 0, 3),
                  read_by(
                      picture, [&](double x, double y) { return Point{x + slope * (y - 2), y}; },
                      Fill::constant, 0),
                  "shear");
}

// Every whole shift of the range, and no other; each about as often.
TEST(AugmentGeometry, ShiftsAndCropsAreWholeAndEven) {
    const Picture picture = make_picture(1, 5, 10);
    const auto offsets = [&](const AugmentPiece& piece) {
        std::map<std::pair<int, int>, int> counts;
        AugmentDraw draw;
        for (uint32_t i = 0; i < 9000; i++) {
            draw_augmentation(augmentation_of({piece}), picture.shape, {7, 2, i}, &draw);
            EXPECT_TRUE(moves_whole_pixels(draw.map));
            counts[{static_cast<int>(draw.map.y0), static_cast<int>(draw.map.x0)}]++;
        }
        return counts;
    };
    const auto crops = offsets(make_piece("random_crop", {{"padding", 1}}));
    EXPECT_EQ(crops.size(), 9u);
    for (const auto& [offset, count] : crops) {
        EXPECT_LE(std::abs(offset.first), 1);
        EXPECT_LE(std::abs(offset.second), 1);
        EXPECT_NEAR(count, 1000, 130);
    }
    const auto shifts = offsets(make_piece("translate", {{"width", 0.2}, {"height", 0.2}}));
    EXPECT_EQ(shifts.size(), 15u);  // 2 of 10 and 1 of 5 to either side
    const auto parts = offsets(make_piece("random_crop", {{"padding", 2}, {"height", 5}}));
    EXPECT_EQ(parts.size(), 25u);
}

// A part of another size is scaled to the picture's, by the centres of pixels.
TEST(AugmentGeometry, CropsOfAnotherSize) {
    const Picture picture = make_picture(3, 6, 8);
    const Augmentation crop =
        augmentation_of({make_piece("random_crop", {{"height", 3}, {"width", 4}})});
    std::set<std::pair<double, double>> corners;
    for (uint32_t i = 0; i < 60; i++) {
        AugmentDraw draw;
        draw_augmentation(crop, picture.shape, {1, 0, i}, &draw);
        const double top = draw.map.y0 + 0.25, left = draw.map.x0 + 0.25;
        corners.insert({top, left});
        expect_values(augmented(picture, crop, 0, i),
                      read_by(
                          picture,
                          [&](double x, double y) {
                              return Point{left + (x + 0.5) / 2 - 0.5, top + (y + 0.5) / 2 - 0.5};
                          },
                          Fill::constant, 0),
                      "crop");
    }
    EXPECT_EQ(corners.size(), 20u);  // 4 x 5 places
}

TEST(AugmentGeometry, ResizedCropsHaveTheirAreaAndRatio) {
    const PictureShape shape{3, 64, 96};
    const Augmentation crop = augmentation_of({make_piece("random_resized_crop")});
    AugmentDraw draw;
    for (uint32_t i = 0; i < 500; i++) {
        draw_augmentation(crop, shape, {1, 0, i}, &draw);
        const double width = draw.map.xx * 96, height = draw.map.yy * 64;
        EXPECT_NEAR(width, std::round(width), 1e-9);
        EXPECT_NEAR(height, std::round(height), 1e-9);
        EXPECT_LE(width, 96 + 1e-9);
        EXPECT_LE(height, 64 + 1e-9);
        EXPECT_GE(width * height, 0.08 * 64 * 96 * 0.9);
        EXPECT_GE(width / height, 0.75 * 0.93);
        EXPECT_LE(width / height, 4.0 / 3 * 1.07);
    }
    // No part has this ratio: the middle, as wide as can be.
    const Augmentation flat = augmentation_of(
        {make_piece("random_resized_crop",
                    {{"scale_low", 1}, {"scale_high", 1}, {"ratio_low", 3}, {"ratio_high", 3}})});
    draw_augmentation(flat, shape, {1, 0, 0}, &draw);
    EXPECT_DOUBLE_EQ(draw.map.xx, 1);
    EXPECT_DOUBLE_EQ(draw.map.yy * 64, 32);
    EXPECT_DOUBLE_EQ(draw.map.y0, 16 + 0.25 - 0.5);
}

// Both ways of moving by whole pixels give the same.
TEST(AugmentGeometry, WholePixelsAreMovedExactly) {
    const Picture picture = make_picture(3, 5, 7);
    for (Fill fill : kFills) {
        for (const Affine& map : {Affine{1, 0, -3, 0, 1, 2}, Affine{-1, 0, 6, 0, 1, 0},
                                  Affine{-1, 0, 9, 0, -1, -20}, Affine{1, 0, 40, 0, 1, 0}}) {
            std::vector<uint8_t> moved(picture.pixels.size());
            std::vector<float> warped(picture.pixels.size());
            std::vector<int32_t> columns;
            move_pixels(picture.pixels.data(), picture.shape, map, {fill, 9}, &columns,
                        moved.data());
            warp_pixels(picture.pixels.data(), picture.shape, map, nullptr, {fill, 9},
                        warped.data());
            for (size_t i = 0; i < moved.size(); i++)
                EXPECT_EQ(static_cast<float>(moved[i]), warped[i]) << fill_name(fill) << i;
        }
    }
}

// Maps that lead far away, and to no number, stay within the memory of the picture.
TEST(AugmentGeometry, AnyMapReadsThePicture) {
    const Picture picture = make_picture(3, 5, 7);
    std::vector<float> warped(picture.pixels.size());
    for (Fill fill : kFills) {
        for (double far : {1e5, -1e9, 1e300, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
            warp_pixels(picture.pixels.data(), picture.shape, {far, 1, far, 1, far, 0}, nullptr,
                        {fill, 9}, warped.data());
            for (float value : warped) EXPECT_TRUE(value >= 0 && value <= 255.001f) << far;
        }
    }
    // Hundred stretches in one.
    std::vector<AugmentPiece> pieces(100, make_piece("zoom", {{"low", 0.01}, {"high", 0.01}}));
    for (double value : augmented(picture, augmentation_of(pieces, Fill::wrap)))
        EXPECT_TRUE(value >= 0 && value <= 255.001);
}

// The field: noise of -1 to 1 in each pixel, smoothed by a Gaussian, times alpha.
TEST(AugmentGeometry, ElasticByItsDefinition) {
    constexpr int kHeight = 5, kWidth = 7;
    constexpr double kAlpha = 6, kSigma = 1.3;
    const Picture picture = make_picture(3, kHeight, kWidth);
    const Augmentation elastic =
        augmentation_of({make_piece("elastic", {{"alpha", kAlpha}, {"sigma", kSigma}}),
                         make_piece("rotate", {{"low", 30}, {"high", 30}})},
                        Fill::nearest);
    const SampleKey key{1, 4, 9};
    const auto noise = [&](int y, int x, size_t direction) {
        const size_t at = static_cast<size_t>(2 * (y * kWidth + x)) + direction;
        return (testing::field_words(key, 0, at / 4)[at % 4] >> 8) / 8388608.0 - 1;
    };
    const auto smooth = [&](int y, int x, size_t direction) {
        const int radius = 4;  // ceil(3 * 1.3)
        double sum = 0, weights = 0;
        for (int dy = -radius; dy <= radius; dy++) {
            for (int dx = -radius; dx <= radius; dx++) {
                const double weight = std::exp(-(dx * dx + dy * dy) / (2 * kSigma * kSigma));
                weights += weight;
                sum += weight * noise(std::clamp(y + dy, 0, kHeight - 1),
                                      std::clamp(x + dx, 0, kWidth - 1), direction);
            }
        }
        return kAlpha * sum / weights;
    };
    const Case rotate = all_cases()[2];
    expect_values(augmented(picture, elastic, 4, 9),
                  read_by(
                      picture,
                      [&](double x, double y) {
                          const int column = static_cast<int>(x), row = static_cast<int>(y);
                          return rotate.map(x + smooth(row, column, 0), y + smooth(row, column, 1),
                                            kHeight, kWidth);
                      },
                      Fill::nearest, 0),
                  "elastic");
}

}  // namespace
}  // namespace emulsion
