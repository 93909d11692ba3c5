// The tuner's memory: every measurement, on the disk as soon as it is finished. A run that was
// ended in any way goes on from here, and several tuners may share one file: each candidate is
// measured by one of them.
//
// An SQLite database (user_version 2; one of version 1 gets the tables it lacks). What a
// measurement depends on names its kernel: the build of the compiler, machine class, instruction
// set, threads and the group.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schedules/tune/sqlite.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

struct JournalKernel {
    std::string build, machine, isa;
    int threads = 1;
    std::string signature;
};

// A candidate that was measured against the kernel's own schedule: alone, before it becomes a
// record, or in the network's step, before it stays one.
struct Confirmation {
    Candidate candidate;
    double default_us = 0, tuned_us = 0, spread = 0;
    bool is_accepted = false;
    bool is_contended = false;
};

// What was spent on kernels.
struct Spent {
    double seconds = 0;
    int trials = 0;
};

// The signature of what is no kernel but a choice above kernels begins so.
inline constexpr const char* kChoicePrefix = "choice ";

namespace internal {
// Of three columns: recipe, version, tiling.
Candidate candidate_in(const Statement& row, int column);
}  // namespace internal

class Journal {
  public:
    // Opens or makes the file. Throws Error[journal]: a folder that may not be written to, a disk
    // that is full, a journal of another version, a file that is no journal. What can be read of a
    // damaged journal goes to a new one; the damaged file stays as FILE.damaged.
    explicit Journal(const std::string& file);
    // Gives back what was claimed and not finished.
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    // What was lost of a damaged journal, in a sentence; else empty.
    const std::string& note() const { return note_; }

    // The number of a kernel in this journal.
    int64_t number_of(const JournalKernel& kernel);

    // Claims the candidate for this process. False where it was measured, or is being measured by
    // a process that lives.
    bool claim(int64_t kernel, const Candidate& candidate);
    void finish(int64_t kernel, const Candidate& candidate, const Trial& trial, double seconds);
    void confirm(int64_t kernel, const Confirmation& confirmation, double seconds);
    void check_in_step(int64_t kernel, const Confirmation& check, double seconds);
    // What a call of the kernel's own schedule takes in the network's step.
    void time_default(int64_t kernel, double us, bool is_contended, double seconds);
    // Time that no trial accounts for.
    void add_seconds(int64_t kernel, double seconds);

    struct Finished {
        Candidate candidate;
        Outcome outcome = Outcome::slower;
        double us = 0;  // a call's microseconds; 0 where it was not timed
    };
    std::vector<Finished> finished(int64_t kernel);
    std::vector<Confirmation> confirmations(int64_t kernel);
    std::vector<Confirmation> step_checks(int64_t kernel);
    std::optional<double> default_us(int64_t kernel);
    Spent spent(const std::vector<int64_t>& kernels);

    // Runs the action while no other tuner on this journal runs one; what it writes to the journal
    // is there when it ends, all or nothing.
    template <class Action>
    void alone(const Action& action) {
        make_durable();
        Transaction transaction(*database_);
        action();
        transaction.commit();
    }

  private:
    void open();
    void make_durable();  // what is written from now on, power cuts included
    void salvage(const std::string& problem);
    void copy_table(Database& source, const std::string& table);
    void insert(const char* table, int64_t kernel, const Confirmation& c, double seconds);
    std::vector<Confirmation> rows_of(const char* table, int64_t kernel);
    std::string file_, owner_, note_;
    std::optional<Database> database_;
};

// A candidate that was timed.
struct Measured {
    int64_t number = 0;  // of the kernel in the journal
    JournalKernel kernel;
    Candidate candidate;
    double us = 0;
    bool is_contended = false;
};
// All of a journal, of any build and machine, by kernel; the file stays as it is. Throws
// Error[journal].
std::vector<Measured> read_measured(const std::string& file);

}  // namespace emulsion
