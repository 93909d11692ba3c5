// Text of tilings.
#include "compiler/recipe/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "compiler/graph/text.h"

namespace emulsion {

int Tiling::at(std::string_view name) const {
    for (const auto& [key, value] : values) {
        if (key == name) return value;
    }
    EMU_CHECK(false, "the tiling '{}' has no '{}'", to_string(*this), name);
}

std::string to_string(const Tiling& tiling) {
    std::string text;
    for (const auto& [name, value] : tiling.values)
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
    return text;
}

bool can_run(const Recipe& recipe, const Group& group, const Isa& isa, bool exact) {
    if (recipe.is_for_devices() != isa.is_device()) return false;
    if (exact && !recipe.is_exact()) return false;
    if (!recipe.sums_strips() && !group.strip_sums().empty()) return false;
    if (!recipe.stores_prologue() && !group.stored_prologues().empty()) return false;
    if (!recipe.takes_pitches() && !group.pitches.empty()) return false;
    return recipe.applies(group, isa);
}

int64_t Scratch::elements() const {
    return std::accumulate(extents.begin(), extents.end(), int64_t{1}, std::multiplies<>());
}

bool TilingField::contains(int value) const {
    return (value >= low && value <= high) ||
           std::find(values.begin(), values.end(), value) != values.end();
}

std::string tiling_fault(const Recipe& recipe, const Group& group, const Tiling& tiling,
                         const Isa& isa) {
    const TilingSpace space = recipe.space(group, isa);
    for (size_t i = 0; i < std::max(space.size(), tiling.values.size()); i++) {
        if (i >= space.size()) return fmt::format("it has no '{}'", tiling.values[i].first);
        const TilingField& field = space[i];
        if (i >= tiling.values.size() || tiling.values[i].first != field.name)
            return fmt::format("'{}' is missing at place {}", field.name, i + 1);
        const int value = tiling.values[i].second;
        if (field.contains(value)) continue;
        if (field.values.empty())
            return fmt::format("{}={}, but it is {} to {}", field.name, value, field.low,
                               field.high);
        return fmt::format("{}={}, but it is one of {}", field.name, value,
                           fmt::join(field.values, ", "));
    }
    return recipe.clash(group, tiling, isa);
}

Tiling parse_tiling(std::string_view text) {
    Tiling tiling;
    TextReader reader(text, "tiling");
    while (!reader.at_end()) {
        std::string name = reader.word();
        reader.expect("=");
        const int64_t value = reader.integer();
        if (!std::in_range<int>(value)) {
            reader.fail("syntax", fmt::format("{} is {}, which has no 32 bits", name, value),
                        "choose a smaller number");
        }
        tiling.values.emplace_back(std::move(name), static_cast<int>(value));
    }
    return tiling;
}

}  // namespace emulsion
