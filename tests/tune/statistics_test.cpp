// When one kernel counts as faster than another.
#include "schedules/tune/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace emulsion::test {
namespace {

PairedTimes pairs(int wins, int losses, double win_ratio = 0.9, double loss_ratio = 1.1) {
    PairedTimes times;
    for (int i = 0; i < wins; i++) times.pairs.push_back({1, win_ratio});
    for (int i = 0; i < losses; i++) times.pairs.push_back({1, loss_ratio});
    return times;
}

TEST(Statistics, ChancesOfCoins) {
    EXPECT_DOUBLE_EQ(chance_of_heads(0, 5), 1);
    EXPECT_DOUBLE_EQ(chance_of_heads(5, 5), 1.0 / 32);
    EXPECT_DOUBLE_EQ(chance_of_heads(4, 5), 6.0 / 32);
    EXPECT_DOUBLE_EQ(chance_of_heads(6, 5), 0);
}

TEST(Statistics, FasterNeedsWinsAndAGain) {
    EXPECT_TRUE(is_faster(pairs(5, 0), 0.05, 0.01));
    EXPECT_FALSE(is_faster(pairs(4, 0), 0.05, 0.01));
    EXPECT_FALSE(is_faster(pairs(4, 1), 0.05, 0.01));
    EXPECT_TRUE(is_faster(pairs(9, 1), 0.05, 0.01));
    EXPECT_FALSE(is_faster(pairs(10, 0, 0.995), 0.05, 0.01));
    EXPECT_FALSE(is_faster({}, 0.05, 0.01));
}

TEST(Statistics, OneOutlierDecidesNothing) {
    PairedTimes times = pairs(9, 0);
    times.pairs.push_back({1, 100});
    EXPECT_TRUE(is_faster(times, 0.05, 0.01));
    EXPECT_DOUBLE_EQ(times.ratio(), 0.9);
    EXPECT_DOUBLE_EQ(times.candidate_seconds(), 0.9);
    PairedTimes lucky = pairs(0, 9);
    lucky.pairs.push_back({1, 0.001});
    EXPECT_FALSE(is_faster(lucky, 0.05, 0.01));
}

TEST(Statistics, HopelessCandidatesAreGivenUp) {
    EXPECT_TRUE(is_hopeless(pairs(0, 2, 1, 1.5), 12, 0.05));
    EXPECT_FALSE(is_hopeless(pairs(0, 1, 1, 1.5), 12, 0.05));
    EXPECT_FALSE(is_hopeless(pairs(0, 2, 1, 1.1), 12, 0.05));
    EXPECT_TRUE(is_hopeless(pairs(0, 3, 1, 1.1), 12, 0.05));  // 9 of 12 are not enough
    EXPECT_FALSE(is_hopeless(pairs(5, 1), 12, 0.05));
}

TEST(Statistics, RankCorrelationIsThatOfThePlaces) {
    EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 400}, {1e-3, 5, 6, 7}), 1);
    EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {9, 7, 3, 1}), -1);
    EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4}, {5, 5, 5, 5}), 0);
    EXPECT_DOUBLE_EQ(rank_correlation({1, 2, 3, 4, 5}, {2, 1, 4, 3, 5}), 0.8);  // 1 - 6*4/(5*24)
    EXPECT_NEAR(rank_correlation({1, 1, 2}, {1, 2, 3}), std::sqrt(3) / 2, 1e-12);
}

}  // namespace
}  // namespace emulsion::test
