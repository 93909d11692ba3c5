// LLVM's in-memory linker around one object.
#include "compiler/codegen/loader.h"

#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/TargetSelect.h>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

[[noreturn]] void fail_load(llvm::Error error) {
    fail("load", fmt::format("an object cannot be loaded: {}", llvm::toString(std::move(error))),
         "build it anew with this version");
}

template <class T>
T take(llvm::Expected<T> value) {
    if (!value) fail_load(value.takeError());
    return std::move(*value);
}

}  // namespace

struct LoadedObject::Implementation {
    std::unique_ptr<llvm::orc::LLJIT> jit;
};

LoadedObject::LoadedObject(const std::string& object, const std::map<std::string, void*>& symbols)
    : implementation_(std::make_unique<Implementation>()) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    llvm::orc::LLJITBuilder builder;
    builder.setObjectLinkingLayerCreator(
        [](llvm::orc::ExecutionSession& session,
           const llvm::Triple&) -> llvm::Expected<std::unique_ptr<llvm::orc::ObjectLayer>> {
            auto manager = llvm::jitlink::InProcessMemoryManager::Create();
            if (!manager) return manager.takeError();
            return std::make_unique<llvm::orc::ObjectLinkingLayer>(session, std::move(*manager));
        });
    implementation_->jit = take(builder.create());
    llvm::orc::LLJIT& jit = *implementation_->jit;
    jit.getMainJITDylib().addGenerator(
        take(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess('\0')));
    llvm::orc::SymbolMap given;
    for (const auto& [name, address] : symbols)
        given[jit.mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                            llvm::JITSymbolFlags::Exported};
    if (llvm::Error error =
            jit.getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(given)))) {
        fail_load(std::move(error));
    }
    if (llvm::Error error =
            jit.addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object, "object"))) {
        fail_load(std::move(error));
    }
}

LoadedObject::~LoadedObject() = default;

void* LoadedObject::find(std::string_view symbol) const {
    auto address = implementation_->jit->lookup(llvm::StringRef(symbol.data(), symbol.size()));
    if (!address) {
        llvm::consumeError(address.takeError());
        return nullptr;
    }
    return address->toPtr<void*>();
}

}  // namespace emulsion
