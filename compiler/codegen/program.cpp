// The `main` of a program: tables of the libraries' functions (runtime/abi/program.h) and one call.
#include <llvm/IR/LLVMContext.h>

#include "compiler/codegen/constants.h"
#include "compiler/codegen/library.h"
#include "compiler/codegen/llvm_object.h"
#include "compiler/codegen/manifest.h"

namespace emulsion {

namespace {

// The order of the pointers in emulsion_train_library and emulsion_infer_library; "" is null.
const std::vector<std::string> kTrainFunctions = {
    "info",   "sizes", "device", "speed",    "init",  "bind",  "upload", "forward_backward",
    "update", "step",  "wait",   "download", "error", "unbind"};
const std::vector<std::string> kInferFunctions = {"info", "sizes", "device", "speed", "prepare",
                                                  "bind", "run",   "wait",   "error", "unbind"};

// A library without functions is a null pointer.
std::string main_object(
    const std::string& entry, const std::string& description,
    const std::vector<std::pair<std::string, std::vector<std::string>>>& libraries) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module = make_module(context, "main");
    ConstantWriter write(*module);
    llvm::IRBuilder<>& builder = write.builder();
    llvm::Type* pointer = builder.getPtrTy();
    std::vector<llvm::Constant*> tables;
    for (const auto& [name, functions] : libraries) {
        if (functions.empty()) {
            tables.push_back(write.null());
            continue;
        }
        std::vector<llvm::Constant*> addresses;
        for (const std::string& function : functions) {
            if (function.empty()) {
                addresses.push_back(write.null());
                continue;
            }
            auto callee = module->getOrInsertFunction(
                name + "_" + function, llvm::FunctionType::get(builder.getInt32Ty(), false));
            addresses.push_back(llvm::cast<llvm::Constant>(callee.getCallee()));
        }
        tables.push_back(write.table(addresses, "functions"));
    }
    auto* main_type =
        llvm::FunctionType::get(builder.getInt32Ty(), {builder.getInt32Ty(), pointer}, false);
    auto* main =
        llvm::Function::Create(main_type, llvm::GlobalValue::ExternalLinkage, "main", *module);
    builder.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", main));
    std::vector<llvm::Value*> arguments = {main->getArg(0), main->getArg(1)};
    arguments.insert(arguments.end(), tables.begin(), tables.end());
    arguments.push_back(write.text(description));
    std::vector<llvm::Type*> types;
    for (llvm::Value* argument : arguments) types.push_back(argument->getType());
    auto callee = module->getOrInsertFunction(
        entry, llvm::FunctionType::get(builder.getInt32Ty(), types, false));
    builder.CreateRet(builder.CreateCall(callee, arguments));
    return emit_object(*module);
}

}  // namespace

std::string train_program_object(const Network& network, const Plan& train, const Plan& infer) {
    std::vector<std::string> functions = kTrainFunctions;
    for (std::string& function : functions) {
        bool lacks =
            train.update_at_once && (function == "forward_backward" || function == "update");
        if (lacks) function.clear();
    }
    return main_object("emulsion_train_main", description_text(network, &train, infer),
                       {{library_name(network, /*training=*/true), functions},
                        {library_name(network, /*training=*/false), kInferFunctions}});
}

std::string infer_program_object(const Network& network, const Plan& infer,
                                 const Network* saliency) {
    std::pair<std::string, std::vector<std::string>> further;
    if (saliency != nullptr)
        further = {library_name(*saliency, /*training=*/false), kInferFunctions};
    return main_object("emulsion_infer_main", description_text(network, nullptr, infer),
                       {{library_name(network, /*training=*/false), kInferFunctions}, further});
}

}  // namespace emulsion
