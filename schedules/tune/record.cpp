// A line is words NAME=VALUE in a fixed order, so that two files differ where their records do.
#include "schedules/tune/record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "compiler/recipe/choices.h"
#include "schedules/tune/line_reader.h"

namespace emulsion {

namespace {

constexpr std::string_view kFirstLine = "emulsion records 1";
constexpr std::string_view kForm =
    "write it as machine=… isa=… threads=… recipe=NAME@VERSION tiling=\"…\" default_us=… "
    "tuned_us=… spread=… group=…";
constexpr std::string_view kChoiceForm =
    "write it as machine=… isa=… threads=… choice=… default_us=… tuned_us=… spread=… node=…";

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
    std::tie(record.recipe, record.version) = reader.versioned("recipe");
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
        reader.refuse(fmt::format("'choice' is {}, but must be one of {}", record.choice,
                                  fmt::join(words, ", ")));
    }
    parse_times(reader, record);
    record.signature = reader.rest("node");
} catch (const Error& error) {
    fail("record", error.diagnostic().message, std::string(kChoiceForm));
}

}  // namespace

TunedRecord parse_record(std::string_view line) {
    LineReader reader(line, "record", kForm);
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
    const auto take = [&](std::string_view line, const SourceLocation& where) {
        result.records.push_back(parse_record(line));
        result.records.back().origin = fmt::format("{}:{}", where.file, where.line);
    };
    if (read_lines(text, file, kFirstLine, "record", take, result.faults)) return result;
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
