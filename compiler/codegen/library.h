// From a plan and its compiled kernels to a library: tables and trampolines in LLVM IR, one linked
// object with no symbol visible but NAME_*, an archive, a C header, a manifest.
#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/graph/network.h"
#include "compiler/plan/plan.h"

namespace emulsion {

// One variant's kernels as `compile_kernels` returned them.
using VariantKernels = std::vector<CompiledKernel>;

struct Library {
    std::string name;    // "lenet_train"
    std::string object;  // the linked relocatable object: what the archive holds and the tests load
    std::string archive;   // bytes of NAME.a
    std::string header;    // text of NAME.h
    std::string manifest;  // text of NAME.json
};

// The name of a network's library, and the prefix of all it exports: "res-18" becomes
// "res_18_train" or "res_18_infer".
std::string library_name(const Network& network, bool training);

// The same plan, kernels and network give the same bytes.
Library make_library(const Network& network, const Plan& plan,
                     const std::vector<VariantKernels>& kernels);

// LLVM IR of the tables and trampolines, as text.
std::string library_ir(const Network& network, const Plan& plan,
                       const std::vector<VariantKernels>& kernels);

// Objects whose `main` runs the training or inference program on the libraries' functions;
// runtime/abi/program.h. `saliency` is the network of input_gradients.h whose library the program
// has too, or null.
std::string train_program_object(const Network& network, const Plan& train, const Plan& infer);
std::string infer_program_object(const Network& network, const Plan& infer,
                                 const Network* saliency = nullptr);

}  // namespace emulsion
