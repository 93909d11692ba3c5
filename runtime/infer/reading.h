// What every mode of the inference program does first: weights into memory, pictures out of files
// and data sets.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/data/open.h"
#include "runtime/data/origin.h"
#include "runtime/infer/options.h"
#include "runtime/program/evaluate.h"
#include "runtime/program/session.h"

namespace emulsion {

// What the network needs of data, and the options say of them. `facts` are of the weights.
DataRequest make_request(const InferOptions& options, const emulsion_info& info,
                         const DataFacts& facts);

// The data set of the options.
std::unique_ptr<Source> open_set(const InferOptions& options, const DataRequest& request);

// A session with its weights in place, and what they say of the data.
struct Trained {
    DataRequest request;               // with a rule for pictures of another size
    std::vector<std::string> classes;  // names; empty: numbers
};
// Throws UsageError where an option contradicts the weights, and RuntimeError.
Trained load_trained(InferenceSession& session, const InferOptions& options);

// What became of the pictures.
struct Outcome {
    int64_t not_finite = 0;  // with values that are NaN or infinite
    int64_t failed = 0;      // files that cannot be used
};

// Files that cannot be used are reported and counted; the others go on.
EvaluateOptions evaluate_options(const InferOptions& options, Outcome* outcome);

// Runs the network on picture files as their names come, so many at a time; `places` and `list` are
// those of PictureNames. `visit` is called with the path and the sample of the session's last run.
void run_files(InferenceSession& session, const InferOptions& options, const DataRequest& request,
               const std::vector<std::string>& places, const std::string& list, Outcome* outcome,
               const std::function<void(const std::string& path, int sample)>& visit);

// The exit code; throws RuntimeError where values were not finite.
int conclude(const InferOptions& options, const Outcome& outcome);

}  // namespace emulsion
