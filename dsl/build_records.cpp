// See build_records.h.
#include "dsl/build_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "compiler/support/host.h"
#include "dsl/show_command.h"
#include "schedules/library.h"
#include "schedules/tune/measured_machine.h"

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
RecordSet put_before(const RecordSet& own, const RecordSet& shipped) {
    RecordSet set = own;
    std::set<std::string> signatures;
    for (const TunedRecord& record : own.records()) signatures.insert(record.signature);
    for (TunedRecord& record : shipped.records()) {
        if (!signatures.contains(record.signature)) set.add(std::move(record));
    }
    return set;
}

void print_left_out(const std::vector<Diagnostic>& faults) {
    for (const Diagnostic& fault : faults)
        fmt::print(stderr, "{}\nnote: the line is left out, the other records are used\n",
                   to_string(fault));
}

// Those of the class that this build can use; says what is left out. A file at a time, so that no
// record hides one of another file and is left out itself.
RecordSet usable(std::vector<RecordSet> files, const MachineClass& machine) {
    const RecipeLibrary library = make_library();
    RecordSet result;
    size_t all = 0, foreign = 0;
    for (RecordSet& set : files) {
        all += set.size();
        for (const TunedRecord& record : set.records()) {
            if (record.machine == machine) continue;
            set.remove(record.key());
            foreign++;
        }
        print_left_out(prune(set, library));
        result.merge(set);
    }
    if (foreign > 0)
        fmt::print(stderr,
                   "note: {} of {} records are of other machines than {}, and are not used; `tune` "
                   "starts from them\n",
                   foreign, all, to_string(machine));
    return result;
}

// What --machine says, or follows from the target.
std::string machine_name(const CommandLine& line) {
    if (!line.machine.empty()) return line.machine;
    return line.options.target == "native" ? "native" : "none";
}

}  // namespace

void add_files_beside_model(CommandLine& line) {
    const auto beside = [&](const std::string& kind) {
        return std::filesystem::path(line.file).replace_extension("." + kind).string();
    };
    const auto take = [&](const std::string& kind) {
        line.given.push_back("--" + kind + "=" + beside(kind));
        return beside(kind);
    };
    if (line.command == "tune") {
        if (line.records.empty()) line.records = {take("records")};
        if (line.tune.journal.empty()) line.tune.journal = take("journal");
        return;
    }
    if (line.command == "summary" || line.no_records || !line.records.empty()) return;
    std::error_code error;
    if (has_part(line, "--records") && std::filesystem::exists(beside("records"), error))
        line.records = {take("records")};
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

std::string shipped_model_file(const MachineClass& machine) {
    return (shipped_folder() / (to_string(machine) + ".model")).string();
}

CostModel shipped_model(const MachineClass& machine, const RecipeLibrary& library,
                        std::vector<Diagnostic>& faults) {
    const fs::path file = shipped_model_file(machine);
    std::error_code error;
    if (!fs::exists(file, error)) return {};
    try {
        return CostModel::read(file.string(), library, faults,
                               "schedules/tuned/" + file.filename().string());
    } catch (const Error& fault) {  // nothing of it can be used
        faults.push_back(fault.diagnostic());
        return {};
    }
}

BuildRecords records_of(const CommandLine& line) {
    BuildRecords result;
    std::vector<Diagnostic> faults;
    std::vector<RecordSet> own;
    size_t count = 0;
    std::set<MachineClass> known;
    for (const std::string& file : line.records) {
        own.push_back(RecordSet::read(file, faults));
        count += own.back().size();
        known.merge(own.back().machines());
    }
    ShippedRecords shipped;
    if (!line.no_records) shipped = shipped_records(faults);
    known.merge(shipped.set.machines());
    print_left_out(faults);
    result.files = line.records;
    result.files.insert(result.files.end(), shipped.files.begin(), shipped.files.end());

    const std::string name = machine_name(line);
    if (name == "none") {
        if (count > 0 && line.machine.empty())
            fmt::print(stderr,
                       "note: {} records are not used: --target {} compiles for no machine; add "
                       "--machine native, or a class that they name\n",
                       count, line.options.target);
        return result;
    }
    MachineClass machine;
    if (names_machine_file(name)) {
        const MeasuredMachine measured = read_machine_file(name);
        machine = measured.machine_class;
        result.machine = to_plan_for(measured);
        result.files.push_back(name);
    } else {
        machine = name == "native" ? this_machine() : machine_class_named(name, known);
        result.machine = to_plan_for(machine);
    }
    if (known.empty()) return result;
    result.source = std::make_unique<MachineRecords>(
        put_before(usable(std::move(own), machine), shipped.set), machine);
    return result;
}

}  // namespace emulsion
