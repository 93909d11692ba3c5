// A number and one row of a table of units.
#include "dsl/bytes.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {
    {"", 1},     {"B", 1},         {"kB", 1e3},      {"MB", 1e6},
    {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
constexpr double kMost = 1e18;  // which any int64_t holds

}  // namespace

int64_t parse_bytes(const std::string& option, const std::string& text) {
    const char* const end = text.data() + text.size();
    double number = 0;
    const auto [rest, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    for (const auto& [unit, factor] : kUnits) {
        if (code != std::errc() || std::string_view(rest, end) != unit) continue;
        if (number * factor >= 1 && number * factor <= kMost)
            return static_cast<int64_t>(number * factor);
    }
    fail("usage", fmt::format("{} is '{}', but must be an amount of memory", option, text),
         fmt::format("write {0}=512MiB or {0}=1.5GB; units are B, kB, MB, GB, KiB, MiB and GiB",
                     option));
}

}  // namespace emulsion
