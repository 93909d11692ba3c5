// What a library says of itself (emulsion_info in runtime/abi/emulsion_abi.h) as a constant in LLVM
// IR: ports, tensors, names.
#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/constants.h"
#include "compiler/graph/network.h"
#include "compiler/plan/plan.h"

namespace emulsion {

// The number that a class of memory, an input or an output has in runtime/abi/instance.h.
int place_of(MemoryClass memory);

// `kernels`: one line of signature for each kernel call, in order of the calls.
llvm::Constant* info_struct(ConstantWriter& write, const Network& network, const Plan& plan,
                            const std::vector<std::string>& kernels);

}  // namespace emulsion
