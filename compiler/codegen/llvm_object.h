// LLVM IR modules for x86-64, and their objects.
#pragma once

#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
}  // namespace llvm

namespace emulsion {

// An empty module with the target's data layout.
std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context, const std::string& name);

// Verifies the module, runs O2 and emits a position-independent object.
std::string emit_object(llvm::Module& module);

std::string print_module(const llvm::Module& module);

}  // namespace emulsion
