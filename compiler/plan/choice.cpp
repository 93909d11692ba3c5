// The recipe of a record, else the cheapest one by the cost model.
#include "compiler/plan/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "compiler/plan/in_place.h"
#include "compiler/recipe/records.h"

namespace emulsion {

namespace {

const Recipe* recipe_named(const RecipeLibrary& library, const std::string& name) {
    const auto found = std::find_if(library.begin(), library.end(),
                                    [&](const auto& recipe) { return recipe->name() == name; });
    return found == library.end() ? nullptr : found->get();
}

// The fields of a legal tiling that the order of sums follows from.
Tiling order_of(const Recipe& recipe, const Group& group, const Tiling& tiling, const Isa& isa) {
    Tiling order;
    for (const TilingField& field : recipe.space(group, isa)) {
        if (field.order) order.values.emplace_back(field.name, tiling.at(field.name));
    }
    return order;
}

// The best legal tiling with this order of sums, the ranking's first with its values put in where
// no ranked one has it.
std::optional<Tiling> tiling_in_order(const Recipe& recipe, const Group& group, const Tiling& order,
                                      const Isa& isa) {
    std::vector<Tiling> tilings = recipe.tilings(group, isa);
    Tiling adapted = tilings[0];
    for (const auto& [name, value] : order.values) {
        for (auto& [field, own] : adapted.values) {
            if (field == name) own = value;
        }
    }
    tilings.push_back(std::move(adapted));
    for (Tiling& tiling : tilings) {
        if (tiling_fault(recipe, group, tiling, isa).empty() &&
            order_of(recipe, group, tiling, isa) == order)
            return std::move(tiling);
    }
    return std::nullopt;
}

// The records of one group.
class GroupRecords {
  public:
    GroupRecords(const RecipeLibrary& library, const Group& group, const PlanOptions& options,
                 std::vector<std::string>& notes)
        : library_(library), group_(group), options_(options), notes_(notes) {}

    // What is in force on `isa`; no recipe where no record is.
    Choice choice(const Isa& isa) {
        for (const Isa* judge : isa.family->members) {
            const std::optional<Record> decisive = legal_record(*judge);
            if (!decisive) continue;
            const Recipe& recipe = *recipe_named(library_, decisive->recipe);
            if (*judge == isa) return {&recipe, decisive->tiling, 0, decisive->origin};
            const Tiling order = order_of(recipe, group_, decisive->tiling, *judge);
            const std::optional<Record> own = legal_record(isa);
            if (own && own->recipe == decisive->recipe &&
                order_of(recipe, group_, own->tiling, isa) == order)
                return {&recipe, own->tiling, 0, own->origin};
            if (own) {
                leave_out(*own, fmt::format("all instruction sets follow {}: {}{}{}",
                                            decisive->origin, decisive->recipe,
                                            order.values.empty() ? "" : " ", to_string(order)));
            }
            return {&recipe, *tiling_in_order(recipe, group_, order, isa), 0, decisive->origin};
        }
        return {};
    }

  private:
    std::optional<Record> legal_record(const Isa& isa) {
        std::optional<Record> record = options_.records->find(group_, isa, options_.threads);
        if (!record) return std::nullopt;
        const std::string fault = fault_of(*record, isa);
        if (fault.empty()) return record;
        leave_out(*record, fault);
        return std::nullopt;
    }

    // Why no kernel may be built as a record of `isa` says, "" where one may.
    std::string fault_of(const Record& record, const Isa& isa) const {
        const Recipe* recipe = recipe_named(library_, record.recipe);
        if (recipe == nullptr) return fmt::format("there is no recipe '{}'", record.recipe);
        if (recipe->version() != record.version) {
            return fmt::format("it was made for version {} of {}, which is at {}", record.version,
                               record.recipe, recipe->version());
        }
        for (const Isa* other : isa.family->members) {
            if (!can_run(*recipe, group_, *other, options_.exact))
                return fmt::format("{} may not run this group on {}", record.recipe, other->name);
        }
        // Results of a pass may be its operands: what an update makes of a tensor. So may what is
        // written over a slice.
        const bool may_be_over_operand =
            group_.anchor < 0 || may_hold_update(group_) || may_lie_over_part(group_);
        if (may_be_over_operand && !recipe->writes_in_place())
            return fmt::format("{} does not write over its operands", record.recipe);
        if (const std::string fault = tiling_fault(*recipe, group_, record.tiling, isa);
            !fault.empty())
            return fmt::format("the tiling '{}' of {}: {}", to_string(record.tiling), record.recipe,
                               fault);
        const Tiling order = order_of(*recipe, group_, record.tiling, isa);
        for (const Isa* other : isa.family->members) {
            if (*other != isa && !tiling_in_order(*recipe, group_, order, *other)) {
                return fmt::format("{} has no tiling with {} on {}", record.recipe,
                                   to_string(order), other->name);
            }
        }
        return "";
    }

    void leave_out(const Record& record, const std::string& reason) {
        notes_.push_back(fmt::format("the record {} is left out: {}", record.origin, reason));
    }

    const RecipeLibrary& library_;
    const Group& group_;
    const PlanOptions& options_;
    std::vector<std::string>& notes_;
};

}  // namespace

Choice cheapest_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                       const PlanOptions& options) {
    const Isa& judge = isa.family->judge();
    Choice best;
    for (const auto& recipe : library) {
        if (!can_run(*recipe, group, isa, options.exact)) continue;
        if (!recipe->applies(group, judge)) continue;
        const Machine& machine = options.machine;
        const double cost =
            recipe->cost(group, recipe->default_tiling(group, judge, machine), judge, machine);
        if (cost < best.cost)
            best = {recipe.get(), recipe->default_tiling(group, isa, machine), cost, ""};
    }
    return best;
}

Choice choose_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                     const PlanOptions& options, std::vector<std::string>& notes) {
    if (options.records != nullptr) {
        const Choice recorded = GroupRecords(library, group, options, notes).choice(isa);
        if (recorded.recipe != nullptr) return recorded;
    }
    return cheapest_recipe(library, group, isa, options);
}

}  // namespace emulsion
