// A line is words NAME=VALUE in a fixed order, so that two files differ where their records do.
#include "schedules/tune/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::string_view kFirstLine = "emulsion records 1";
constexpr std::string_view kForm =
    "write it as machine=… isa=… threads=… recipe=NAME@VERSION tiling=\"…\" default_us=… "
    "tuned_us=… spread=… group=…";

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
    return fmt::format("{} {} {} {}", to_string(machine), isa, threads, signature);
}

std::string to_string(const TunedRecord& r) {
    return fmt::format(
        "machine={} isa={} threads={} recipe={}@{} tiling=\"{}\" default_us={:.4g} tuned_us={:.4g} "
        "spread={:.3g}{} group={}",
        to_string(r.machine), r.isa, r.threads, r.recipe, r.version, to_string(r.tiling),
        r.default_us, r.tuned_us, r.spread, r.is_locked ? " lock" : "", r.signature);
}

TunedRecord parse_record(std::string_view line) {
    LineReader reader(line);
    TunedRecord record;
    record.machine = parse_machine_class(reader.word("machine"));
    record.isa = isa_named(reader.word("isa")).name;
    record.threads = reader.count("threads");
    const std::string_view recipe = reader.word("recipe");
    const size_t at = recipe.find('@');
    if (at == 0 || at == std::string_view::npos)
        refuse(fmt::format("'recipe' is {}, but must be NAME@VERSION", recipe));
    record.recipe = recipe.substr(0, at);
    record.version = LineReader::number_in("version", recipe.substr(at + 1));
    record.tiling = parse_tiling(reader.quoted("tiling"));
    record.default_us = reader.number("default_us", /*may_be_zero=*/false);
    record.tuned_us = reader.number("tuned_us", /*may_be_zero=*/false);
    record.spread = reader.number("spread", /*may_be_zero=*/true);
    record.is_locked = reader.accept("lock");
    record.signature = reader.rest("group");
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
        return std::tie(r.machine, r.isa, r.threads, r.signature, r.recipe);
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
