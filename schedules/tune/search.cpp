// See search.h.
#include "schedules/tune/search.h"

#include <algorithm>
#include <utility>

#include "compiler/plan/choice.h"
#include "compiler/support/interrupts.h"
#include "schedules/tune/statistics.h"

namespace emulsion {

namespace {

constexpr size_t kParents = 4;        // the fastest, which changes start from
constexpr int kAttempts = 400;        // to find a legal candidate that is new
constexpr size_t kRanked = 8;         // changes, of which the cheapest is tried
constexpr int kChangeAttempts = 40;   // to find so many that are legal and new
constexpr size_t kAsDrawn = 4;        // of so many changes one is not ranked
constexpr size_t kLeastMeasured = 8;  // of which an order says whether the model is of use

constexpr const char* kOrigin = "candidate";

// One record for any group on an instruction set, and what there is for the others.
class OneRecord : public RecordSource {
  public:
    OneRecord(const Candidate& candidate, const Isa& isa, const RecordSource* others)
        : candidate_(candidate), isa_(isa), others_(others) {}
    std::optional<Record> find(const Group& group, const Isa& isa, int threads) const override {
        if (isa == isa_)
            return Record{candidate_.recipe, candidate_.version, candidate_.tiling, kOrigin};
        if (others_ == nullptr) return std::nullopt;
        return others_->find(group, isa, threads);
    }

  private:
    const Candidate& candidate_;
    const Isa& isa_;
    const RecordSource* others_;
};

}  // namespace

bool plan_takes(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
                bool exact, const Candidate& candidate, const RecordSource* decided) {
    const OneRecord source(candidate, isa, decided);
    PlanOptions options;
    options.exact = exact;
    options.records = &source;
    std::vector<std::string> notes;
    const Choice choice = choose_recipe(library, kernel.group, isa, options, notes);
    return choice.recipe != nullptr && choice.record == kOrigin;
}

Search::Search(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
               bool exact, int threads, uint64_t seed, const RecordSource* decided,
               const CostModel& model)
    : kernel_(kernel),
      isa_(isa),
      library_(library),
      exact_(exact),
      decided_(decided),
      model_(model),
      random_(seed) {
    machine_.threads = threads;
    std::vector<std::pair<double, Candidate>> ranking;
    for (const auto& recipe : library) {
        if (recipe->is_last_resort() || !can_run(*recipe, kernel.group, isa, exact)) continue;
        if (!recipe->space(kernel.group, isa).empty()) recipes_.push_back(recipe.get());
        for (const Tiling& tiling : recipe->tilings(kernel.group, isa)) {
            const Candidate candidate{std::string(recipe->name()), recipe->version(), tiling};
            ranking.emplace_back(cost_of(candidate), candidate);
        }
    }
    std::stable_sort(ranking.begin(), ranking.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto entry = ranking.rbegin(); entry != ranking.rend(); entry++)
        ranked_.push_back(std::move(entry->second));
    const Candidate own{kernel.recipe, kernel.recipe_version, kernel.tiling};
    proposed_.insert(to_string(own));
}

const Recipe* Search::find(const std::string& name) const {
    const auto found = std::find_if(library_.begin(), library_.end(),
                                    [&](const auto& recipe) { return recipe->name() == name; });
    return found == library_.end() ? nullptr : found->get();
}

bool Search::is_legal(const Candidate& candidate) const {
    const Recipe* recipe = find(candidate.recipe);
    return recipe != nullptr && recipe->version() == candidate.version &&
           can_run(*recipe, kernel_.group, isa_, exact_) &&
           tiling_fault(*recipe, kernel_.group, candidate.tiling, isa_).empty();
}

bool Search::is_usable(const Candidate& candidate) const {
    return is_legal(candidate) && plan_takes(kernel_, isa_, library_, exact_, candidate, decided_);
}

double Search::cost_of(const Candidate& candidate) const {
    return model_.cost(*find(candidate.recipe), kernel_.group, candidate.tiling, isa_, machine_);
}

bool Search::is_new(const Candidate& candidate) const {
    return !proposed_.contains(to_string(candidate));
}

void Search::draw_alone() {
    draws_alone_ = true;
    starts_.clear();
    ranked_.clear();
    ahead_.reset();
}

bool Search::add_start(const Candidate& candidate) {
    if (draws_alone_) return false;
    if (ahead_ == candidate) {  // found, but not proposed
        ahead_.reset();
    } else if (!is_new(candidate) || !is_usable(candidate)) {
        return false;
    }
    proposed_.insert(to_string(candidate));
    starts_.push_back(candidate);
    return true;
}

void Search::learn(const Candidate& candidate, double us) {
    proposed_.insert(to_string(candidate));
    if (us <= 0) return;
    std::erase_if(measured_, [&](const Measured& entry) { return entry.candidate == candidate; });
    const auto place = std::find_if(measured_.begin(), measured_.end(),
                                    [&](const Measured& entry) { return us < entry.us; });
    measured_.insert(place, {us, is_legal(candidate) ? cost_of(candidate) : 0, candidate});
}

bool Search::follows_model() const {
    std::vector<double> times, costs;
    for (const Measured& entry : measured_) {
        if (entry.cost <= 0) continue;
        times.push_back(entry.us);
        costs.push_back(entry.cost);
    }
    return times.size() < kLeastMeasured || rank_correlation(times, costs) > 0;
}

int Search::random_value(const TilingField& field) {
    const size_t range =
        field.high >= field.low ? static_cast<size_t>(field.high - field.low + 1) : 0;
    const size_t index = random_() % std::max<size_t>(1, field.values.size() + range);
    if (index < field.values.size()) return field.values[index];
    return field.low + static_cast<int>(index - field.values.size());
}

std::optional<Candidate> Search::random_candidate() {
    if (recipes_.empty()) return std::nullopt;
    const Recipe& recipe = *recipes_[random_() % recipes_.size()];
    Candidate candidate{std::string(recipe.name()), recipe.version(), {}};
    const TilingSpace space = recipe.space(kernel_.group, isa_);
    for (const TilingField& field : space)
        candidate.tiling.values.emplace_back(field.name, random_value(field));
    candidate.tiling = in_short(space, candidate.tiling);
    return candidate;
}

std::optional<Candidate> Search::changed_candidate() {
    if (measured_.empty()) return std::nullopt;
    Candidate candidate = measured_[random_() % std::min(kParents, measured_.size())].candidate;
    const Recipe* recipe = find(candidate.recipe);
    const TilingSpace space = recipe->space(kernel_.group, isa_);
    if (space.empty()) return std::nullopt;
    Tiling full = in_full(space, candidate.tiling);
    const size_t changes = 1 + random_() % 2;
    for (size_t i = 0; i < changes; i++) {
        const size_t field = random_() % space.size();
        full.values[field].second = random_value(space[field]);
    }
    candidate.tiling = in_short(space, full);
    return candidate;
}

std::optional<Candidate> Search::best_change() {
    const size_t most = ++changes_ % kAsDrawn == 0 || !follows_model() ? 1 : kRanked;
    std::optional<Candidate> best;
    double least = 0;
    size_t drawn = 0;
    for (int attempt = 0; attempt < kChangeAttempts && drawn < most; attempt++) {
        std::optional<Candidate> candidate = changed_candidate();
        if (!candidate || !is_new(*candidate) || !is_legal(*candidate)) continue;
        const double cost = cost_of(*candidate);
        if (drawn++ > 0 && cost >= least) continue;
        least = cost;
        best = std::move(candidate);
    }
    return best;
}

bool Search::has_next() {
    if (starts_.empty() && !ahead_) ahead_ = find_next();
    return !starts_.empty() || ahead_;
}

std::optional<Candidate> Search::next() {
    if (!has_next()) return std::nullopt;
    if (starts_.empty()) return std::exchange(ahead_, std::nullopt);
    Candidate start = std::move(starts_.front());
    starts_.pop_front();
    return start;
}

std::optional<Candidate> Search::find_next() {
    while (!ranked_.empty()) {
        check_interrupts();
        Candidate candidate = std::move(ranked_.back());
        ranked_.pop_back();
        if (!is_new(candidate) || !is_usable(candidate)) continue;
        proposed_.insert(to_string(candidate));
        return candidate;
    }
    for (int attempt = 0; attempt < kAttempts; attempt++) {
        check_interrupts();
        std::optional<Candidate> candidate =
            changes_next_ && !draws_alone_ ? best_change() : random_candidate();
        changes_next_ = !changes_next_;
        if (!candidate || !is_new(*candidate) || !is_usable(*candidate)) continue;
        proposed_.insert(to_string(*candidate));
        return candidate;
    }
    return std::nullopt;
}

}  // namespace emulsion
