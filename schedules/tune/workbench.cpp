// Words of candidates and outcomes.
#include "schedules/tune/workbench.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace emulsion {

namespace {

constexpr std::array<std::pair<Outcome, std::string_view>, 7> kWords = {{
    {Outcome::faster, "faster"},
    {Outcome::slower, "slower"},
    {Outcome::refused, "refused"},
    {Outcome::wrong, "wrong"},
    {Outcome::crashed, "crashed"},
    {Outcome::hung, "hung"},
    {Outcome::memory, "memory"},
}};

}  // namespace

std::string to_string(const Candidate& candidate) {
    const std::string tiling = to_string(candidate.tiling);
    return candidate.recipe + (tiling.empty() ? "" : " ") + tiling;
}

std::string to_string(Outcome outcome) {
    for (const auto& [known, word] : kWords) {
        if (known == outcome) return std::string(word);
    }
    return "";
}

std::optional<Outcome> parse_outcome(std::string_view text) {
    for (const auto& [outcome, word] : kWords) {
        if (word == text) return outcome;
    }
    return std::nullopt;
}

}  // namespace emulsion
