// See record_set.h.
#include "schedules/tune/record_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "compiler/graph/text.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/file.h"
#include "runtime/support/path.h"
#include "schedules/tune/choice_signature.h"
#include "schedules/tune/records_lock.h"
#include "schedules/tune/signature.h"

namespace emulsion {

namespace {

constexpr uint64_t kMostBytes = uint64_t{256} << 20;

// What a record of an instruction set answers: how a group runs, or a decision on a node.
std::string question(const std::string& isa, const std::string& signature,
                     std::optional<Decision> decision) {
    return fmt::format("{} {} {}", isa, decision ? static_cast<int>(*decision) : -1, signature);
}

}  // namespace

RecordSet RecordSet::read(const std::string& file, std::vector<Diagnostic>& faults,
                          const std::string& name) {
    Bytes bytes;
    try {
        bytes = read_file(file, kMostBytes, "file of records");
    } catch (const RuntimeError& error) {
        fail("record", fmt::format("'{}': {}", error.where(), error.problem()), error.fix());
    }
    ReadRecords read = parse_records({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                     name.empty() ? file : name);
    faults.insert(faults.end(), read.faults.begin(), read.faults.end());
    RecordSet set;
    for (TunedRecord& record : read.records) set.add(std::move(record));
    return set;
}

RecordSet RecordSet::read_whole(const std::string& file) {
    if (!is_file(file)) return {};
    std::vector<Diagnostic> faults;
    RecordSet set = read(file, faults);
    if (!faults.empty()) throw Error(faults[0]);
    return set;
}

void RecordSet::add(TunedRecord record) {
    const auto [found, is_new] = records_.try_emplace(record.key(), record);
    if (is_new || found->second.is_locked) return;
    if (record.is_locked || record.gain() > found->second.gain()) found->second = std::move(record);
}

void RecordSet::merge(const RecordSet& other) {
    for (const auto& [key, record] : other.records_) add(record);
}

void RecordSet::replace(TunedRecord record) {
    const auto [found, is_new] = records_.try_emplace(record.key(), record);
    if (!is_new && !found->second.is_locked) found->second = std::move(record);
}

const TunedRecord* RecordSet::find(const std::string& key) const {
    const auto found = records_.find(key);
    return found == records_.end() ? nullptr : &found->second;
}

std::vector<TunedRecord> RecordSet::records() const {
    std::vector<TunedRecord> list;
    for (const auto& [key, record] : records_) list.push_back(record);
    return list;
}

std::set<MachineClass> RecordSet::machines() const {
    std::set<MachineClass> machines;
    for (const auto& [key, record] : records_) machines.insert(record.machine);
    return machines;
}

void RecordSet::save(const std::string& file) const { write_file(file, print_records(records())); }

RecordSet change_records(const std::string& file, const std::function<void(RecordSet&)>& change) {
    const RecordsLock lock(file);
    RecordSet set = RecordSet::read_whole(file);
    change(set);
    set.save(file);
    return set;
}

MachineRecords::MachineRecords(const RecordSet& set, const MachineClass& machine) {
    for (TunedRecord& record : set.records()) {
        if (record.machine == machine) records_.push_back(std::move(record));
    }
    for (const TunedRecord& record : records_)
        by_question_[question(record.isa, record.signature, decision_of(record.choice))].push_back(
            &record);
}

const TunedRecord* MachineRecords::nearest(const std::string& question, int threads) const {
    const auto found = by_question_.find(question);
    if (found == by_question_.end()) return nullptr;
    const auto distance = [&](const TunedRecord* record) {
        return std::pair(std::abs(std::log(static_cast<double>(record->threads) / threads)),
                         record->threads);
    };
    return *std::min_element(
        found->second.begin(), found->second.end(),
        [&](const TunedRecord* a, const TunedRecord* b) { return distance(a) < distance(b); });
}

std::optional<Record> MachineRecords::find(const Group& group, const Isa& isa, int threads) const {
    if (by_question_.empty()) return std::nullopt;
    const TunedRecord* record =
        nearest(question(isa.name, group.signature(), std::nullopt), threads);
    if (record == nullptr) return std::nullopt;
    return Record{record->recipe, record->version, record->tiling, record->origin};
}

std::optional<RecordedChoice> MachineRecords::find(const std::string& node, Decision decision,
                                                   const Isa& isa, int threads) const {
    const TunedRecord* record = nearest(question(isa.name, node, decision), threads);
    if (record == nullptr) return std::nullopt;
    return RecordedChoice{record->choice, record->origin};
}

namespace {

SourceLocation place_of(const TunedRecord& record) {
    const size_t colon = std::min(record.origin.rfind(':'), record.origin.size());
    SourceLocation place{record.origin.substr(0, colon), 0};
    const char* end = record.origin.data() + record.origin.size();
    if (colon < record.origin.size())
        std::from_chars(record.origin.data() + colon + 1, end, place.line);
    return place;
}

// Why the record is of no use; empty where it is of use. Sets its version where its tiling is legal
// for another one.
std::string fault_of(TunedRecord& record, const RecipeLibrary& library) {
    if (record.is_choice()) {
        const std::string fault = choice_fault(record.signature, record.choice);
        if (!fault.empty()) return fault;
        return record.is_locked || record.gain() > 1 ? "" : "it is no faster than the default";
    }
    const auto found = std::find_if(library.begin(), library.end(), [&](const auto& recipe) {
        return recipe->name() == record.recipe;
    });
    if (found == library.end()) return fmt::format("there is no recipe '{}'", record.recipe);
    const Isa& isa = isa_named(record.isa);
    try {
        const Group group = parse_signature(record.signature);
        if (!can_run(**found, group, isa, /*exact=*/false))
            return fmt::format("{} does not run this group on {}", record.recipe, isa.name);
        const std::string fault = tiling_fault(**found, group, record.tiling, isa);
        if (!fault.empty())
            return fmt::format("{} cannot run with '{}': {}", record.recipe,
                               to_string(record.tiling), fault);
    } catch (const Error& error) {
        return fmt::format("its group is not of this version: {}", error.diagnostic().message);
    }
    if (!record.is_locked && record.gain() <= 1) return "it is no faster than the default";
    record.version = (*found)->version();
    return "";
}

}  // namespace

std::vector<Diagnostic> prune(RecordSet& set, const RecipeLibrary& library) {
    std::vector<Diagnostic> dropped;
    for (TunedRecord& record : set.records()) {
        const std::string fault = fault_of(record, library);
        if (fault.empty() && set.find(record.key())->version == record.version) continue;
        set.remove(record.key());
        if (!fault.empty()) {
            dropped.push_back({"record",
                               fault,
                               "remove it with `emulsion records prune`, and tune anew",
                               place_of(record),
                               {}});
        } else {
            set.add(std::move(record));
        }
    }
    return dropped;
}

}  // namespace emulsion
