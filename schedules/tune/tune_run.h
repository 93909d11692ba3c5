// What the parts of one run of the tuner share: its tasks, its journal, its file of records.
#pragma once

#include <chrono>
#include <optional>
#include <set>

#include "schedules/tune/task.h"
#include "schedules/tune/tuner.h"

namespace emulsion {

class Stopwatch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }

  private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// Of tune().
struct TuneArguments {
    const Network& network;
    const RecipeLibrary& library;
    const BuildOptions& build;
    const TuneOptions& options;
    Workbench& workbench;
    TuneReport& report;
};

struct TuneRun {
    // Reads the records and opens the journal; what the arguments refer to outlives it.
    explicit TuneRun(const TuneArguments& arguments);

    // The plan's kernels, with what records and the journal know of them; again where a choice has
    // become a record. What was found before stays in `former`.
    void find();

    Spent spent();
    // Whether the budget is, but for what is reserved; a signal is met here.
    bool is_spent();

    // The records for instruction sets that decide before this one how sums are ordered, for all
    // that a library holds. Candidates follow them, beside the plan's own choice.
    RecordSet decisive() const;
    // What is in force above the kernels: the choices in the file, and those of others on what the
    // file does not name.
    RecordSet choices() const;
    // The key of the task's record, and the line of a file for a schedule that was confirmed.
    std::string key_of(const Task& task) const;
    TunedRecord record_of(const Task& task, const Confirmation& confirmation) const;
    TunedRecord record_of(const NodeChoice& choice, const std::string& word,
                          const Confirmation& confirmation) const;
    // Of the choice in the journal: its words are the recipes of candidates.
    int64_t number_of(const NodeChoice& choice);
    // Changes the file of records, with what others have written since. Within journal.alone()
    // where the journal says the same.
    void change_records(const std::function<void(RecordSet&)>& change) {
        records = emulsion::change_records(options.records, change);
    }

    const Network& network;
    const RecipeLibrary& library;
    const TuneOptions& options;
    BuildOptions build;  // its records are `decided`, its choices `chosen`
    Isa isa;
    Workbench& workbench;
    TuneReport& report;
    RecordSet records;
    CostModel model;                       // less the lines that do not fit
    MachineRecords decided;                // decisive()
    std::optional<MachineRecords> chosen;  // choices()
    Journal journal;
    Plans plans;
    Tasks tasks, former;
    double reserved_seconds = 0;  // for the last check of records in the step
    // By direction: what it took to link, load and time the step once, and the last such check.
    std::map<bool, double> step_seconds, check_seconds;

  private:
    void drop_misfits();
    // Of its own schedule, until it was timed.
    double estimated_seconds(const PlannedKernel& kernel) const;
    void ready(Task& task);
    void count_spent(const Plans& plans);
    int64_t number_in_journal(const std::string& signature);
    int64_t number_of(const PlannedKernel& kernel);
    TunedRecord new_record(const Confirmation& confirmation) const;
    bool is_named(const Task& task) const;  // TuneOptions::only; else it stays as it is
    std::set<int64_t> kernels_, choices_;   // whose time in the journal counts
};

}  // namespace emulsion
