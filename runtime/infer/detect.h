// The inference program's `--detect`: the classifier's window over pictures of any size.
//
// A window is the network's own picture, so each is run by itself, in batches: the network is
// compiled for its size alone.
#pragma once
#include "runtime/infer/options.h"
#include "runtime/program/session.h"

namespace emulsion {

// Boxes of each picture, best first, as a table, JSON (a picture a line) or CSV (a box a line).
// Returns the exit code. Throws RuntimeError.
int detect(InferenceSession& session, const InferOptions& options);

}  // namespace emulsion
