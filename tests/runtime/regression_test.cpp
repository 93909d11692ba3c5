// Errors of predicted numbers, against the formulas in plain sums.
#include "runtime/program/regression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace emulsion {
namespace {

using Row = std::vector<float>;

// Two numbers a row, of 5 rows.
TEST(RegressionErrors, ByThePlainFormulas) {
    const std::vector<Row> predictions{{1, 0}, {2, 0.5f}, {2.5f, -1}, {4, 2}, {7, 0.25f}};
    const std::vector<Row> targets{{1, 1}, {3, 0.5f}, {2, -2}, {5, 2}, {6, -0.5f}};
    RegressionErrors errors;
    EXPECT_EQ(errors.mean_squared(), std::nullopt);
    EXPECT_EQ(errors.mean_absolute(), std::nullopt);
    EXPECT_EQ(errors.r2(), std::nullopt);
    double squared = 0, absolute = 0, spread = 0;
    for (size_t row = 0; row < targets.size(); row++) {
        EXPECT_TRUE(errors.add(predictions[row], targets[row]));
        for (size_t i = 0; i < 2; i++) {
            const double error = predictions[row][i] - targets[row][i];
            squared += error * error;
            absolute += std::fabs(error);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        double mean = 0;
        for (const Row& row : targets) mean += row[i] / 5;
        for (const Row& row : targets) spread += (row[i] - mean) * (row[i] - mean);
    }
    EXPECT_DOUBLE_EQ(errors.mean_squared().value(), squared / 10);
    EXPECT_DOUBLE_EQ(errors.mean_absolute().value(), absolute / 10);
    EXPECT_NEAR(errors.r2().value(), 1 - squared / spread, 1e-12);
}

TEST(RegressionErrors, PerfectConstantAndFarFromZero) {
    RegressionErrors perfect, constant, far;
    for (int i = 0; i < 4; i++) {
        const float near = static_cast<float>(i % 2), large = 1e6f + near;
        perfect.add(Row{near}, Row{near});
        constant.add(Row{near}, Row{3});
        far.add(Row{1000000.5f}, Row{large});
    }
    EXPECT_EQ(perfect.r2(), 1.0);
    EXPECT_EQ(perfect.mean_squared(), 0.0);
    EXPECT_EQ(constant.r2(), std::nullopt);
    EXPECT_EQ(constant.mean_absolute(), 2.5);
    EXPECT_NEAR(far.r2().value(), 0.0, 1e-9);
}

// A row whose error is no number counts nowhere.
TEST(RegressionErrors, RowsThatAreNotFinite) {
    RegressionErrors errors;
    EXPECT_FALSE(errors.add(Row{1, std::nanf("")}, Row{1, 1}));
    EXPECT_FALSE(errors.add(Row{1, INFINITY}, Row{1, 1}));
    EXPECT_EQ(errors.mean_squared(), std::nullopt);
    EXPECT_TRUE(errors.add(Row{1, 2}, Row{1, 1}));
    EXPECT_EQ(errors.mean_squared(), 0.5);
    const float most = std::numeric_limits<float>::max();
    EXPECT_TRUE(errors.add(Row{most, 0}, Row{-most, 0}));
    EXPECT_TRUE(std::isfinite(errors.mean_squared().value()));
}

}  // namespace
}  // namespace emulsion
