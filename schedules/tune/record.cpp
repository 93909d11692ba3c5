// A line is words NAME=VALUE in a fixed order, so that two files differ where their records do.
#include "schedules/tune/record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "compiler/recipe/choices.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kFirstLine = "emulsion records 1";
constexpr std::string_view kForm =
    "write it as machine=… isa=… threads=… recipe=NAME@VERSION tiling=\"…\" default_us=… "
    "tuned_us=… spread=… group=…";
constexpr std::string_view kChoiceForm =
    "write it as machine=… isa=… threads=… choice=… default_us=… tuned_us=… spread=… node=…";

[[noreturn]] void refuse(std::string problem) {
    fail("record", std::move(problem), std::string(kForm));
}

// Takes the fields off a line from the left.
class LineReader {
  public:
    explicit LineReader(std::string_view line) : rest_(line) {}

    std::string_view word(std::string_view name) {
        expect(name);
        const size_t end = std::min(rest_.find(' '), rest_.size());
        const std::string_view value = rest_.substr(0, end);
        if (value.empty()) refuse(fmt::format("'{}' has no value", name));
        skip(end);
        return value;
    }
    std::string_view quoted(std::string_view name) {
        expect(name);
        const size_t end =
            rest_.empty() || rest_[0] != '"' ? std::string_view::npos : rest_.find('"', 1);
        if (end == std::string_view::npos) refuse(fmt::format("'{}' has no value in quotes", name));
        const std::string_view value = rest_.substr(1, end - 1);
        skip(end + 1);
        return value;
    }
    int count(std::string_view name) { return number_in(name, word(name)); }
    static int number_in(std::string_view name, std::string_view text) {
        int value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || value < 1)
            refuse(fmt::format("'{}' is {}, but must be a whole number from 1 on", name, text));
        return value;
    }
    double number(std::string_view name, bool may_be_zero) {
        const std::string_view text = word(name);
        const std::optional<double> value = parse_double(text);
        const double least = may_be_zero ? 0 : 1e-9;
        if (!value || !std::isfinite(*value) || *value < least)
            refuse(fmt::format("'{}' is {}, but must be a number {}", name, text,
                               may_be_zero ? "from 0 on" : "above 0"));
        return *value;
    }
    bool begins_with(std::string_view name) const {
        return rest_.starts_with(name) && rest_.substr(name.size()).starts_with('=');
    }
    bool accept(std::string_view flag) {
        if (!rest_.starts_with(flag) || rest_.size() <= flag.size() || rest_[flag.size()] != ' ')
            return false;
        skip(flag.size());
        return true;
    }
    std::string_view rest(std::string_view name) {
        expect(name);
        if (rest_.empty()) refuse(fmt::format("'{}' has no value", name));
        return rest_;
    }

  private:
    void expect(std::string_view name) {
        if (!rest_.starts_with(name) || rest_.size() <= name.size() || rest_[name.size()] != '=')
            refuse(fmt::format("'{}=' is expected, but there is '{}'", name,
                               rest_.empty() ? "the end of the line" : rest_.substr(0, 40)));
        rest_.remove_prefix(name.size() + 1);
    }
    void skip(size_t count) {
        rest_.remove_prefix(count);
        while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

}  // namespace

std::string TunedRecord::key() const {
    const auto decision = decision_of(choice);
    return fmt::format("{} {} {} {}{}", to_string(machine), isa, threads,
                       decision ? words_of(*decision)[0] + " or else " : "", signature);
}

std::string to_string(const TunedRecord& r) {
    const std::string what = r.is_choice() ? "choice=" + r.choice
                                           : fmt::format("recipe={}@{} tiling=\"{}\"", r.recipe,
                                                         r.version, to_string(r.tiling));
    return fmt::format(
        "machine={} isa={} threads={} {} default_us={:.4g} tuned_us={:.4g} "
        "spread={:.3g}{} {}={}",
        to_string(r.machine), r.isa, r.threads, what, r.default_us, r.tuned_us, r.spread,
        r.is_locked ? " lock" : "", r.is_choice() ? "node" : "group", r.signature);
}

namespace {

// What stands behind the recipe or the choice.
void parse_times(LineReader& reader, TunedRecord& record) {
    record.default_us = reader.number("default_us", /*may_be_zero=*/false);
    record.tuned_us = reader.number("tuned_us", /*may_be_zero=*/false);
    record.spread = reader.number("spread", /*may_be_zero=*/true);
    record.is_locked = reader.accept("lock");
}

void parse_recipe(LineReader& reader, TunedRecord& record) {
    const std::string_view recipe = reader.word("recipe");
    const size_t at = recipe.find('@');
    if (at == 0 || at == std::string_view::npos)
        refuse(fmt::format("'recipe' is {}, but must be NAME@VERSION", recipe));
    record.recipe = recipe.substr(0, at);
    record.version = LineReader::number_in("version", recipe.substr(at + 1));
    record.tiling = parse_tiling(reader.quoted("tiling"));
    parse_times(reader, record);
    record.signature = reader.rest("group");
}

void parse_choice(LineReader& reader, TunedRecord& record) try {
    record.choice = reader.word("choice");
    if (!decision_of(record.choice)) {
        std::vector<std::string> words;
        for (const Decision decision : {Decision::method, Decision::fusion, Decision::storage})
            words.insert(words.end(), words_of(decision).begin(), words_of(decision).end());
        refuse(fmt::format("'choice' is {}, but must be one of {}", record.choice,
                           fmt::join(words, ", ")));
    }
    parse_times(reader, record);
    record.signature = reader.rest("node");
} catch (const Error& error) {
    fail("record", error.diagnostic().message, std::string(kChoiceForm));
}

}  // namespace

TunedRecord parse_record(std::string_view line) {
    LineReader reader(line);
    TunedRecord record;
    record.machine = parse_machine_class(reader.word("machine"));
    record.isa = isa_named(reader.word("isa")).name;
    record.threads = reader.count("threads");
    if (reader.begins_with("choice")) {
        parse_choice(reader, record);
    } else {
        parse_recipe(reader, record);
    }
    return record;
}

ReadRecords parse_records(std::string_view text, const std::string& file) {
    ReadRecords result;
    int number = 0;
    bool has_begun = false;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        number++;
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty() || line[0] == '#') continue;
        if (!has_begun && line != kFirstLine) break;
        if (!has_begun) {
            has_begun = true;
            continue;
        }
        try {
            result.records.push_back(parse_record(line));
            result.records.back().origin = fmt::format("{}:{}", file, number);
        } catch (const Error& error) {
            Diagnostic fault = error.diagnostic();
            fault.code = "record";
            fault.where = {file, number};
            result.faults.push_back(std::move(fault));
        }
    }
    if (has_begun) return result;
    fail("record",
         fmt::format("'{}' is no file of records of this version: its first line is not '{}'", file,
                     kFirstLine),
         "name a file that `emulsion tune` or `emulsion records` has written");
}

std::string print_records(std::vector<TunedRecord> records) {
    const auto order = [](const TunedRecord& r) {
        return std::tuple(r.machine, r.isa, r.threads, r.is_choice(), r.signature, r.recipe,
                          r.choice);
    };
    std::stable_sort(
        records.begin(), records.end(),
        [&](const TunedRecord& a, const TunedRecord& b) { return order(a) < order(b); });
    std::string text(kFirstLine);
    text += '\n';
    for (const TunedRecord& record : records) text += to_string(record) + '\n';
    return text;
}

}  // namespace emulsion
