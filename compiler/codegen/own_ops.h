// Ops that a model brings: their code is in its program, not in the compiler's library.
#pragma once

#include <string>

#include "compiler/recipe/group.h"

namespace emulsion {

// What decides about the kernels of the group beside its text and the compiler: of each program or
// library that has ops of the group, its content; empty where all ops are the compiler's. Throws
// Error[op] where an op is not registered.
std::string own_ops_identity(const Group& group);

}  // namespace emulsion
