// Made-up pictures: what their names mean, what they are a function of, and that the label shows.
#include "runtime/data/synthetic.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;

constexpr PictureShape kShape{3, 9, 12};

TEST(Synthetic, NamesAndCounts) {
    EXPECT_EQ(synthetic_count("synthetic"), kSyntheticPictures);
    EXPECT_EQ(synthetic_count("synthetic:1"), 1u);
    EXPECT_EQ(synthetic_count("synthetic:2147483647"), 2147483647u);
    for (const char* name : {"", "mnist", "synthetic2", "synthetics", "./synthetic", "a/synthetic"})
        EXPECT_EQ(synthetic_count(name), std::nullopt) << name;
    for (const char* count : {"", "0", "-1", "1.5", "many", " 8", "2147483648", "1e3"}) {
        EXPECT_EQ(message_of([&] { synthetic_count(std::string("synthetic:") + count); }),
                  "--data: '" + std::string(count) +
                      "' is no number of made-up pictures from 1 to 2147483647\n"
                      "  fix: write synthetic:512, or synthetic");
    }
}

TEST(Synthetic, TheFirstPicturesAreTheSameOfAnyNumber) {
    const Dataset few = open_dataset("synthetic:7", Part::train, kShape, 5);
    const Dataset many = open_dataset("synthetic:40", Part::train, kShape, 5);
    EXPECT_EQ(few.source, "synthetic");
    EXPECT_EQ(few.shape, kShape);
    EXPECT_EQ(few.count(), 7u);
    EXPECT_EQ(many.count(), 40u);
    EXPECT_EQ(open_dataset("synthetic", Part::train, {1, 1, 1}, 5).count(), 512u);
    EXPECT_EQ(few.labels, (std::vector<int32_t>{0, 1, 2, 3, 4, 0, 1}));
    EXPECT_TRUE(std::equal(few.pixels.begin(), few.pixels.end(), many.pixels.begin()));
    // The first bytes of a picture, as they are on every machine.
    EXPECT_EQ((std::vector<int>{few.pixels.begin(), few.pixels.begin() + 6}),
              (std::vector<int>{243, 210, 212, 161, 188, 210}));
    EXPECT_EQ(open_dataset("synthetic:7", Part::train, kShape, 5, {.take = 3}).count(), 3u);
}

TEST(Synthetic, NoTwoPicturesAreEqual) {
    std::set<std::vector<uint8_t>> seen;
    for (Part part : {Part::train, Part::test}) {
        const Dataset set = open_dataset("synthetic:30", part, kShape, 3);
        for (uint64_t i = 0; i < set.count(); i++)
            seen.emplace(set.picture(i), set.picture(i) + kShape.elements());
    }
    EXPECT_EQ(seen.size(), 60u);
}

// The mean of the training pictures of a class is nearest to every test picture of it.
TEST(Synthetic, ThePictureShowsItsLabel) {
    constexpr int kClasses = 10;
    constexpr PictureShape kSmall{1, 16, 16};
    const Dataset train = open_dataset("synthetic:200", Part::train, kSmall, kClasses);
    const Dataset test = open_dataset("synthetic:50", Part::test, kSmall, kClasses);
    const size_t pixels = kSmall.elements();
    std::vector<std::vector<double>> means(kClasses, std::vector<double>(pixels));
    for (uint64_t i = 0; i < train.count(); i++) {
        for (size_t p = 0; p < pixels; p++)
            means[static_cast<size_t>(train.labels[i])][p] += train.picture(i)[p] / 20.0;
    }
    for (uint64_t i = 0; i < test.count(); i++) {
        std::vector<double> distances;
        for (const std::vector<double>& mean : means) {
            double sum = 0;
            for (size_t p = 0; p < pixels; p++)
                sum += (test.picture(i)[p] - mean[p]) * (test.picture(i)[p] - mean[p]);
            distances.push_back(sum);
        }
        EXPECT_EQ(std::min_element(distances.begin(), distances.end()) - distances.begin(),
                  test.labels[i]);
    }
}

TEST(Synthetic, MoreThanTheMemoryHoldsIsRefused) {
    constexpr uint64_t kEach = 3 * 9 * 12 + 4 + 1;
    const auto open = [&](uint64_t bytes) {
        return message_of([&] {
            EXPECT_EQ(
                open_dataset("synthetic:20", Part::train, kShape, 5, {.bytes = bytes}).count(),
                20u);
        });
    };
    EXPECT_EQ(open(20 * kEach), "no error");
    EXPECT_EQ(open(20 * kEach - 1),
              "synthetic:20: 20 pictures of 3x9x12 need more memory than 6579 bytes, what is left "
              "of three quarters of all memory\n"
              "  fix: use a smaller set, or a machine with more memory");
    EXPECT_NE(open_dataset("synthetic:2147483647", Part::train, kShape, 5, {.take = 2}).count(),
              0u);
}

}  // namespace
}  // namespace emulsion
