// Augmentations as a model file writes them: their numbers, their text, what is refused.
#include "dsl/augmentation.h"

#include <gtest/gtest.h>

#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

// What the model's text says of it.
std::string text_of(const std::vector<AugmentPiece>& pieces,
                    const AugmentationOptions& options = {}) {
    Model m("net");
    m.classify(dense(flatten(m.input("image", {3, 12, 12})), 4));
    m.augment(pieces, options);
    const Network network = finished(m);
    const std::string text = print(network);
    EXPECT_TRUE(parse_network(text, "net.emu") == network);
    const size_t begin = text.find("\naugmentation ") + 1;
    return begin == 0 ? "" : text.substr(begin, text.find('\n', begin) - begin);
}

std::string piece_of(const AugmentPiece& piece) {
    const std::string text = text_of({piece});
    return text.substr(text.find('[') + 1, text.size() - text.find('[') - 2);
}

TEST(Augmentation, NumbersOfEachPiece) {
    EXPECT_EQ(piece_of(random_flip()), "horizontal_flip {probability=0.5}");
    EXPECT_EQ(piece_of(random_flip({.vertical = true, .probability = 1})),
              "vertical_flip {probability=1}");
    EXPECT_EQ(piece_of(rotate(10)), "rotate {probability=1, low=-10, high=10}");
    EXPECT_EQ(piece_of(rotate(5, 20, {.probability = 0.25})),
              "rotate {probability=0.25, low=5, high=20}");
    EXPECT_EQ(piece_of(translate(0.1)), "translate {probability=1, width=0.1, height=0.1}");
    EXPECT_EQ(piece_of(translate(0.1, 0)), "translate {probability=1, width=0.1, height=0}");
    EXPECT_EQ(piece_of(shear(8)), "shear {probability=1, horizontal=8, vertical=0}");
    EXPECT_EQ(piece_of(shear(8, 4)), "shear {probability=1, horizontal=8, vertical=4}");
    EXPECT_EQ(piece_of(stretch(0.25)),
              "stretch {probability=1, width_low=0.75, width_high=1.25, height_low=0.75, "
              "height_high=1.25}");
    EXPECT_EQ(piece_of(stretch({.width_low = 0.5})),
              "stretch {probability=1, width_low=0.5, width_high=1, height_low=1, height_high=1}");
    EXPECT_EQ(piece_of(zoom(0.5)), "zoom {probability=1, low=0.5, high=1.5}");
    EXPECT_EQ(piece_of(zoom(1, 2)), "zoom {probability=1, low=1, high=2}");
    EXPECT_EQ(piece_of(random_crop(4)),
              "random_crop {probability=1, padding=4, height=0, width=0}");
    EXPECT_EQ(piece_of(random_crop(0, {.height = 8, .width = 9, .probability = 0.5})),
              "random_crop {probability=0.5, padding=0, height=8, width=9}");
    EXPECT_EQ(piece_of(random_resized_crop({.scale_low = 0.5, .ratio_low = 1, .ratio_high = 1})),
              "random_resized_crop {probability=1, scale_low=0.5, scale_high=1, ratio_low=1, "
              "ratio_high=1}");
    EXPECT_EQ(piece_of(elastic()), "elastic {probability=1, alpha=34, sigma=4}");
    EXPECT_EQ(piece_of(brightness(0.5)), "brightness {probability=1, low=0.5, high=1.5}");
    EXPECT_EQ(piece_of(brightness(2)), "brightness {probability=1, low=0, high=3}");
    EXPECT_EQ(piece_of(contrast(0.25, 4)), "contrast {probability=1, low=0.25, high=4}");
    EXPECT_EQ(piece_of(channel_shift(20)), "channel_shift {probability=1, range=20, together=0}");
    EXPECT_EQ(piece_of(channel_shift(20, {.together = true})),
              "channel_shift {probability=1, range=20, together=1}");
    EXPECT_EQ(piece_of(blur(2)), "blur {probability=1, low=0, high=2}");
    EXPECT_EQ(piece_of(sharpen(1)), "sharpen {probability=1, low=1, high=2}");
    EXPECT_EQ(piece_of(noise(25.5)), "noise {probability=1, deviation=25.5}");
    EXPECT_EQ(piece_of(cutout(8, {.count = 2, .value = 128})),
              "cutout {probability=1, height=8, width=8, count=2, value=128}");
}

TEST(Augmentation, OfSeveralPieces) {
    EXPECT_EQ(text_of({random_flip(), noise(3)},
                      {.fill = Fill::reflect, .fill_value = 9, .untouched = 0.125}),
              "augmentation {fill=\"reflect\", fill_value=9, untouched=0.125} [horizontal_flip "
              "{probability=0.5}, noise {probability=1, deviation=3}]");
    EXPECT_EQ(text_of({}), "");
}

std::vector<std::string> refused(const std::vector<AugmentPiece>& pieces) {
    Model m("net");
    m.classify(dense(flatten(m.input("image", {1, 8, 8})), 4));
    m.augment(pieces);
    return mistakes_of(m);
}

TEST(Augmentation, MistakesAreNamed) {
    EXPECT_EQ(refused({rotate(300)}),
              (std::vector<std::string>{
                  "error[augmentation]: rotate: low is -300, which is not between -180 and 180\n"
                  "  fix: choose a value from -180 to 180"}));
    EXPECT_EQ(refused({random_flip({.probability = -1})}).size(), 1u);
    EXPECT_EQ(refused({random_crop(1, {.height = 10, .width = 10})}), std::vector<std::string>{});
    EXPECT_EQ(refused({random_crop(1, {.height = 11})}).size(), 1u);
}

}  // namespace
}  // namespace emulsion
