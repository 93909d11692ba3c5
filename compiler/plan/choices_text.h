// What is decided above the kernels of a plan, as text: what a person reads to write a record of
// it.
#pragma once

#include <string>

#include "compiler/plan/plan.h"

namespace emulsion {

// A line for each choice with what else could be, and one with the node's signature.
std::string print_choices(const Plan& plan);

}  // namespace emulsion
