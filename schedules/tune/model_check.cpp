// See model_check.h.
#include "schedules/tune/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "schedules/tune/journal.h"
#include "schedules/tune/signature.h"
#include "schedules/tune/statistics.h"

namespace emulsion {

namespace {

constexpr size_t kLeastCandidates = 3;  // of which an order says something

struct Costs {
    std::vector<double> modelled, measured;
    int contended = 0;
};

using CostsByRecipe = std::map<std::string, Costs>;

// Adds the candidate to its recipe's and to all, where this build knows it.
void weigh(const Measured& measured, const Group& group, const RecipeLibrary& library,
           CostsByRecipe& costs) {
    const Isa& isa = isa_named(measured.kernel.isa);
    Machine machine;
    machine.threads = measured.kernel.threads;
    for (const auto& recipe : library) {
        const Candidate& candidate = measured.candidate;
        if (recipe->name() != candidate.recipe || recipe->version() != candidate.version) continue;
        if (!can_run(*recipe, group, isa, /*exact=*/false) ||
            !tiling_fault(*recipe, group, candidate.tiling, isa).empty())
            return;
        const double cost = recipe->cost(group, candidate.tiling, isa, machine);
        for (const std::string& row : {candidate.recipe, std::string()}) {
            costs[row].modelled.push_back(cost);
            costs[row].measured.push_back(measured.us);
            costs[row].contended += measured.is_contended ? 1 : 0;
        }
    }
}

void add_kernel(const CostsByRecipe& costs, std::map<std::string, ModelRow>& rows) {
    for (const auto& [recipe, own] : costs) {
        if (own.measured.size() < kLeastCandidates) continue;
        ModelRow& row = rows[recipe];
        const double correlation = rank_correlation(own.modelled, own.measured);
        const auto count = static_cast<int>(own.measured.size());
        row.recipe = recipe;
        row.least = row.kernels == 0 ? correlation : std::min(row.least, correlation);
        row.correlation =
            (row.correlation * row.candidates + correlation * count) / (row.candidates + count);
        row.kernels++;
        row.candidates += count;
        row.contended += own.contended;
    }
}

}  // namespace

std::vector<ModelRow> check_model(const std::string& journal, const RecipeLibrary& library) {
    std::map<int64_t, CostsByRecipe> kernels;
    std::map<int64_t, std::optional<Group>> groups;
    for (const Measured& measured : read_measured(journal)) {
        if (!groups.contains(measured.number)) {
            std::optional<Group>& group = groups[measured.number];
            try {
                group = parse_signature(measured.kernel.signature);
            } catch (const Error&) {  // of another version
            }
        }
        const std::optional<Group>& group = groups.at(measured.number);
        if (group) weigh(measured, *group, library, kernels[measured.number]);
    }
    std::map<std::string, ModelRow> rows;
    for (const auto& [number, costs] : kernels) add_kernel(costs, rows);
    std::vector<ModelRow> list;
    for (const auto& [recipe, row] : rows) list.push_back(row);
    if (!list.empty()) std::rotate(list.begin(), list.begin() + 1, list.end());  // all is the last
    return list;
}

}  // namespace emulsion
