// Text of tilings.
#include "compiler/recipe/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "compiler/graph/text.h"
#include "compiler/ops/conv2d.h"

namespace emulsion {

namespace {

const int* find_value(const Tiling& tiling, std::string_view name) {
    for (const auto& [key, value] : tiling.values) {
        if (key == name) return &value;
    }
    return nullptr;
}

}  // namespace

std::string to_string(const Machine& machine) {
    return fmt::format("{} KiB of second cache, {} GFLOP/s a core, {} GB/s from memory",
                       machine.l2_bytes >> 10, machine.fma_gflops, machine.bandwidth_gbs);
}

Tiling Recipe::default_tiling(const Group& group, const Isa& isa, const Machine&) const {
    const std::vector<Tiling> ranking = tilings(group, isa);
    EMU_CHECK(!ranking.empty(), "recipe {} has no tiling for {}", name(), group.signature());
    return ranking[0];
}

int Tiling::at(std::string_view name) const {
    const int* value = find_value(*this, name);
    EMU_CHECK(value != nullptr, "the tiling '{}' has no '{}'", to_string(*this), name);
    return *value;
}

int Tiling::at(std::string_view name, int otherwise) const {
    const int* value = find_value(*this, name);
    return value == nullptr ? otherwise : *value;
}

Tiling in_full(const TilingSpace& space, const Tiling& tiling) {
    Tiling full = tiling;
    for (size_t i = 0; i < space.size(); i++) {
        const TilingField& field = space[i];
        if (!field.otherwise || find_value(tiling, field.name) != nullptr) continue;
        const size_t place = std::min(i, full.values.size());
        full.values.emplace(full.values.begin() + static_cast<std::ptrdiff_t>(place), field.name,
                            *field.otherwise);
    }
    return full;
}

Tiling in_short(const TilingSpace& space, const Tiling& tiling) {
    Tiling named = tiling;
    for (const TilingField& field : space) {
        std::erase_if(named.values, [&](const auto& entry) {
            return entry.first == field.name && field.otherwise == entry.second;
        });
    }
    return named;
}

std::string to_string(const Tiling& tiling) {
    std::string text;
    for (const auto& [name, value] : tiling.values)
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
    return text;
}

namespace {

// Whether the anchor is a convolution of lines or volumes, which passes/two_axes.h leaves where a
// gradient op is written out. Recipes of convolutions know maps.
bool convolves_no_map(const Group& group) {
    if (group.anchor < 0) return false;
    const auto* conv = group.body.op_as<ConvAttributes>(group.anchor);
    return conv != nullptr && conv->stride.size() != 2;
}

}  // namespace

bool can_run(const Recipe& recipe, const Group& group, const Isa& isa, bool exact) {
    if (recipe.is_for_devices() != isa.is_device()) return false;
    if (exact && !recipe.is_exact()) return false;
    if (!recipe.sums_strips() && !group.strip_sums().empty()) return false;
    if (!recipe.stores_prologue() && !group.stored_prologues().empty()) return false;
    if (!recipe.takes_pitches() && !group.pitches.empty()) return false;
    if (!recipe.is_last_resort() && convolves_no_map(group)) return false;
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
    size_t next = 0;  // of the tiling's values
    for (const TilingField& field : space) {
        if (next == tiling.values.size() || tiling.values[next].first != field.name) {
            if (field.otherwise) continue;
            return fmt::format("'{}' is missing at place {}", field.name, next + 1);
        }
        const int value = tiling.values[next++].second;
        if (field.otherwise == value)
            return fmt::format("{}={} is what holds without it", field.name, value);
        if (field.contains(value)) continue;
        if (field.values.empty())
            return fmt::format("{}={}, but it is {} to {}", field.name, value, field.low,
                               field.high);
        return fmt::format("{}={}, but it is one of {}", field.name, value,
                           fmt::join(field.values, ", "));
    }
    if (next == tiling.values.size()) return recipe.clash(group, tiling, isa);
    const std::string& name = tiling.values[next].first;
    const bool is_known = std::any_of(space.begin(), space.end(),
                                      [&](const TilingField& field) { return field.name == name; });
    return is_known ? fmt::format("'{}' is not at its place", name)
                    : fmt::format("it has no '{}'", name);
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
