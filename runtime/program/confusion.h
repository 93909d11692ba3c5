// Which classes a network takes for which: counts of labelled pictures, and what follows from them.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace emulsion {

class Confusion {
  public:
    explicit Confusion(int classes);

    // One picture. `found` is the class it was taken for; nothing where its scores are not finite,
    // which counts as wrong. REQUIRES: both in [0, classes).
    void add(int label, std::optional<int> found);
    // So many pictures of the label that were taken for the class `found`.
    void add(int label, int found, int64_t count);

    int classes() const { return static_cast<int>(pictures_.size()); }
    // Pictures of the label that were taken for the class `found`.
    int64_t count(int label, int found) const;
    // Pictures of the label.
    int64_t pictures(int label) const { return pictures_[static_cast<size_t>(label)]; }

    // Of the pictures taken for the class, the share that are of it; nothing where there are none.
    std::optional<double> precision(int which) const;
    // Of the pictures of the class, the share that were taken for it; nothing where there are none.
    std::optional<double> recall(int which) const;

    // Jaccard's index of the class: of the pictures that are of it or were taken for it, the share
    // that are both; nothing where there are none.
    std::optional<double> iou(int which) const;

    // Means over the classes that have such a share; nothing where none has.
    std::optional<double> mean_recall() const;
    std::optional<double> mean_precision() const;
    std::optional<double> mean_iou() const;

  private:
    int64_t taken_for(int which) const;

    std::vector<int64_t> counts_;    // [label][found]
    std::vector<int64_t> pictures_;  // [label]
};

// Whether `label` is among the `count` best classes; of equal scores the lower index is the better.
// False where a score is not finite. REQUIRES: label >= 0.
bool is_among_best(std::span<const float> scores, int32_t label, int count);

// For people: a row for each class with its name, pictures, recall and precision; under it, up to
// kMostShownClasses classes, the matrix, a row for each label. Ends with a line end.
inline constexpr int kMostShownClasses = 20;
std::string confusion_text(const Confusion& confusion, std::span<const std::string> names);

}  // namespace emulsion
