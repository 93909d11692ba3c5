// Loss and accuracy of an epoch as means over samples.
//
// A call reports the mean loss of its samples and how many it classified correctly. Calls of
// different size are weighted by their samples, so a part batch counts for what it holds: losses 1,
// 1, 1, 1, 6 in batches of two give 2, not the mean of three batch means. The sums are plain
// doubles in the order of the steps; they travel with a checkpoint, and a resumed epoch reports the
// same digits as one that was never interrupted.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace emulsion {

// How many samples one classifier of a network has right.
struct HeadCount {
    std::string name;  // empty: of the one without a name
    double correct = 0.0;
};

// One loss of a network that has several, before its weight: a mean, or its sum over samples.
struct NamedLoss {
    std::string name;
    double value = 0.0;
};

struct Metrics {
    double loss_sum = 0.0;  // over samples
    // Of the classifier that decides (see find_heads); nothing where the network counts nothing.
    std::optional<double> correct = 0.0;
    int64_t samples = 0;
    std::vector<HeadCount> heads;        // where there are several classifiers: of each with a name
    std::vector<NamedLoss> losses = {};  // where there are several: sums of each

    // `counts`: of every classifier, the one that decides first; the same ones in every call.
    void add(double mean_loss, std::span<const HeadCount> counts, int64_t count) {
        loss_sum += mean_loss * static_cast<double>(count);
        correct =
            correct && !counts.empty() ? std::optional(*correct + counts[0].correct) : std::nullopt;
        samples += count;
        if (counts.size() < 2) return;
        if (counts[0].name.empty()) counts = counts.subspan(1);
        if (heads.empty()) return heads.assign(counts.begin(), counts.end());
        for (size_t i = 0; i < heads.size(); i++) heads[i].correct += counts[i].correct;
    }
    // `means`: of each loss where there are several, the same ones in every call.
    void add_losses(std::span<const NamedLoss> means, int64_t count) {
        if (losses.empty()) {
            for (const NamedLoss& mean : means) losses.push_back({mean.name});
        }
        for (size_t i = 0; i < std::min(losses.size(), means.size()); i++)
            losses[i].value += means[i].value * static_cast<double>(count);
    }
    // Both are 0 where nothing was added.
    double loss() const { return samples > 0 ? loss_sum / static_cast<double>(samples) : 0.0; }
    std::optional<double> accuracy() const {
        if (!correct) return std::nullopt;
        return share(*correct);
    }
    double share(double count) const {
        return samples > 0 ? count / static_cast<double>(samples) : 0.0;
    }
};

}  // namespace emulsion
