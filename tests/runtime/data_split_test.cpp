// Random numbers, shares and splits.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/data/random.h"
#include "runtime/data/split.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;

TEST(DataRandom, PhiloxGivesThePublishedNumbers) {
    // The known answers of the authors' Random123 library.
    using Words = std::array<uint32_t, 4>;
    EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const uint32_t ones = 0xffffffff;
    EXPECT_EQ(philox({ones, ones, ones, ones}, UINT64_MAX),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(DataRandom, ShuffleIsAFunctionOfSeedAndRow) {
    const std::vector<uint32_t> all = whole_set(1000);
    auto shuffled = [&](uint64_t seed, Stream stream, uint64_t row) {
        std::vector<uint32_t> values = all;
        shuffle(values, seed, stream, row);
        return values;
    };
    const std::vector<uint32_t> first = shuffled(1, Stream::shuffle, 0);
    EXPECT_EQ(first, shuffled(1, Stream::shuffle, 0));
    EXPECT_NE(first, shuffled(2, Stream::shuffle, 0));
    EXPECT_NE(first, shuffled(1, Stream::shuffle, 1));
    EXPECT_NE(first, shuffled(1, Stream::split, 0));
    std::vector<uint32_t> sorted = first;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, all);
    std::vector<uint32_t> none;
    shuffle(none, 1, Stream::shuffle, 0);
    EXPECT_TRUE(none.empty());
}

TEST(DataRandom, EveryOrderIsAboutAsLikely) {
    std::vector<int> counts(24);
    constexpr int kRows = 24000;
    for (int row = 0; row < kRows; row++) {
        std::vector<uint32_t> values = whole_set(4);
        shuffle(values, 7, Stream::shuffle, static_cast<uint64_t>(row));
        int rank = 0;
        for (int i = 0; i < 4; i++) {
            int smaller = 0;
            for (int j = i + 1; j < 4; j++)
                smaller += values[static_cast<size_t>(j)] < values[static_cast<size_t>(i)];
            rank = rank * (4 - i) + smaller;
        }
        counts[static_cast<size_t>(rank)]++;
    }
    double chi_square = 0;  // 23 degrees of freedom: above 50 once in a thousand
    for (int count : counts) chi_square += (count - 1000.0) * (count - 1000.0) / 1000;
    EXPECT_LT(chi_square, 50);
}

TEST(DataSplit, FractionsAreDecimal) {
    auto share = [](const char* text, uint64_t count) {
        return parse_fraction(text, "--validation").of(count);
    };
    EXPECT_EQ(share("0.29", 100), 29u);  // 28 in binary floating point
    EXPECT_EQ(share("0.1", 6000), 600u);
    EXPECT_EQ(share("0.2", 7), 1u);
    EXPECT_EQ(share("0.2", 3), 0u);
    EXPECT_EQ(share("0", 10), 0u);
    EXPECT_EQ(share("0.0e5", 10), 0u);
    EXPECT_EQ(share(".57", 100), 57u);
    EXPECT_EQ(share("57%", 100), 57u);
    EXPECT_EQ(share("5.7e-1", 100), 57u);
    EXPECT_EQ(share("0.570000000000000000000000", 100), 57u);
    EXPECT_EQ(share("0.999999999999999999", 1000), 999u);
    for (int hundredths = 0; hundredths < 100; hundredths++) {
        const std::string text = (hundredths < 10 ? "0.0" : "0.") + std::to_string(hundredths);
        EXPECT_EQ(share(text.c_str(), 100), static_cast<uint64_t>(hundredths)) << text;
    }
}

TEST(DataSplit, NoFractionIsRefused) {
    for (const char* text : {"", ".", "1", "1.0", "100%", "-0.1", "0,1", "0.1x", "0.1.2", "1e-30",
                             "0.5e", "1e99999", "nan", " 0.1"}) {
        EXPECT_EQ(message_of([&] { parse_fraction(text, "--validation"); }),
                  "--validation: expected a share of at least 0 and below 1, found '" +
                      std::string(text) + "'\n  fix: write it as 0.1 or 10%, with a decimal point");
    }
}

TEST(DataSplit, EachClassInProportionAndEachPictureOnce) {
    // Class 0 has 7 pictures, class 1 has 3, class 2 has 100, class 3 none.
    std::vector<int32_t> labels;
    for (int i = 0; i < 110; i++) labels.push_back(i % 11 == 0 ? (i < 70 ? 0 : 1) : 2);
    const Fraction fraction = parse_fraction("0.29", "--validation");
    const Split split = split_by_class(labels, 4, fraction, 5);
    std::vector<uint64_t> counts(4), validation(4);
    for (int32_t label : labels) counts[static_cast<size_t>(label)]++;
    for (uint32_t index : split.validation) validation[static_cast<size_t>(labels[index])]++;
    for (size_t label = 0; label < 4; label++) {
        EXPECT_EQ(validation[label], fraction.of(counts[label])) << label;
    }
    std::vector<uint32_t> all = split.train;
    all.insert(all.end(), split.validation.begin(), split.validation.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, whole_set(110));
    EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
    EXPECT_EQ(split.validation, split_by_class(labels, 4, fraction, 5).validation);
    EXPECT_NE(split.validation, split_by_class(labels, 4, fraction, 6).validation);
    EXPECT_TRUE(split_by_class(labels, 4, Fraction{}, 5).validation.empty());
}

// The first pictures of each class, in exact decimal arithmetic: 0.29 of 100 is 29.
TEST(DataSplit, TheLeadingShareOfEachClass) {
    std::vector<int32_t> labels(200);
    for (size_t i = 0; i < labels.size(); i++) labels[i] = static_cast<int32_t>(i % 2);
    const Split split = split_leading(labels, 3, parse_fraction("0.29", "--validation"));
    EXPECT_EQ(split.validation, whole_set(58));
    EXPECT_EQ(split.train.size(), 142u);
    EXPECT_EQ(split.train[0], 58u);
    // Seven and three pictures: a fifth of them is one and none.
    const std::vector<int32_t> few = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
    EXPECT_EQ(split_leading(few, 2, parse_fraction("0.2", "x")).validation,
              (std::vector<uint32_t>{0}));
}

}  // namespace
}  // namespace emulsion
