// The inference program's first mode: classes of pictures, and what else the network hands out.
#pragma once
#include "runtime/infer/options.h"
#include "runtime/infer/results.h"
#include "runtime/program/session.h"

namespace emulsion {

// Returns the exit code. Throws RuntimeError.
int classify(InferenceSession& session, const InferOptions& options);

// In the form that the options ask for.
std::unique_ptr<Results> make_results(const InferOptions& options, const emulsion_info& info,
                                      std::vector<std::string> classes);

}  // namespace emulsion
