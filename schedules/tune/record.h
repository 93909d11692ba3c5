// A tuned record: how one kernel ran fastest on one class of machines, or what is decided above the
// kernels so that a network's step is fastest (recipe/choices.h), as a line of text.
//
//     machine=AuthenticAMD-26-2-l1.48-l2.1024-l3.32768-fma.32 isa=avx512 threads=2 recipe=direct@1
//     tiling="kw=16 tx=7" default_us=2190.4 tuned_us=1550.1 spread=0.012 lock group=batch=1 graph …
//
//     machine=… isa=avx512 threads=2 choice=direct default_us=48210 tuned_us=47120 spread=0.004
//     node=batch=16 conv2d(…
//
// (one line each; `lock` may be absent, `group` is the rest of the line: Group::signature; so is
// `node`: node_signature; the times of a choice are those of a step). A file begins with the line
// "emulsion records 1"; '#' begins a comment, empty lines count for nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/recipe/recipe.h"
#include "compiler/support/diagnostic.h"
#include "schedules/tune/machine_class.h"

namespace emulsion {

struct TunedRecord {
    MachineClass machine;
    std::string isa;  // "avx512"
    int threads = 1;
    std::string recipe;
    int version = 1;  // Recipe::version
    Tiling tiling;
    std::string choice;                   // the word; then there is no recipe
    double default_us = 0, tuned_us = 0;  // medians of paired runs, microseconds
    double spread = 0;       // quartiles of the paired ratios apart, as a share of their median
    bool is_locked = false;  // written by hand: neither tuner nor merge replaces it
    std::string signature;   // of the group or the node
    std::string origin;      // "net.records:12": where it was read; no part of the line

    bool is_choice() const { return !choice.empty(); }
    // What it answers: records of the same key exclude each other.
    std::string key() const;
    // Default time over tuned time.
    double gain() const { return tuned_us > 0 ? default_us / tuned_us : 0; }
};

std::string to_string(const TunedRecord& record);
// Throws Error[record] naming what is wrong with the line.
TunedRecord parse_record(std::string_view line);

// A text of records: those that can be read, and a message for each line that cannot, with `file`
// and its number. Throws Error[record] where the first line is not that of this version.
struct ReadRecords {
    std::vector<TunedRecord> records;
    std::vector<Diagnostic> faults;
};
ReadRecords parse_records(std::string_view text, const std::string& file);

// The whole text, sorted by machine, instruction set, threads and group.
std::string print_records(std::vector<TunedRecord> records);

}  // namespace emulsion
