// What log.jsonl of a run tells beside the checkpoint.
//
// The log is an extra and may have been edited, cut or lost: a line that is no event, and one with
// a field that no run writes, are passed over.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "runtime/train/reporter.h"

namespace emulsion {

// Adds the times of the epochs that the log tells of to records that have none.
void add_logged_times(const std::string& folder, std::vector<EpochRecord>* records);

// The last of each that the log tells of.
struct LoggedEnd {
    std::optional<Evaluation> test;
    std::optional<KernelTimes> times;
    std::vector<ShownMistake> mistakes;
};
LoggedEnd read_logged_end(const std::string& folder);

}  // namespace emulsion
