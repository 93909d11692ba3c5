// A search over what is kept. Its measure is the largest live set, which placing comes close to;
// what it returns is placed.
//
// It starts where everything is kept, and lets go of one whole after another, each time of that
// which saves the most bytes at the fullest call for its cost. Segments of several lengths are
// further starts, for letting go pays little one by one where a whole chain has to go. Where
// nothing fits, those that need the fewest bytes are improved by changing one whole at a time. The
// cheapest one that fits then takes back what it need not let go of.
#include "compiler/plan/memory_budget.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "compiler/plan/rerun.h"

namespace emulsion {

namespace {

constexpr int kTrials = 24;       // of wholes to let go of, before the best one is
constexpr int kSegmentings = 20;  // lengths of segments, each 0.7 times that before
constexpr int kSquarings = 4;     // of live sets in their sum
constexpr int kImproved = 3;      // states that are improved
constexpr int kPasses = 6;        // over all wholes, of each of them
constexpr int kPlaced = 12;       // states that are placed, which takes longest

size_t at(int index) { return static_cast<size_t>(index); }

struct State {
    std::vector<bool> kept;  // by whole
    int64_t bytes = 0;       // the largest live set
    double pressure = 0;     // the sum of powers of all live sets: many that are large count too
    double seconds = 0;      // of the runs
};

class BudgetSearch {
  public:
    BudgetSearch(const GroupedBatch& grouped, const Workspace& workspace,
                 const std::vector<double>& seconds, int64_t alignment)
        : workspace_(workspace),
          reruns_(grouped, workspace),
          seconds_(seconds),
          alignment_(alignment) {}

    RunOrder order_within(int64_t bytes) {
        let_go();
        cut();
        if (const std::optional<State> found = cheapest_within(bytes))
            return reruns_.order(found->kept);
        improve();
        if (const std::optional<State> found = cheapest_within(bytes))
            return reruns_.order(found->kept);
        return reruns_.order(smallest().kept);
    }

  private:
    State state_of(std::vector<bool> kept) const {
        const RunOrder order = reruns_.order(kept);
        State state{std::move(kept), 0, 0, 0};
        for (int64_t bytes : live_bytes(workspace_.lives(order).blocks, alignment_)) {
            state.bytes = std::max(state.bytes, bytes);
            double power = static_cast<double>(bytes);
            for (int i = 0; i < kSquarings; i++) power *= power;
            state.pressure += power;
        }
        for (int group : order) state.seconds += seconds_[at(group)];
        return state;
    }

    State with(const State& state, int whole, bool is_kept) const {
        std::vector<bool> kept = state.kept;
        kept[at(whole)] = is_kept;
        return state_of(std::move(kept));
    }

    int64_t placed_bytes(const State& state) const {
        std::vector<LiveBlock> blocks = workspace_.lives(reruns_.order(state.kept)).blocks;
        return assign_offsets(blocks, alignment_).bytes;
    }

    // ---- States ----

    // The free wholes that are alive in the fullest run, kept or not.
    std::vector<int> alive_at_most(const State& state) const {
        const Workspace::Lives lives = workspace_.lives(reruns_.order(state.kept));
        const std::vector<int64_t> live = live_bytes(lives.blocks, alignment_);
        const auto fullest = std::ranges::max_element(live) - live.begin();
        std::vector<bool> is_alive(state.kept.size(), false);
        for (const Workspace::Life& life : lives.lives)
            if (life.first <= fullest && fullest <= life.last) is_alive[at(life.whole)] = true;
        std::vector<int> wholes;
        for (int whole : reruns_.free_wholes())
            if (is_alive[at(whole)]) wholes.push_back(whole);
        return wholes;
    }

    // Bytes for a second of running the writers of a whole, which saves no more.
    double most_saved(int whole) const {
        const Workspace::Whole& it = workspace_.wholes()[at(whole)];
        double seconds = std::numeric_limits<double>::min();
        for (int writer : it.writers) seconds += seconds_[at(writer)];
        return static_cast<double>(it.bytes) / seconds;
    }

    void let_go() {
        std::optional<State> next = state_of(reruns_.everything());
        for (; next; next = with_one_less(states_.back())) states_.push_back(std::move(*next));
    }

    std::optional<State> with_one_less(const State& state) const {
        std::vector<int> wholes = alive_at_most(state);
        std::erase_if(wholes, [&](int whole) { return !state.kept[at(whole)]; });
        std::ranges::stable_sort(wholes,
                                 [&](int a, int b) { return most_saved(a) > most_saved(b); });
        std::optional<State> best;
        double most = 0;
        int trials = 0;
        for (int whole : wholes) {
            if (best && (most_saved(whole) <= most || trials >= kTrials)) break;
            trials++;
            State next = with(state, whole, false);
            const double seconds =
                std::max(next.seconds - state.seconds, std::numeric_limits<double>::min());
            const double saved = static_cast<double>(state.bytes - next.bytes) / seconds;
            if (saved <= most) continue;
            most = saved;
            best = std::move(next);
        }
        return best;
    }

    void cut() {
        int64_t stored = 0;
        for (int whole : reruns_.free_wholes())
            if (reruns_.everything()[at(whole)]) stored += workspace_.wholes()[at(whole)].bytes;
        double bytes = static_cast<double>(stored);
        for (int i = 0; i < kSegmentings; i++, bytes *= 0.7)
            states_.push_back(state_of(reruns_.segments(static_cast<int64_t>(bytes))));
    }

    void improve() {
        std::vector<State> starts = states_;
        std::ranges::stable_sort(starts, {}, &State::bytes);
        starts.resize(std::min<size_t>(starts.size(), kImproved));
        for (State& state : starts) {
            for (int i = 0; i < kPasses && improve(state); i++) states_.push_back(state);
        }
    }

    // Changes each whole in turn where that takes pressure away; false where it nowhere does.
    bool improve(State& state) const {
        const double before = state.pressure;
        for (int whole : reruns_.free_wholes()) {
            State next = with(state, whole, !state.kept[at(whole)]);
            if (next.pressure < state.pressure) state = std::move(next);
        }
        return state.pressure < before;
    }

    // ---- The one that is taken ----

    std::optional<State> cheapest_within(int64_t bytes) const {
        // Placing may need more than what is alive: what it needs too much is left free.
        int64_t limit = bytes;
        for (int i = 0; i < kPlaced; i++) {
            const State* found = nullptr;
            for (const State& state : states_) {
                const bool is_better = found == nullptr || state.seconds < found->seconds;
                if (state.bytes <= limit && is_better) found = &state;
            }
            if (found == nullptr) break;
            State state = with_more(*found, limit);
            const int64_t placed = placed_bytes(state);
            if (placed <= bytes) return state;
            limit = std::min(limit, state.bytes) - (placed - bytes);
        }
        return std::nullopt;
    }

    // What has the fewest bytes, placed.
    State smallest() const {
        std::vector<State> states = states_;
        std::ranges::stable_sort(states, {}, &State::bytes);
        const State* best = nullptr;
        int64_t fewest = std::numeric_limits<int64_t>::max();
        states.resize(std::min<size_t>(states.size(), kPlaced));
        for (size_t i = 0; i < states.size() && states[i].bytes < fewest; i++) {
            const int64_t placed = placed_bytes(states[i]);
            if (placed >= fewest) continue;
            fewest = placed;
            best = &states[i];
        }
        return *best;
    }

    // Keeps again what saves time and fits.
    State with_more(State state, int64_t limit) const {
        std::vector<int> wholes = reruns_.free_wholes();
        std::ranges::stable_sort(wholes,
                                 [&](int a, int b) { return most_saved(a) < most_saved(b); });
        for (int whole : wholes) {
            if (state.kept[at(whole)]) continue;
            State next = with(state, whole, true);
            if (next.bytes <= limit && next.seconds < state.seconds) state = std::move(next);
        }
        return state;
    }

    const Workspace& workspace_;
    const Reruns reruns_;
    const std::vector<double>& seconds_;
    int64_t alignment_;
    std::vector<State> states_;
};

}  // namespace

RunOrder order_within(const GroupedBatch& grouped, const Workspace& workspace,
                      const std::vector<double>& seconds, int64_t alignment, int64_t bytes) {
    return BudgetSearch(grouped, workspace, seconds, alignment).order_within(bytes);
}

}  // namespace emulsion
