// See mistakes.h.
#include "runtime/program/mistakes.h"

#include <algorithm>

#include "runtime/program/evaluate.h"

namespace emulsion {

namespace {

bool is_worse(const Mistake& a, const Mistake& b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

}  // namespace

void MistakeList::add(uint32_t index, int32_t label, std::span<const float> scores) {
    if (label < 0 || static_cast<size_t>(label) >= scores.size() || !has_finite_scores(scores))
        return;
    const auto best = std::max_element(scores.begin(), scores.end());
    const int found = static_cast<int>(best - scores.begin());
    if (found == label || most_ == 0) return;
    const Mistake mistake{index, label, found, *best};
    if (kept_.size() == most_) {
        if (!is_worse(mistake, kept_.front())) return;
        std::pop_heap(kept_.begin(), kept_.end(), is_worse);
        kept_.pop_back();
    }
    kept_.push_back(mistake);
    std::push_heap(kept_.begin(), kept_.end(), is_worse);
}

std::vector<Mistake> MistakeList::worst() const {
    std::vector<Mistake> sorted = kept_;
    std::sort(sorted.begin(), sorted.end(), is_worse);
    return sorted;
}

Picture shrink_picture(Picture picture, int side) {
    const int height = picture.shape.height, width = picture.shape.width;
    const int longest = std::max(height, width);
    if (longest <= side) return picture;
    const auto shrunk = [&](int length) {
        return std::max(1, static_cast<int>(int64_t{length} * side / longest));
    };
    return resize_picture(picture, shrunk(height), shrunk(width), {Resize::kArea, Fit::kStretch});
}

std::vector<ShownMistake> show_mistakes(const Source& source, std::span<const Mistake> mistakes,
                                        int side) {
    std::vector<ShownMistake> shown;
    if (!source.has_pictures()) return shown;
    for (const Mistake& each : mistakes) {
        const Picture picture = shrink_picture(source.picture_at(each.index), side);
        shown.push_back({source.name_of(each.index), each.label, each.found, each.score,
                         picture.shape, encode_png(picture)});
    }
    return shown;
}

}  // namespace emulsion
