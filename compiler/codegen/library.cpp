// Joins tables, kernels and the runtime into one object and its archive.
#include "compiler/codegen/library.h"

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <set>

#include "compiler/codegen/link.h"
#include "compiler/codegen/llvm_object.h"
#include "compiler/codegen/loader.h"
#include "compiler/codegen/manifest.h"
#include "compiler/codegen/tables.h"

extern "C" const unsigned char emulsion_abi_object[];
extern "C" const unsigned long emulsion_abi_object_size;
extern "C" const unsigned char emulsion_device_object[];
extern "C" const unsigned long emulsion_device_object_size;
extern "C" const unsigned char emulsion_opencl_object[];
extern "C" const unsigned long emulsion_opencl_object_size;
extern "C" const unsigned char emulsion_cuda_object[];
extern "C" const unsigned long emulsion_cuda_object_size;
extern "C" const unsigned char emulsion_vulkan_object[];
extern "C" const unsigned long emulsion_vulkan_object_size;

namespace emulsion {

namespace {

std::string text_of(const unsigned char* bytes, unsigned long size) {
    return {reinterpret_cast<const char*>(bytes), size};
}

std::string runtime_object() { return text_of(emulsion_abi_object, emulsion_abi_object_size); }

// The runtime of an interface to devices.
std::string interface_object(const std::string& name) {
    if (name == "opencl") return text_of(emulsion_opencl_object, emulsion_opencl_object_size);
    if (name == "cuda") return text_of(emulsion_cuda_object, emulsion_cuda_object_size);
    EMU_CHECK(name == "vulkan", "no runtime is made for {}", name);
    return text_of(emulsion_vulkan_object, emulsion_vulkan_object_size);
}

// What the variants for devices need beside it, by name; nothing where there are none.
std::vector<std::pair<std::string, std::string>> device_objects(const Plan& plan) {
    std::vector<std::pair<std::string, std::string>> objects;
    for (const VariantPlan& variant : plan.variants) {
        if (!variant.isa.is_device()) continue;
        if (objects.empty())
            objects.emplace_back("device",
                                 text_of(emulsion_device_object, emulsion_device_object_size));
        objects.emplace_back(variant.isa.name, interface_object(variant.isa.name));
    }
    return objects;
}

}  // namespace

std::string library_name(const Network& network, bool training) {
    std::string name = network.name + (training ? "_train" : "_infer");
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string kernel_with_runtime(const std::string& kernel_object) {
    return kernels_with_runtime({kernel_object});
}

std::string kernels_with_runtime(const std::vector<std::string>& kernel_objects) {
    std::vector<std::pair<std::string, std::string>> objects = {{"abi", runtime_object()}};
    for (const std::string& object : kernel_objects)
        objects.emplace_back(fmt::format("kernel{}", objects.size()), object);
    return link_relocatable(objects, "");
}

std::string library_ir(const Network& network, const Plan& plan,
                       const std::vector<VariantKernels>& kernels) {
    llvm::LLVMContext context;
    return print_module(
        *library_module(context, library_name(network, plan.training), network, plan, kernels));
}

Library make_library(const Network& network, const Plan& plan,
                     const std::vector<VariantKernels>& kernels) {
    Library library;
    library.name = library_name(network, plan.training);
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module =
        library_module(context, library.name, network, plan, kernels);
    std::vector<std::pair<std::string, std::string>> objects = {{"tables", emit_object(*module)}};
    std::set<std::string> seen;
    for (const VariantKernels& variant : kernels) {
        for (const CompiledKernel& kernel : variant) {
            if (seen.insert(kernel.symbol).second)
                objects.emplace_back(kernel.symbol, kernel.object);
        }
    }
    objects.emplace_back("abi", runtime_object());
    const auto devices = device_objects(plan);
    objects.insert(objects.end(), devices.begin(), devices.end());
    library.object = link_relocatable(objects, library.name + "_", !devices.empty());
    library.archive = make_archive(library.name + ".o", library.object);
    library.header = header_text(library.name, network, plan, kernels);
    library.manifest = manifest_text(library.name, network, plan, kernels);
    return library;
}

}  // namespace emulsion
