// Text of tilings.
#include "compiler/recipe/recipe.h"

#include <fmt/format.h>

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
    if (exact && !recipe.is_exact()) return false;
    if (!recipe.sums_strips() && !group.strip_sums().empty()) return false;
    if (!recipe.stores_prologue() && !group.stored_prologues().empty()) return false;
    return recipe.applies(group, isa);
}

Tiling parse_tiling(std::string_view text) {
    Tiling tiling;
    TextReader reader(text, "tiling");
    while (!reader.at_end()) {
        std::string name = reader.word();
        reader.expect("=");
        tiling.values.emplace_back(std::move(name), static_cast<int>(reader.integer()));
    }
    return tiling;
}

}  // namespace emulsion
