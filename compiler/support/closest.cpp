// Levenshtein's distance, one row of the table at a time; synonyms are looked up before it.
#include "compiler/support/closest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include "compiler/support/synonyms.h"

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

// What stands behind the last dot or colon: "nn.Conv2d" is "Conv2d".
std::string_view last_part(std::string_view word) {
    const size_t end = word.find_last_of(".:");
    return end == std::string_view::npos ? word : word.substr(end + 1);
}

// The bare word, then the same without what names of other tools often end in.
std::vector<std::string> forms_of(std::string_view word) {
    std::vector<std::string> forms = {bare(last_part(word))};
    if (forms[0].starts_with("lazy")) forms[0].erase(0, 4);  // PyTorch's, which infers its channels
    for (std::string_view ending : {"layer", "1d", "2d", "3d"}) {
        const std::string& last = forms.back();
        if (last.size() > ending.size() + 1 && last.ends_with(ending))
            forms.push_back(last.substr(0, last.size() - ending.size()));
    }
    return forms;
}

// The first of the blank-separated words that is known.
std::string first_known(std::string_view words, const std::vector<std::string_view>& known) {
    for (std::string_view word : words_of(words)) {
        if (std::ranges::find(known, word) != known.end()) return std::string(word);
    }
    return "";
}

}  // namespace

std::string bare(std::string_view word) {
    std::string letters;
    for (char c : word) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0) letters += static_cast<char>(std::tolower(byte));
    }
    return letters;
}

std::string closest(std::string_view word, const std::vector<std::string_view>& words) {
    const std::string letters = bare(word);
    std::string_view found;
    size_t least = std::min((letters.size() + 1) / 3, letters.size() / 4 + 1) + 1;
    for (std::string_view candidate : words) {
        const size_t edits = distance(letters, bare(candidate));
        if (edits >= least) continue;
        least = edits;
        found = candidate;
    }
    return letters.empty() ? "" : std::string(found);
}

std::string Suggestion::to_string(std::string_view unknown, std::string_view what) const {
    if (word.empty()) return "";
    if (is_written) return fmt::format("'{}' is written here as {}", unknown, word);
    if (!is_meant)
        return fmt::format("the closest {}{}is '{}'", what, what.empty() ? "" : " ", word);
    return fmt::format("'{}' is called '{}' here{}{}", unknown, word, remark.empty() ? "" : ", ",
                       remark);
}

Suggestion suggest(std::string_view word, const std::vector<std::string_view>& known,
                   Vocabulary vocabulary) {
    for (const std::string& form : forms_of(word)) {
        for (const std::string_view name : known) {
            if (!form.empty() && bare(name) == form) return {std::string(name), /*is_meant=*/true};
        }
        for (const Synonyms& same : synonyms(vocabulary)) {
            const std::vector<std::string_view> names = words_of(same.names);
            const std::vector<std::string_view> others = words_of(same.others);
            const bool is_here =
                bare(names[0]) == form || std::ranges::find(others, form) != others.end();
            if (!is_here) continue;
            if (const std::string found = first_known(same.names, known); !found.empty())
                return {found, /*is_meant=*/true, /*is_written=*/false,
                        found == same.remarked ? std::string(same.remark) : ""};
        }
        for (const Composite& layer : composites(vocabulary)) {
            if (std::ranges::count(words_of(layer.others), form) == 0) continue;
            if (layer.written.empty()) return {};
            return {std::string(layer.written), /*is_meant=*/true, /*is_written=*/true};
        }
    }
    return {closest(word, known)};
}

}  // namespace emulsion
