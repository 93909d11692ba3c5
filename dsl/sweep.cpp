// See sweep.h.
#include "dsl/sweep.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>
#include <set>
#include <string_view>

#include "compiler/support/diagnostic.h"
#include "runtime/data/random.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int64_t kMostValues = 10000;  // of an axis
const std::vector<std::string> kTitles = {
    "multiply_adds",   "parameters",          "state",  "loss", "accuracy",
    "validation_loss", "validation_accuracy", "seconds"};

std::optional<int64_t> parse_whole(std::string_view text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::string> split(std::string_view text, char mark) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(mark, begin), text.size());
        parts.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

[[noreturn]] void refuse_axis(const std::string& text) {
    fail("usage", fmt::format("--set {} is no setting with values", quoted(text)),
         "write --set width=16,32 or --set depth=2..4 or --set width=16..64:16");
}

// "2..4" or "16..64:16".
std::vector<std::string> parse_range(const std::string& text, std::string_view range) {
    const size_t dots = range.find("..");
    const size_t colon = std::min(range.find(':'), range.size());
    const auto from = parse_whole(range.substr(0, dots));
    const auto to = parse_whole(range.substr(dots + 2, colon - dots - 2));
    const auto step =
        colon < range.size() ? parse_whole(range.substr(colon + 1)) : std::optional<int64_t>(1);
    constexpr int64_t kFar = int64_t{1} << 40;
    if (!from || !to || !step || *step < 1 || *to < *from || *from < -kFar || *to > kFar ||
        (*to - *from) / *step >= kMostValues)
        refuse_axis(text);
    std::vector<std::string> values;
    for (int64_t value = *from; value <= *to; value += *step)
        values.push_back(std::to_string(value));
    return values;
}

}  // namespace

SweepAxis parse_axis(const std::string& text) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == text.size()) refuse_axis(text);
    const std::string values = text.substr(sign + 1);
    SweepAxis axis{text.substr(0, sign), {}};
    axis.values =
        values.find("..") == std::string::npos ? split(values, ',') : parse_range(text, values);
    const std::set<std::string> different(axis.values.begin(), axis.values.end());
    if (different.size() != axis.values.size() || different.contains("")) refuse_axis(text);
    return axis;
}

int64_t parse_amount(const std::string& option, const std::string& text) {
    int64_t factor = 1;
    std::string_view digits = text;
    for (const auto& [letter, value] :
         {std::pair('k', int64_t{1000}), {'M', 1000000}, {'G', 1000000000}}) {
        if (!digits.ends_with(letter)) continue;
        digits.remove_suffix(1);
        factor = value;
        break;
    }
    const auto number = parse_whole(digits);
    if (number && *number >= 1 && *number <= INT64_MAX / factor) return *number * factor;
    fail("usage", fmt::format("{} is {}, but must be a whole number above 0", option, quoted(text)),
         fmt::format("write {} 50M, with k, M or G for thousands, millions or milliards", option));
}

std::vector<SweepCandidate> make_candidates(const std::vector<SweepAxis>& axes,
                                            std::optional<int> random, uint64_t seed) {
    uint64_t count = 1;
    std::set<std::string> names;
    for (const SweepAxis& axis : axes) {
        if (!names.insert(axis.name).second)
            fail("usage", fmt::format("--set names {} twice", quoted(axis.name)),
                 "give all its values at once, parted by commas");
        count *= axis.values.size();
        if (count > kMostSweepCandidates)
            fail("usage",
                 fmt::format("the values of --set have more than {} combinations",
                             kMostSweepCandidates),
                 "give fewer values");
    }
    std::vector<uint32_t> places(count);
    std::iota(places.begin(), places.end(), 0u);
    if (random) {
        shuffle(places, seed, Stream::split, 0);
        places.resize(std::min<uint64_t>(count, static_cast<uint64_t>(*random)));
    }
    std::vector<SweepCandidate> candidates;
    for (uint32_t place : places) {
        SweepCandidate candidate(axes.size());
        for (size_t i = axes.size(); i-- > 0;) {
            candidate[i] = axes[i].values[place % axes[i].values.size()];
            place /= static_cast<uint32_t>(axes[i].values.size());
        }
        candidates.push_back(std::move(candidate));
    }
    return candidates;
}

namespace {

std::vector<std::string> titles_of(const std::vector<std::string>& names) {
    std::vector<std::string> titles = names;
    titles.insert(titles.end(), kTitles.begin(), kTitles.end());
    return titles;
}

std::vector<std::string> cells_of(const SweepRow& row) {
    std::vector<std::string> cells = row.values;
    cells.insert(cells.end(), {std::to_string(row.multiply_adds), std::to_string(row.parameters),
                               row.state, row.loss, row.accuracy, row.validation_loss,
                               row.validation_accuracy, row.seconds});
    return cells;
}

}  // namespace

std::string sweep_csv(const std::vector<std::string>& names, const std::vector<SweepRow>& rows) {
    std::string text = fmt::format("{}\n", fmt::join(titles_of(names), ","));
    for (const SweepRow& row : rows) text += fmt::format("{}\n", fmt::join(cells_of(row), ","));
    return text;
}

std::vector<SweepRow> parse_sweep_csv(const std::vector<std::string>& names,
                                      const std::string& text, const std::string& file) {
    std::vector<SweepRow> rows;
    const std::vector<std::string> titles = titles_of(names);
    bool is_first = true;
    for (const std::string& line : split(text, '\n')) {
        if (line.empty()) continue;
        const std::vector<std::string> cells = split(line, ',');
        const size_t count = names.size();
        std::optional<int64_t> operations, parameters;
        if (!is_first && cells.size() == titles.size()) {
            operations = parse_whole(cells[count]);
            parameters = parse_whole(cells[count + 1]);
        }
        const bool fits = is_first ? cells == titles : operations && parameters;
        if (!fits) {
            fail("sweep",
                 fmt::format("'{}' is no table of a sweep over {}: it holds the line {}", file,
                             fmt::join(names, ", "), quoted(line)),
                 "choose another folder with -o, or remove the table");
        }
        if (!is_first) {
            SweepRow row;
            row.values.assign(cells.begin(), cells.begin() + static_cast<ptrdiff_t>(count));
            row.multiply_adds = *operations;
            row.parameters = *parameters;
            row.state = cells[count + 2];
            row.loss = cells[count + 3];
            row.accuracy = cells[count + 4];
            row.validation_loss = cells[count + 5];
            row.validation_accuracy = cells[count + 6];
            row.seconds = cells[count + 7];
            rows.push_back(std::move(row));
        }
        is_first = false;
    }
    return rows;
}

std::vector<SweepRow> rank_rows(std::vector<SweepRow> rows) {
    const struct {
        std::string SweepRow::* field;
        bool is_falling;  // less is better
    } keys[] = {{&SweepRow::validation_accuracy, false},
                {&SweepRow::validation_loss, true},
                {&SweepRow::accuracy, false},
                {&SweepRow::loss, true}};
    std::stable_partition(rows.begin(), rows.end(),
                          [](const SweepRow& row) { return row.is_done(); });
    const auto end =
        std::find_if(rows.begin(), rows.end(), [](const SweepRow& row) { return !row.is_done(); });
    for (const auto& [field, is_falling] : keys) {
        const auto value = [&, key = field](const SweepRow& row) { return parse_double(row.*key); };
        if (!std::all_of(rows.begin(), end, [&](const SweepRow& row) { return value(row); }))
            continue;
        std::stable_sort(rows.begin(), end,
                         [&, falls = is_falling](const SweepRow& a, const SweepRow& b) {
                             return falls ? *value(a) < *value(b) : *value(a) > *value(b);
                         });
        break;
    }
    return rows;
}

std::string sweep_text(const std::vector<std::string>& names, const std::vector<SweepRow>& rows) {
    std::vector<std::vector<std::string>> lines = {titles_of(names)};
    for (const SweepRow& row : rows) lines.push_back(cells_of(row));
    std::vector<size_t> widths(lines[0].size(), 0);
    for (const auto& line : lines) {
        for (size_t i = 0; i < line.size(); i++) widths[i] = std::max(widths[i], line[i].size());
    }
    std::string text;
    for (const auto& line : lines) {
        std::string row;
        for (size_t i = 0; i < line.size(); i++) row += fmt::format("{:<{}}  ", line[i], widths[i]);
        text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

std::vector<std::pair<std::string, std::string>> last_of_log(const std::string& text) {
    std::vector<std::string> lines;
    for (std::string& line : split(text, '\n')) {
        if (!line.empty()) lines.push_back(std::move(line));
    }
    std::vector<std::pair<std::string, std::string>> fields;
    if (lines.size() < 2) return fields;
    const std::vector<std::string> titles = split(lines[0], ','), cells = split(lines.back(), ',');
    for (size_t i = 0; i < std::min(titles.size(), cells.size()); i++)
        fields.emplace_back(titles[i], cells[i]);
    return fields;
}

}  // namespace emulsion
