// The events of a run as JSON, one object a line with its kind under "event": what --json prints
// and log.jsonl holds.
#pragma once
#include <cstdint>
#include <string>

#include "runtime/train/reporter.h"

namespace emulsion {

std::string settings_json(const RunFacts& facts);
// "matched", "differing", "missing", "left_over": names with shapes. Of step 0.
std::string init_json(const std::string& path, const InitialWeights& initial);
std::string step_json(const ProgressState& progress);
std::string checkpoint_json(int64_t step);
std::string epoch_json(const EpochRecord& record, int64_t step);
std::string weights_json(const std::string& path, int64_t step);
// "kernels": each with its line and seconds, in the order of a step.
std::string times_json(const KernelTimes& times, int64_t step);
// "pictures": each with its PNG, in base64.
std::string mistakes_json(const std::vector<ShownMistake>& mistakes, int64_t step);
std::string test_json(const Evaluation& evaluation, int64_t step);

}  // namespace emulsion
