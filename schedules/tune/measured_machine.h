// A machine as a file describes it: what the cost model takes from it. `emulsion machine` writes
// one, and `--machine FILE` plans for it, on any machine alike:
//
//     {"format": "emulsion-machine", "format_version": 1,
//      "class": "GenuineIntel-6-207-l1.48-l2.2048-l3.266240-fma.32",
//      "fma_gflops": 175.4, "bandwidth_gbs": 11.8}
#pragma once

#include <string>

#include "compiler/recipe/recipe.h"
#include "schedules/tune/machine_class.h"

namespace emulsion {

// The rates are a core's while all are at work.
struct MeasuredMachine {
    MachineClass machine_class;
    double fma_gflops = 0;     // f32, of the widest instruction set, two operations a multiply-add
    double bandwidth_gbs = 0;  // read from memory, 1e9 bytes a second
    bool operator==(const MeasuredMachine&) const = default;
};

// Of the processors that this process may use, with one digit behind the point; takes a second or
// two. Throws RuntimeError where the system refuses a thread.
MeasuredMachine measure_this_machine();

// The text of a file. What is written is read as it was, if its rates have one digit behind the
// point.
std::string to_json(const MeasuredMachine& machine);

// Throws Error[machine]: the file lacks, is cut off or of another form, has a field too many, or
// its rates lie outside of 0.001 to 1000000.
MeasuredMachine read_machine_file(const std::string& path);

// Whether a word of the command line names a file, not a class: it has a '/' or ends in ".json".
bool names_machine_file(const std::string& word);

// What plans are made for. Of a class alone: its second cache, where the processor says one, with
// the rates of a common machine. These were measured at no time, so bytes of a build follow from
// no measurement but one that its user names.
Machine to_plan_for(const MachineClass& machine_class);
Machine to_plan_for(const MeasuredMachine& machine);

}  // namespace emulsion
