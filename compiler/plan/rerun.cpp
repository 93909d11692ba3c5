// What may run again and when, from the groups' operands and results alone.
#include "compiler/plan/rerun.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

namespace emulsion {

namespace {

size_t at(int index) { return static_cast<size_t>(index); }

using Tensor = std::pair<MemoryClass, int64_t>;  // class and offset

// The parameter or state tensor that a value is, or that its result updates; none where it lies
// elsewhere.
std::optional<Tensor> tensor_of(const GroupedBatch& grouped, Value value) {
    const auto found = grouped.fixed.find(value);
    if (found == grouped.fixed.end()) return std::nullopt;
    const Place& place = found->second;
    const bool lasts =
        place.memory == MemoryClass::parameters || place.memory == MemoryClass::state;
    return lasts ? std::optional<Tensor>({place.memory, place.offset}) : std::nullopt;
}

}  // namespace

Reruns::Reruns(const GroupedBatch& grouped, const Workspace& workspace)
    : workspace_(workspace), groups_(static_cast<int>(grouped.bodies.size())) {
    while (forward_ < groups_ && grouped.stage(at(forward_)) < Stage::backward) forward_++;
    pin_groups();
    find_reads();
    for (int w = 0; w < static_cast<int>(workspace.wholes().size()); w++) {
        const Workspace::Whole& whole = workspace.wholes()[at(w)];
        const bool is_free = is_forward_[at(w)] && !is_pinned_[at(whole.writers[0])] &&
                             grouped.graph.type(whole.value).batched;
        everything_.push_back(!is_free || last_read_[at(w)] >= 0);
        if (is_free) free_.push_back(w);
    }
    find_updates(grouped);
}

// Groups with a result outside the workspace run once, and with them those that write parts of the
// same wholes: a whole is made again by all its writers.
void Reruns::pin_groups() {
    is_pinned_.assign(at(groups_), false);
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        std::vector<bool> is_kept(workspace_.wholes().size(), false);
        for (int g = 0; g < groups_; g++) {
            for (int whole : workspace_.touched()[at(g)].results)
                if (whole < 0) is_pinned_[at(g)] = true;
            for (int whole : workspace_.touched()[at(g)].results)
                if (whole >= 0 && is_pinned_[at(g)]) is_kept[at(whole)] = true;
        }
        for (size_t w = 0; w < is_kept.size(); w++) {
            for (int writer : workspace_.wholes()[w].writers) {
                if (!is_kept[w] || is_pinned_[at(writer)]) continue;
                is_pinned_[at(writer)] = true;
                is_changed = true;
            }
        }
    }
}

void Reruns::find_reads() {
    const size_t wholes = workspace_.wholes().size();
    last_forward_read_.assign(wholes, -1);
    last_read_.assign(wholes, -1);
    for (int g = 0; g < groups_; g++) {
        for (int whole : workspace_.touched()[at(g)].operands) {
            if (whole >= 0) (g < forward_ ? last_forward_read_ : last_read_)[at(whole)] = g;
        }
    }
    for (const Workspace::Whole& whole : workspace_.wholes()) {
        is_forward_.push_back(!whole.writers.empty() && whole.writers.back() < forward_);
    }
}

void Reruns::find_updates(const GroupedBatch& grouped) {
    std::vector<std::set<Tensor>> depends(workspace_.wholes().size());
    before_update_.resize(at(groups_));
    for (int g = 0; g < groups_; g++) {
        const GroupBody& body = grouped.bodies[at(g)];
        const Workspace::Touched& touched = workspace_.touched()[at(g)];
        if (g >= forward_) {
            for (Value value : body.results) {
                const std::optional<Tensor> updated = tensor_of(grouped, value);
                for (int whole : free_) {
                    if (updated && last_read_[at(whole)] > g &&
                        depends[at(whole)].contains(*updated))
                        before_update_[at(g)].push_back(whole);
                }
            }
            continue;
        }
        std::set<Tensor> read;
        for (size_t i = 0; i < body.operands.size(); i++) {
            if (const auto tensor = tensor_of(grouped, body.operands[i].root)) read.insert(*tensor);
            if (const int whole = touched.operands[i]; whole >= 0)
                read.insert(depends[at(whole)].begin(), depends[at(whole)].end());
        }
        for (int whole : touched.results)
            if (whole >= 0) depends[at(whole)].insert(read.begin(), read.end());
    }
}

// ---- Segments ----

// Whether a whole is there behind the group and read later in the forward pass.
bool Reruns::crosses(int whole, int group) const {
    return is_forward_[at(whole)] && workspace_.wholes()[at(whole)].writers[0] <= group &&
           last_forward_read_[at(whole)] > group;
}

int64_t Reruns::crossing_bytes(int group, const std::vector<bool>& kept) const {
    int64_t bytes = 0;
    for (int whole : free_)
        if (!kept[at(whole)] && crosses(whole, group))
            bytes += workspace_.wholes()[at(whole)].bytes;
    return bytes;
}

std::vector<bool> Reruns::segments(int64_t bytes) const {
    std::vector<bool> kept = everything_;
    for (int whole : free_) kept[at(whole)] = false;
    int64_t stored = 0, fewest = std::numeric_limits<int64_t>::max(), behind = 0;
    int cut = -1;
    for (int g = 0; g < forward_; g++) {
        for (int whole : workspace_.touched()[at(g)].results) {
            if (whole < 0 || last_read_[at(whole)] < 0 || !is_forward_[at(whole)]) continue;
            if (workspace_.wholes()[at(whole)].writers[0] != g) continue;
            stored += workspace_.wholes()[at(whole)].bytes;
        }
        const int64_t crossing = crossing_bytes(g, kept);
        if (2 * stored >= bytes && crossing <= fewest) {
            cut = g;
            fewest = crossing;
            behind = stored;
        }
        if (stored < bytes || cut < 0) continue;
        for (int whole : free_)
            if (crosses(whole, cut)) kept[at(whole)] = true;
        stored -= behind;
        fewest = std::numeric_limits<int64_t>::max();
        cut = -1;
    }
    return kept;
}

// ---- Order ----

// One order in the making.
class RunWriter {
  public:
    RunWriter(const Reruns& reruns, const std::vector<bool>& kept)
        : reruns_(reruns),
          kept_(kept),
          is_there_(kept),
          is_needed_(kept.size()),
          is_made_(at(reruns.groups_)) {}

    RunOrder run() {
        order_.resize(at(reruns_.forward_));
        std::iota(order_.begin(), order_.end(), 0);
        for (int g = reruns_.forward_; g < reruns_.groups_; g++) {
            const std::vector<int>& read = touched(g).operands;
            for (int whole : read) need(whole);
            for (int whole : reruns_.before_update_[at(g)]) need(whole);
            make(g);
            order_.push_back(g);
            for (int whole : read)
                if (whole >= 0 && reruns_.last_read_[at(whole)] == g) forget(whole);
        }
        return std::move(order_);
    }

  private:
    const Workspace::Touched& touched(int group) const {
        return reruns_.workspace_.touched()[at(group)];
    }
    const std::vector<int>& writers_of(int whole) const {
        return reruns_.workspace_.wholes()[at(whole)].writers;
    }

    void need(int whole) {
        if (whole >= 0 && reruns_.is_forward_[at(whole)] && !is_there_[at(whole)]) write(whole);
    }

    // Lets all writers of a whole run, and what they need.
    void write(int whole) {
        if (is_needed_[at(whole)]) return;
        is_needed_[at(whole)] = true;
        needed_.push_back(whole);
        for (int writer : writers_of(whole)) {
            if (is_made_[at(writer)]) continue;
            is_made_[at(writer)] = true;
            made_.push_back(writer);
            for (int operand : touched(writer).operands) need(operand);
            for (int other : touched(writer).results)
                if (writers_of(other).size() > 1) write(other);
        }
    }

    // Runs what is needed in front of group g. It stays where it is read later, g included.
    void make(int g) {
        std::ranges::sort(made_);
        order_.insert(order_.end(), made_.begin(), made_.end());
        for (int group : made_) {
            is_made_[at(group)] = false;
            for (int whole : touched(group).results)
                if (reruns_.last_read_[at(whole)] >= g) is_there_[at(whole)] = true;
        }
        for (int whole : needed_) is_needed_[at(whole)] = false;
        made_.clear();
        needed_.clear();
    }

    void forget(int whole) { is_there_[at(whole)] = kept_[at(whole)]; }

    const Reruns& reruns_;
    const std::vector<bool>& kept_;
    std::vector<bool> is_there_;  // by whole
    std::vector<bool> is_needed_, is_made_;
    std::vector<int> needed_, made_;
    RunOrder order_;
};

RunOrder Reruns::order(const std::vector<bool>& kept) const { return RunWriter(*this, kept).run(); }

}  // namespace emulsion
