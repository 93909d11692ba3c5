// Levenshtein's distance, one row of the table at a time.
#include "compiler/support/closest.h"

#include <algorithm>
#include <numeric>

namespace emulsion {

namespace {

size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string closest(std::string_view word, const std::vector<std::string_view>& words) {
    std::string_view found;
    size_t least = word.size() / 2 + 1;
    for (std::string_view candidate : words) {
        const size_t edits = distance(word, candidate);
        if (edits >= least) continue;
        least = edits;
        found = candidate;
    }
    return std::string(found);
}

}  // namespace emulsion
