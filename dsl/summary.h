// The layer table of a network: what `summary` prints.
#pragma once

#include <string>

#include "compiler/codegen/layer_rows.h"

namespace emulsion {

// All trained and frozen values of the network.
int64_t parameter_count(const Network& network);

// Multiply-adds of the contractions for one sample.
int64_t multiply_adds(const Network& network);

// The table with its totals: name, op, output shape, parameters, multiply-adds, receptive field,
// memory.
std::string summary(const Network& network);

}  // namespace emulsion
