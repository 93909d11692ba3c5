// See regression.h. Means and deviations are updated row by row (Welford, 1962), so that large
// targets of small spread lose nothing.
#include "runtime/program/regression.h"

#include <cmath>
#include <numeric>

namespace emulsion {

bool RegressionErrors::add(std::span<const float> predictions, std::span<const float> targets) {
    double squared = 0.0, absolute = 0.0;
    for (size_t i = 0; i < targets.size(); i++) {
        const double error = double{predictions[i]} - double{targets[i]};
        squared += error * error;
        absolute += std::fabs(error);
    }
    if (!std::isfinite(squared)) return false;
    rows_++;
    squared_ += squared;
    absolute_ += absolute;
    means_.resize(targets.size());
    deviations_.resize(targets.size());
    for (size_t i = 0; i < targets.size(); i++) {
        const double before = double{targets[i]} - means_[i];
        means_[i] += before / static_cast<double>(rows_);
        deviations_[i] += before * (double{targets[i]} - means_[i]);
    }
    return true;
}

std::optional<double> RegressionErrors::share(double sum) const {
    const double count = static_cast<double>(rows_) * static_cast<double>(means_.size());
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<double> RegressionErrors::r2() const {
    const double spread = std::accumulate(deviations_.begin(), deviations_.end(), 0.0);
    return spread > 0 ? std::optional(1.0 - squared_ / spread) : std::nullopt;
}

}  // namespace emulsion
