// See model_check.h.
#include "schedules/tune/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

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

std::shared_ptr<const Group> group_of(const std::string& signature) try {
    return std::make_shared<const Group>(parse_signature(signature));
} catch (const Error&) {  // of another version
    return nullptr;
}

// The candidate's recipe, where this build knows it and may run the group so.
const Recipe* recipe_of(const Candidate& candidate, const Group& group, const Isa& isa,
                        const RecipeLibrary& library) {
    for (const auto& recipe : library) {
        if (recipe->name() != candidate.recipe || recipe->version() != candidate.version) continue;
        const bool runs = can_run(*recipe, group, isa, /*exact=*/false) &&
                          tiling_fault(*recipe, group, candidate.tiling, isa).empty();
        return runs ? recipe.get() : nullptr;
    }
    return nullptr;
}

}  // namespace

std::vector<MeasuredCost> read_costs(const std::vector<std::string>& journals,
                                     const RecipeLibrary& library, const MachineClass* machine) {
    using Key = std::tuple<std::string, std::string, std::string, std::string, int>;
    std::map<Key, std::pair<size_t, std::shared_ptr<const Group>>> kernels;
    std::vector<MeasuredCost> list;
    for (const std::string& journal : journals) {
        for (const Measured& measured : read_measured(journal)) {
            const JournalKernel& kernel = measured.kernel;
            if (machine != nullptr && kernel.machine != to_string(*machine)) continue;
            const Key key(kernel.build, kernel.signature, kernel.machine, kernel.isa,
                          kernel.threads);
            auto known = kernels.find(key);
            if (known == kernels.end()) {
                const size_t number = kernels.size();
                known = kernels.emplace(key, std::pair(number, group_of(kernel.signature))).first;
            }
            const auto& [number, group] = known->second;
            if (group == nullptr) continue;
            const Isa& isa = isa_named(kernel.isa);
            const Recipe* recipe = recipe_of(measured.candidate, *group, isa, library);
            if (recipe == nullptr) continue;
            MeasuredCost cost{number, recipe, group,       measured.candidate.tiling,
                              &isa,   {},     measured.us, measured.is_contended};
            cost.machine.threads = kernel.threads;
            list.push_back(std::move(cost));
        }
    }
    return list;
}

std::vector<double> own_costs(const std::vector<MeasuredCost>& measured) {
    std::vector<double> costs;
    for (const MeasuredCost& m : measured)
        costs.push_back(m.recipe->cost(*m.group, m.tiling, *m.isa, m.machine));
    return costs;
}

std::vector<ModelRow> check_model(const std::vector<MeasuredCost>& measured,
                                  const std::vector<double>& model) {
    std::map<size_t, CostsByRecipe> kernels;
    for (size_t i = 0; i < measured.size(); i++) {
        for (const std::string& row : {std::string(measured[i].recipe->name()), std::string()}) {
            Costs& costs = kernels[measured[i].kernel][row];
            costs.modelled.push_back(model[i]);
            costs.measured.push_back(measured[i].us);
            costs.contended += measured[i].is_contended ? 1 : 0;
        }
    }
    std::map<std::string, ModelRow> rows;
    for (const auto& [number, costs] : kernels) add_kernel(costs, rows);
    std::vector<ModelRow> list;
    for (const auto& [recipe, row] : rows) list.push_back(row);
    if (!list.empty()) std::rotate(list.begin(), list.begin() + 1, list.end());  // all is the last
    return list;
}

}  // namespace emulsion
