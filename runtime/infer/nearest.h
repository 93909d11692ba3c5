// The inference program's `--nearest`: pictures whose features lie close together.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/infer/options.h"
#include "runtime/program/session.h"

namespace emulsion {

struct Neighbour {
    uint64_t row = 0;
    double distance = 0.0;
};

// The `count` rows of `features` [n][width] nearest to `query`, the nearest first; of equal
// distances the lower row first. cosine: 1 - a.b / (|a| |b|), 1 where either is 0; l2: |a - b|.
// REQUIRES: query.size() > 0 divides features.size().
std::vector<Neighbour> nearest_rows(std::span<const float> features, std::span<const float> query,
                                    Distance distance, uint64_t count);

// Returns the exit code. Throws RuntimeError.
int find_nearest(InferenceSession& session, const InferOptions& options);

}  // namespace emulsion
