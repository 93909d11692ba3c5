// How far predicted numbers are from what they should be.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace emulsion {

// Over all numbers of all rows, whose count is the same in each.
class RegressionErrors {
  public:
    // One row. False where an error is not finite; the row counts nowhere then.
    bool add(std::span<const float> predictions, std::span<const float> targets);

    // Nothing before the first row. `mean_squared` and `mean_absolute` are means over rows and
    // numbers; their common names are MSE (whose root is RMSE) and MAE.
    std::optional<double> mean_squared() const { return share(squared_); }
    std::optional<double> mean_absolute() const { return share(absolute_); }
    // R2 = 1 - sum (y - t)^2 / sum (t - mean t)^2, each number about its own mean over the rows;
    // nothing where every number is the same in all rows.
    std::optional<double> r2() const;

  private:
    std::optional<double> share(double sum) const;

    int64_t rows_ = 0;
    double squared_ = 0.0, absolute_ = 0.0;   // sums
    std::vector<double> means_, deviations_;  // of each number; sums of squares about the mean
};

}  // namespace emulsion
