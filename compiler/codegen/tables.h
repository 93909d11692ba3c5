// The constant tables of a library in LLVM IR: emulsion_info and emulsion_library with everything
// they point to (runtime/abi/instance.h), the trampolines of kernel calls, and the exported
// functions.
#pragma once

#include <memory>

#include "compiler/codegen/library.h"

namespace llvm {
class LLVMContext;
class Module;
}  // namespace llvm

namespace emulsion {

std::unique_ptr<llvm::Module> library_module(llvm::LLVMContext& context, const std::string& name,
                                             const Network& network, const Plan& plan,
                                             const std::vector<VariantKernels>& kernels);

}  // namespace emulsion
