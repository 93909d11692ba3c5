// The machine that a build is for, and the tuned records that it takes: those that its user names,
// and those that are shipped with the compiler, of the machine's class.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsl/command_line.h"
#include "schedules/tune/cost_model.h"
#include "schedules/tune/record_set.h"

namespace emulsion {

// Names the files of records and of the journal that lie beside the model file and belong to it,
// where none are named: net.records of net.cpp, if it exists or is to be written.
void add_files_beside_model(CommandLine& line);

// The shipped records of all classes: the files *.records in the folder share/emulsion/tuned beside
// that of an installed library, else in schedules/tuned of the build's sources.
struct ShippedRecords {
    RecordSet set;  // of origin "schedules/tuned/lenet.records:2", wherever the folder lies
    std::vector<std::string> files;
};

// Broken lines are left out and described in `faults`. Throws Error[record].
ShippedRecords shipped_records(std::vector<Diagnostic>& faults);

// The cost model that was fitted on the machine class (schedules/tune/cost_model.h) lies in the
// same folder: CLASS.model.
std::string shipped_model_file(const MachineClass& machine);
// Empty where there is none. What of it cannot be used is described in `faults`.
CostModel shipped_model(const MachineClass& machine, const RecipeLibrary& library,
                        std::vector<Diagnostic>& faults);

// What the plan asks; null where no record can be in force. A kernel of which the user has records
// is run by them alone. `files` are what was read.
//
// The machine is that of --machine: "none", a class, whole or as far as it is one alone among the
// records, "native", that of this processor, or a file (schedules/tune/measured_machine.h). Where
// the option is not given, it is native for the target native, and none for any other: what is
// compiled for an instruction set is the same on every machine.
struct BuildRecords {
    std::unique_ptr<MachineRecords> source;
    std::vector<std::string> files;
    Machine machine;  // for "none" a common one
};

// Says on stderr what is broken, and which of the user's records are not used. Throws
// Error[record], [machine], [usage].
BuildRecords records_of(const CommandLine& line);

}  // namespace emulsion
