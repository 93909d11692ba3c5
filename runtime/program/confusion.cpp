// See confusion.h.
#include "runtime/program/confusion.h"

#include "runtime/program/evaluate.h"
#include "runtime/program/format.h"
#include "runtime/program/session.h"
#include "runtime/support/text.h"

namespace emulsion {

Confusion::Confusion(int classes)
    : counts_(static_cast<size_t>(classes) * static_cast<size_t>(classes)),
      pictures_(static_cast<size_t>(classes)) {}

void Confusion::add(int label, std::optional<int> found) {
    const auto row = static_cast<size_t>(label);
    pictures_[row]++;
    if (found) counts_[row * pictures_.size() + static_cast<size_t>(*found)]++;
}

void Confusion::add(int label, int found, int64_t count) {
    const auto row = static_cast<size_t>(label);
    pictures_[row] += count;
    counts_[row * pictures_.size() + static_cast<size_t>(found)] += count;
}

int64_t Confusion::count(int label, int found) const {
    return counts_[static_cast<size_t>(label) * pictures_.size() + static_cast<size_t>(found)];
}

namespace {

std::optional<double> share(int64_t part, int64_t whole) {
    if (whole == 0) return std::nullopt;
    return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

int64_t Confusion::taken_for(int which) const {
    int64_t found = 0;
    for (int label = 0; label < classes(); label++) found += count(label, which);
    return found;
}

std::optional<double> Confusion::precision(int which) const {
    return share(count(which, which), taken_for(which));
}

std::optional<double> Confusion::recall(int which) const {
    return share(count(which, which), pictures(which));
}

std::optional<double> Confusion::iou(int which) const {
    const int64_t both = count(which, which);
    return share(both, pictures(which) + taken_for(which) - both);
}

namespace {

std::optional<double> mean_of(const Confusion& confusion,
                              std::optional<double> (Confusion::*share_of)(int) const) {
    double sum = 0.0;
    int count = 0;
    for (int which = 0; which < confusion.classes(); which++) {
        const std::optional<double> value = (confusion.*share_of)(which);
        if (value) sum += *value, count++;
    }
    return count > 0 ? std::optional(sum / count) : std::nullopt;
}

}  // namespace

std::optional<double> Confusion::mean_recall() const { return mean_of(*this, &Confusion::recall); }

std::optional<double> Confusion::mean_precision() const {
    return mean_of(*this, &Confusion::precision);
}

std::optional<double> Confusion::mean_iou() const { return mean_of(*this, &Confusion::iou); }

bool is_among_best(std::span<const float> scores, int32_t label, int count) {
    const auto target = static_cast<size_t>(label);
    if (target >= scores.size() || !has_finite_scores(scores)) return false;
    int better = 0;
    for (size_t i = 0; i < scores.size(); i++) {
        const bool is_equal = scores[i] == scores[target];
        better += scores[i] > scores[target] || (is_equal && i < target) ? 1 : 0;
    }
    return better < count;
}

namespace {

std::string percent(const std::optional<double>& value) {
    return value ? format_percent(*value, 2) : "-";
}

std::string shares_text(const Confusion& confusion, std::span<const std::string> names) {
    std::vector<std::vector<std::string>> rows{
        {"class", "", "pictures", "recall", "precision", "IoU"}};
    for (int c = 0; c < confusion.classes(); c++) {
        rows.push_back({concat(c), one_line(class_name(names, c)),
                        format_thousands(static_cast<double>(confusion.pictures(c))),
                        percent(confusion.recall(c)), percent(confusion.precision(c)),
                        percent(confusion.iou(c))});
    }
    rows.push_back({"", "mean", "", percent(confusion.mean_recall()),
                    percent(confusion.mean_precision()), percent(confusion.mean_iou())});
    return format_table(rows, {Align::kRight, Align::kLeft, Align::kRight, Align::kRight,
                               Align::kRight, Align::kRight});
}

std::string matrix_text(const Confusion& confusion) {
    std::vector<std::vector<std::string>> rows{{"taken for"}};
    for (int found = 0; found < confusion.classes(); found++) rows[0].push_back(concat(found));
    for (int label = 0; label < confusion.classes(); label++) {
        std::vector<std::string>& row = rows.emplace_back();
        row.push_back(concat("class ", label));
        for (int found = 0; found < confusion.classes(); found++) {
            const int64_t count = confusion.count(label, found);
            row.push_back(count > 0 ? concat(count) : ".");
        }
    }
    std::vector<Align> columns(rows[0].size(), Align::kRight);
    columns[0] = Align::kLeft;
    return format_table(rows, columns);
}

}  // namespace

std::string confusion_text(const Confusion& confusion, std::span<const std::string> names) {
    const std::string shares = shares_text(confusion, names);
    return confusion.classes() <= kMostShownClasses ? shares + matrix_text(confusion) : shares;
}

}  // namespace emulsion
