// See build_records.h.
#include "dsl/build_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "compiler/support/host.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

fs::path shipped_folder() {
    const fs::path installed = library_folder().parent_path() / "share/emulsion/tuned";
    std::error_code error;
    if (fs::is_directory(installed, error)) return installed;
    return fs::path(EMULSION_SOURCE_DIR) / "schedules/tuned";
}

// None where the folder is not there: a compiler without records is whole.
std::vector<std::string> files_of(const fs::path& folder) {
    std::vector<std::string> files;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().extension() == ".records") files.push_back(entry->path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

// Those of the shipped records whose kernels the user has none of.
RecordSet put_before(const RecordSet& own, const RecordSet& shipped, const MachineClass& machine) {
    RecordSet set = own;
    std::set<std::string> signatures;
    for (const TunedRecord& record : own.records()) {
        if (record.machine == machine) signatures.insert(record.signature);
    }
    for (TunedRecord& record : shipped.records()) {
        if (!signatures.contains(record.signature)) set.add(std::move(record));
    }
    return set;
}

std::string counted(size_t count, const RecordSet& set) {
    return fmt::format("{} of {} records", count, set.size());
}

void note_unused(const RecordSet& own, const MachineClass& machine) {
    const std::vector<TunedRecord> records = own.records();
    const auto unused = static_cast<size_t>(
        std::count_if(records.begin(), records.end(),
                      [&](const TunedRecord& record) { return record.machine != machine; }));
    if (unused == 0) return;
    fmt::print(
        stderr,
        "note: {} are of other machines than {}, and are not used; `tune` starts from them\n",
        counted(unused, own), to_string(machine));
}

}  // namespace

void add_files_beside_model(CommandLine& line) {
    const std::filesystem::path model = line.file;
    const auto beside = [&](const char* extension) {
        return std::filesystem::path(model).replace_extension(extension).string();
    };
    if (line.command == "tune") {
        if (line.records.empty()) line.records = {beside(".records")};
        if (line.tune.journal.empty()) line.tune.journal = beside(".journal");
        return;
    }
    if (line.command == "summary" || line.no_records || !line.records.empty()) return;
    std::error_code error;
    if (std::filesystem::exists(beside(".records"), error)) line.records = {beside(".records")};
}

ShippedRecords shipped_records(std::vector<Diagnostic>& faults) {
    ShippedRecords shipped;
    shipped.files = files_of(shipped_folder());
    for (const std::string& file : shipped.files) {
        const std::string name = "schedules/tuned/" + fs::path(file).filename().string();
        shipped.set.merge(RecordSet::read(file, faults, name));
    }
    return shipped;
}

BuildRecords records_of(const CommandLine& line) {
    BuildRecords result;
    std::vector<Diagnostic> faults;
    RecordSet own;
    for (const std::string& file : line.records) own.merge(RecordSet::read(file, faults));
    ShippedRecords shipped;
    if (!line.no_records) shipped = shipped_records(faults);
    for (const Diagnostic& fault : faults)
        fmt::print(stderr, "{}\nnote: the line is left out, the other records are used\n",
                   to_string(fault));
    result.files = line.records;
    result.files.insert(result.files.end(), shipped.files.begin(), shipped.files.end());

    const bool is_native = line.options.target == "native";
    const std::string name = !line.machine.empty() ? line.machine : is_native ? "native" : "none";
    if (name == "none") {
        if (own.size() > 0 && line.machine.empty())
            fmt::print(stderr,
                       "note: {} are not used: --target {} compiles for no machine; add --machine "
                       "native, or a class that they name\n",
                       counted(own.size(), own), line.options.target);
        return result;
    }
    if (own.size() + shipped.set.size() == 0 && name == "native") return result;
    std::set<MachineClass> known = own.machines();
    known.merge(shipped.set.machines());
    const MachineClass machine =
        name == "native" ? this_machine() : machine_class_named(name, known);
    note_unused(own, machine);
    result.source =
        std::make_unique<MachineRecords>(put_before(own, shipped.set, machine), machine);
    return result;
}

}  // namespace emulsion
