// See similar_records.h.
#include "schedules/tune/similar_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "schedules/tune/signature.h"

namespace emulsion {

namespace {

// How far two sizes are apart: the logarithm of their ratio, where they have one.
double distance(double a, double b) {
    return a > 0 && b > 0 ? std::abs(std::log(a / b)) : std::abs(a - b);
}

std::vector<int> values_of(const TilingField& field) {
    std::vector<int> values = field.values;
    for (int64_t value = field.low; value <= field.high; value++)
        values.push_back(static_cast<int>(value));
    return values;
}

int nearest_value(const TilingField& field, int wanted) {
    if (field.contains(wanted)) return wanted;
    const std::vector<int> values = values_of(field);
    return *std::min_element(values.begin(), values.end(), [&](int a, int b) {
        return distance(a, wanted) < distance(b, wanted);
    });
}

bool has_same_layer(const Group& a, const Group& b) {
    if (a.batch != b.batch || !(*a.anchor_node().op == *b.anchor_node().op)) return false;
    const size_t count = a.anchor_node().inputs.size();
    if (b.anchor_node().inputs.size() != count) return false;
    for (int i = 0; i < static_cast<int>(count); i++) {
        if (!(a.anchor_input(i) == b.anchor_input(i))) return false;
    }
    return true;
}

// How far the shapes of two anchors of one kind are apart; infinite where they cannot be compared.
double shape_distance(const Group& a, const Group& b) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    const size_t count = a.anchor_node().inputs.size();
    if (b.anchor_node().inputs.size() != count) return kNever;
    double sum = distance(a.batch, b.batch);
    const auto add = [&](const TensorType& one, const TensorType& other) {
        if (one.shape.size() != other.shape.size() || one.batched != other.batched) sum = kNever;
        for (size_t i = 0; i < std::min(one.shape.size(), other.shape.size()); i++)
            sum += distance(static_cast<double>(one.shape[i]), static_cast<double>(other.shape[i]));
    };
    for (int i = 0; i < static_cast<int>(count); i++) add(a.anchor_input(i), b.anchor_input(i));
    add(a.anchor_output(), b.anchor_output());
    return sum;
}

const Recipe* find_recipe(const RecipeLibrary& library, const std::string& name) {
    for (const auto& recipe : library) {
        if (recipe->name() == name) return recipe.get();
    }
    return nullptr;
}

}  // namespace

std::optional<Tiling> nearest_legal(const Recipe& recipe, const Group& group, const Isa& isa,
                                    const Tiling& tiling) {
    const TilingSpace space = recipe.space(group, isa);
    Tiling fitted = in_full(space, recipe.tilings(group, isa).at(0));
    if (fitted.values.size() != space.size()) return std::nullopt;
    const Tiling wanted_in_full = in_full(space, tiling);
    for (size_t i = 0; i < space.size(); i++) {
        auto& [name, value] = fitted.values[i];
        for (const auto& [other, wanted] : wanted_in_full.values) {
            if (other == name) value = nearest_value(space[i], wanted);
        }
    }
    const Tiling own = in_short(space, fitted);
    if (tiling_fault(recipe, group, own, isa).empty()) return own;
    std::optional<Tiling> best;
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < space.size(); i++) {
        for (const int value : values_of(space[i])) {
            const double moved = distance(value, fitted.values[i].second);
            if (moved >= least) continue;
            Tiling other = fitted;
            other.values[i].second = value;
            other = in_short(space, other);
            if (!tiling_fault(recipe, group, other, isa).empty()) continue;
            best = other;
            least = moved;
        }
    }
    return best;
}

SimilarRecords::SimilarRecords(const RecordSet& set) {
    for (TunedRecord& record : set.records()) {
        if (record.is_choice()) continue;
        try {
            Group group = parse_signature(record.signature);
            entries_.push_back({std::move(record), std::move(group)});
        } catch (const Error&) {  // of another version
        }
    }
}

std::vector<SimilarRecords::Relative> SimilarRecords::relatives(const Group& group, const Isa& isa,
                                                                int threads,
                                                                const MachineClass& machine) const {
    const std::string signature = group.signature();
    std::vector<Relative> list;
    for (const auto& [record, other] : entries_) {
        Relative relative;
        relative.record = &record;
        relative.is_foreign = record.machine != machine || record.isa != isa.name;
        if (record.signature != signature) {
            if (group.anchor < 0 || other.anchor < 0 ||
                group.anchor_node().op->kind() != other.anchor_node().op->kind())
                continue;
            relative.kinship = has_same_layer(group, other) ? Kinship::layer : Kinship::op;
            if (relative.kinship == Kinship::op) relative.distance = shape_distance(group, other);
            if (!std::isfinite(relative.distance)) continue;
        }
        list.push_back(relative);
    }
    const auto order = [&](const Relative& r) {
        return std::tuple(r.kinship, r.distance, r.is_foreign, distance(r.record->threads, threads),
                          -r.record->gain());
    };
    std::stable_sort(list.begin(), list.end(),
                     [&](const Relative& a, const Relative& b) { return order(a) < order(b); });
    return list;
}

void SimilarRecords::rank(std::vector<Relative>& list, const Group& group, const Isa& isa,
                          const RecipeLibrary& library, const CostModel& model) {
    if (model.size() == 0) return;
    for (Relative& relative : list) {
        const Recipe* recipe = find_recipe(library, relative.record->recipe);
        if (!relative.is_foreign || recipe == nullptr || !can_run(*recipe, group, isa, false))
            continue;
        if (const auto tiling = nearest_legal(*recipe, group, isa, relative.record->tiling))
            relative.cost = model.cost(*recipe, group, *tiling, isa, Machine());
    }
    const auto order = [](const Relative& r) {
        return std::tuple(r.kinship, r.distance, r.is_foreign, r.cost);
    };
    std::stable_sort(list.begin(), list.end(),
                     [&](const Relative& a, const Relative& b) { return order(a) < order(b); });
}

std::vector<Start> SimilarRecords::find(const PlannedKernel& kernel, const Isa& isa, int threads,
                                        const MachineClass& machine, const RecipeLibrary& library,
                                        size_t most, const CostModel& model) const {
    const Group& group = kernel.group;
    std::vector<Start> starts;
    size_t similar = 0;
    std::vector<Relative> ranked = relatives(group, isa, threads, machine);
    rank(ranked, group, isa, library, model);
    for (const Relative& relative : ranked) {
        if (relative.kinship != Kinship::kernel && similar == most) break;
        const TunedRecord& record = *relative.record;
        const Recipe* recipe = find_recipe(library, record.recipe);
        if (recipe == nullptr || !can_run(*recipe, group, isa, /*exact=*/false)) continue;
        const std::optional<Tiling> tiling = nearest_legal(*recipe, group, isa, record.tiling);
        if (!tiling) continue;
        const Candidate candidate{record.recipe, recipe->version(), *tiling};
        if (std::any_of(starts.begin(), starts.end(),
                        [&](const Start& start) { return start.candidate == candidate; }))
            continue;
        std::string why = relative.kinship == Kinship::kernel  ? "this kernel"
                          : relative.kinship == Kinship::layer ? "this layer, fused otherwise"
                                                               : "another shape";
        if (record.threads != threads) why += fmt::format(", {} threads", record.threads);
        if (record.isa != isa.name) why += ", " + record.isa;
        if (record.machine != machine) why += ", another machine";
        if (*tiling != record.tiling) why += ", moved from " + to_string(record.tiling);
        starts.push_back({candidate, record.origin, why});
        if (relative.kinship != Kinship::kernel) similar++;
    }
    return starts;
}

}  // namespace emulsion
