// LLVM target, optimisation and emission of objects.
#include "compiler/codegen/llvm_object.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

constexpr char kTriple[] = "x86_64-unknown-linux-gnu";

llvm::TargetMachine& target_machine() {
    static const std::unique_ptr<llvm::TargetMachine> machine = [] {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmParser();
        LLVMInitializeX86AsmPrinter();
        std::string error;
        const llvm::Target* target = llvm::TargetRegistry::lookupTarget(kTriple, error);
        EMU_CHECK(target != nullptr, "LLVM has no target {}: {}", kTriple, error);
        return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
            kTriple, "x86-64", "", llvm::TargetOptions(), llvm::Reloc::PIC_));
    }();
    return *machine;
}

void optimize(llvm::Module& module) {
    llvm::PassBuilder builder(&target_machine());
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager components;
    llvm::ModuleAnalysisManager modules;
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(components);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, components, modules);
    builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

}  // namespace

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context, const std::string& name) {
    auto module = std::make_unique<llvm::Module>(name, context);
    module->setDataLayout(target_machine().createDataLayout());
    module->setTargetTriple(kTriple);
    module->setPICLevel(llvm::PICLevel::BigPIC);
    return module;
}

std::string emit_object(llvm::Module& module) {
    std::string problems;
    llvm::raw_string_ostream report(problems);
    EMU_CHECK(!llvm::verifyModule(module, &report), "the module {} is not valid: {}",
              module.getName().str(), problems);
    optimize(module);
    llvm::SmallString<0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    bool refused = target_machine().addPassesToEmitFile(passes, stream, nullptr,
                                                        llvm::CodeGenFileType::ObjectFile);
    EMU_CHECK(!refused, "LLVM cannot emit an object");
    passes.run(module);
    return bytes.str().str();
}

std::string print_module(const llvm::Module& module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, nullptr);
    return text;
}

}  // namespace emulsion
