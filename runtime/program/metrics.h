// Loss and accuracy of an epoch as means over samples.
//
// A call reports the mean loss of its samples and how many it classified correctly. Calls of
// different size are weighted by their samples, so a part batch counts for what it holds: losses 1,
// 1, 1, 1, 6 in batches of two give 2, not the mean of three batch means. The sums are plain
// doubles in the order of the steps; they travel with a checkpoint, and a resumed epoch reports the
// same digits as one that was never interrupted.
#pragma once
#include <cstdint>
#include <optional>

namespace emulsion {

struct Metrics {
    double loss_sum = 0.0;                // over samples
    std::optional<double> correct = 0.0;  // nothing where the network does not count them
    int64_t samples = 0;

    void add(double mean_loss, std::optional<double> correct_count, int64_t count) {
        loss_sum += mean_loss * static_cast<double>(count);
        correct =
            correct && correct_count ? std::optional(*correct + *correct_count) : std::nullopt;
        samples += count;
    }
    // Both are 0 where nothing was added.
    double loss() const { return samples > 0 ? loss_sum / static_cast<double>(samples) : 0.0; }
    std::optional<double> accuracy() const {
        if (!correct) return std::nullopt;
        return samples > 0 ? *correct / static_cast<double>(samples) : 0.0;
    }
};

}  // namespace emulsion
