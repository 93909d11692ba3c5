// What moves with augmented pictures: maps by their nearest values, boxes by their corners, each
// against its plain definition.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/data/augmenter.h"
#include "runtime/data/loader.h"
#include "runtime/data/warp.h"
#include "tests/runtime/data_augment_support.h"

namespace emulsion {
namespace {

using testing::augmentation_of;
using testing::make_piece;

constexpr Fill kFills[] = {Fill::constant, Fill::nearest, Fill::reflect, Fill::wrap};

// A map with the numbers of a picture of one channel.
std::vector<int32_t> map_of(const Picture& picture) {
    return {picture.pixels.begin(), picture.pixels.end()};
}

struct Moved {
    std::vector<double> picture;  // 0 to 255
    std::vector<int32_t> map;
    Affine by;
};

Moved move(const Picture& picture, const Augmentation& augmentation, const TargetForm& target,
           std::vector<int32_t> map, uint32_t index = 0) {
    const Augmenter augmenter(augmentation, picture.shape, /*seed=*/1);
    AugmentMemory memory;
    std::vector<float> row(picture.shape.elements());
    augmenter.write_row(picture, 0, index, Normalizer(picture.shape.channels, nullptr, nullptr),
                        &memory, row.data());
    augmenter.move_target(target, /*has_boxes=*/false, &memory, map.data());
    Moved moved{{}, map, memory.draw.map};
    for (const float value : row) moved.picture.push_back(255.0 * static_cast<double>(value));
    return moved;
}

TargetForm map_form(const PictureShape& shape, std::optional<int32_t> ignored = std::nullopt) {
    return {TargetKind::kMap, shape, ignored};
}

// Where whole pixels move, a mask that equals its picture still does.
TEST(AugmentTargets, MasksMoveWithTheirPictures) {
    const Picture picture = testing::make_picture(1, 5, 7);
    for (const Fill fill : kFills) {
        for (const auto& piece : {make_piece("horizontal_flip"), make_piece("vertical_flip"),
                                  make_piece("translate", {{"width", 0.5}, {"height", 0.5}}),
                                  make_piece("random_crop", {{"padding", 2}})}) {
            bool has_moved = false;
            for (uint32_t index = 0; index < 8; index++) {
                const Augmentation augmentation = augmentation_of({piece}, fill, 77);
                const Moved moved =
                    move(picture, augmentation, map_form({1, 5, 7}, 77), map_of(picture), index);
                has_moved = has_moved || moved.map != map_of(picture);
                for (size_t i = 0; i < moved.map.size(); i++)
                    ASSERT_NEAR(moved.picture[i], moved.map[i], 1e-4) << to_text(piece) << i;
            }
            EXPECT_TRUE(has_moved) << to_text(piece);
        }
    }
}

// Any map, by the definition: the cell whose middle is nearest to where the pixel's is read.
TEST(AugmentTargets, MasksByTheirNearestCells) {
    const Picture picture = testing::make_picture(1, 6, 8);
    for (const auto& [height, width] : {std::pair{6, 8}, {3, 4}, {12, 8}}) {
        const Picture mask = testing::make_picture(1, height, width);
        const double down = 6.0 / height, across = 8.0 / width;
        for (const Fill fill : kFills) {
            for (const auto& piece :
                 {make_piece("rotate", {{"low", 33}, {"high", 33}}),
                  make_piece("zoom", {{"low", 0.6}, {"high", 0.6}}),
                  make_piece("shear", {{"horizontal", 20}, {"vertical", 10}})}) {
                const Moved moved = move(picture, augmentation_of({piece}, fill, 9),
                                         map_form({1, height, width}, 255), map_of(mask));
                for (int i = 0; i < height * width; i++) {
                    const double x = (i % width + 0.5) * across - 0.5;
                    const double y = (i / width + 0.5) * down - 0.5;
                    const double to_x = moved.by.xx * x + moved.by.xy * y + moved.by.x0;
                    const double to_y = moved.by.yx * x + moved.by.yy * y + moved.by.y0;
                    const auto column = std::lround(std::floor((to_x + 0.5) / across));
                    const auto row = std::lround(std::floor((to_y + 0.5) / down));
                    ASSERT_EQ(moved.map[static_cast<size_t>(i)],
                              testing::cell_value(mask, row, column, 0, fill, 255))
                        << to_text(piece) << fill_name(fill) << i;
                }
            }
        }
    }
}

// Without a class that does not count, what lies outside is of class 0; numbers of several channels
// stay together.
TEST(AugmentTargets, OutsideAndChannels) {
    const Picture picture = testing::make_picture(1, 4, 4);
    const Augmentation away = augmentation_of({make_piece("zoom", {{"low", 0.5}, {"high", 0.5}})});
    std::vector<int32_t> ones(16, 1), pairs;
    const Moved moved = move(picture, away, map_form({1, 4, 4}), ones);
    EXPECT_EQ(moved.map, (std::vector<int32_t>{0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}));
    for (int32_t i = 0; i < 16; i++) pairs.insert(pairs.end(), {i, -i});
    const Moved both = move(picture, augmentation_of({make_piece("horizontal_flip")}),
                            {TargetKind::kNumbers, {2, 4, 4}}, pairs);
    for (size_t i = 0; i < 16; i++) {
        EXPECT_EQ(both.map[2 * i], static_cast<int32_t>(i / 4 * 4 + 3 - i % 4));
        EXPECT_EQ(both.map[2 * i + 1], -both.map[2 * i]);
    }
}

// A pixel that is nearly white by four neighbours is nearest to a white one.
TEST(AugmentTargets, MasksFollowAnElasticPicture) {
    Picture picture{{1, 16, 16}, std::vector<uint8_t>(256)};
    std::vector<int32_t> mask(256);
    for (size_t i = 0; i < 256; i++) {
        mask[i] = i % 16 / 4 % 2 != i / 64 % 2 ? 1 : 0;
        picture.pixels[i] = mask[i] == 1 ? 255 : 0;
    }
    const Augmentation elastic =
        augmentation_of({make_piece("elastic", {{"alpha", 30}, {"sigma", 3}})}, Fill::nearest);
    const Moved moved = move(picture, elastic, map_form({1, 16, 16}), mask);
    int sure = 0, changed = 0;
    for (size_t i = 0; i < 256; i++) {
        changed += moved.map[i] != mask[i] ? 1 : 0;
        if (moved.picture[i] > 0.26 * 255 && moved.picture[i] < 0.74 * 255) continue;
        EXPECT_EQ(moved.map[i], moved.picture[i] > 127 ? 1 : 0) << i;
        sure++;
    }
    EXPECT_GT(sure, 100);
    EXPECT_GT(changed, 10);
}

void expect_box(const Edges& box, const Affine& map, const Edges& expected,
                const PictureShape& shape = {1, 20, 10}) {
    const Edges moved = move_box(box, shape, map);
    EXPECT_NEAR(moved.left, expected.left, 1e-6);
    EXPECT_NEAR(moved.top, expected.top, 1e-6);
    EXPECT_NEAR(moved.right, expected.right, 1e-6);
    EXPECT_NEAR(moved.bottom, expected.bottom, 1e-6);
}

TEST(AugmentTargets, BoxesByHand) {
    const Edges box{0.2f, 0.1f, 0.6f, 0.3f};
    expect_box(box, {}, box);
    expect_box(box, {.xx = -1, .x0 = 9}, {0.4f, 0.1f, 0.8f, 0.3f});   // left and right
    expect_box(box, {.yy = -1, .y0 = 19}, {0.2f, 0.7f, 0.6f, 0.9f});  // upside down
    expect_box(box, {.x0 = 3}, {0.0f, 0.1f, 0.3f, 0.3f});             // to the left, and cut
    expect_box(box, {.x0 = 6}, {});                                   // all of it is outside
    expect_box(box, {.x0 = -2, .y0 = -10}, {0.4f, 0.6f, 0.8f, 0.8f});
    // Twice as large about the middle: read from half as far away.
    expect_box(box, {.xx = 0.5, .x0 = 2.25, .yy = 0.5, .y0 = 4.75}, {0.0f, 0.0f, 0.7f, 0.1f});
    // A quarter turn of a square picture: (x, y) is read at (y, 9 - x).
    expect_box(box, {.xx = 0, .xy = 1, .yx = -1, .yy = 0, .y0 = 9}, {0.7f, 0.2f, 0.9f, 0.6f},
               {1, 10, 10});
    // A shear moves the corners apart: the box around them is wider.
    expect_box({0.4f, 0.0f, 0.6f, 0.5f}, {.xy = 0.2, .x0 = -0.9}, {0.3f, 0.0f, 0.7f, 0.5f},
               {1, 20, 10});
}

TEST(AugmentTargets, BoxesThatAreHardlyThereAreDropped) {
    const Edges wide{0.0f, 0.0f, 1.0f, 0.5f};
    expect_box(wide, {.x0 = 17}, {0.0f, 0.0f, 0.15f, 0.5f}, {1, 20, 20});  // 0.15 of its area
    expect_box(wide, {.x0 = 19}, {}, {1, 20, 20});                         // a twentieth
    expect_box({0.0f, 0.0f, 0.2f, 0.5f}, {.x0 = 3.5}, {}, {1, 20, 20});    // half a pixel
    expect_box({}, {.xx = -1, .x0 = 9}, {});                               // there is none
    expect_box(wide, {.xx = 0, .yy = 0}, {});                              // a map to one place
}

// Pictures of one value with a box each.
struct Boxes : Source {
    Boxes() {
        source = "boxes";
        shape = {1, 10, 10};
        target = {TargetKind::kNumbers, {8, 1, 1}};
    }
    uint64_t count() const override { return 4; }
    void read(uint64_t index, const Normalizer& normalizer, float* row) const override {
        normalizer.apply(picture_at(index).pixels.data(), 100, row);
    }
    void read_target(uint64_t, int32_t* row) const override {
        const float numbers[] = {0.1f, 0.2f, 0.4f, 0.6f, 0.0f, 0.0f, 0.0f, 0.0f};
        std::memcpy(row, numbers, sizeof numbers);
    }
    bool is_in_memory() const override { return true; }
    uint64_t bytes() const override { return 0; }
    uint32_t checksum() const override { return 0; }
    bool has_pictures() const override { return true; }
    Picture picture_at(uint64_t) const override { return {shape, std::vector<uint8_t>(100, 7)}; }
};

TEST(AugmentTargets, TheLoaderMovesBoxesWhereItIsAsked) {
    const Boxes boxes;
    const Augmenter flip(augmentation_of({make_piece("horizontal_flip")}), boxes.shape, 1);
    for (const bool has_boxes : {false, true}) {
        LoaderOptions options;
        options.batch = 4;
        options.augmenter = &flip;
        options.has_boxes = has_boxes;
        Loader loader(boxes, {0, 1, 2, 3}, Normalizer(1, nullptr, nullptr), options);
        const Batch& batch = loader.next();
        for (int sample = 0; sample < 4; sample++) {
            float numbers[8];
            std::memcpy(numbers, batch.labels + 8 * sample, sizeof numbers);
            EXPECT_NEAR(numbers[0], has_boxes ? 0.6f : 0.1f, 1e-6);
            EXPECT_NEAR(numbers[2], has_boxes ? 0.9f : 0.4f, 1e-6);
            EXPECT_EQ(numbers[1], 0.2f);
            EXPECT_EQ(numbers[4] + numbers[5] + numbers[6] + numbers[7], 0.0f);
        }
    }
}

}  // namespace
}  // namespace emulsion
