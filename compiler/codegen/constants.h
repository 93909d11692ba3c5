// Writes C constants in LLVM IR: scalars, strings, structs and arrays with the layout of C on
// x86-64.
#pragma once

#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compiler/support/diagnostic.h"

namespace emulsion {

class ConstantWriter {
  public:
    explicit ConstantWriter(llvm::Module& module)
        : module_(module), builder_(module.getContext()) {}

    llvm::IRBuilder<>& builder() { return builder_; }
    llvm::Constant* i16(int64_t value) {
        EMU_CHECK(std::in_range<int16_t>(value), "{} has no 16 bits", value);
        return builder_.getInt16(static_cast<uint16_t>(value));
    }
    // A number of either sign.
    llvm::Constant* i32(int64_t value) {
        EMU_CHECK(std::in_range<int32_t>(value) || std::in_range<uint32_t>(value),
                  "{} has no 32 bits", value);
        return builder_.getInt32(static_cast<uint32_t>(value));
    }
    llvm::Constant* i64(int64_t value) { return builder_.getInt64(static_cast<uint64_t>(value)); }
    llvm::Constant* f32(double value) {
        return llvm::ConstantFP::get(builder_.getFloatTy(),
                                     static_cast<double>(static_cast<float>(value)));
    }
    llvm::Constant* null() { return llvm::ConstantPointerNull::get(builder_.getPtrTy()); }

    // Address of a text ending in a zero byte; equal texts share one.
    llvm::Constant* text(const std::string& value) {
        llvm::GlobalVariable*& global = texts_[value];
        if (global == nullptr) {
            global =
                constant(llvm::ConstantDataArray::getString(module_.getContext(), value), "text");
            global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
        }
        return global;
    }
    llvm::Constant* structure(const std::vector<llvm::Constant*>& fields) {
        return llvm::ConstantStruct::getAnon(module_.getContext(), fields);
    }
    llvm::Constant* array(llvm::Type* type, const std::vector<llvm::Constant*>& values) {
        return llvm::ConstantArray::get(llvm::ArrayType::get(type, values.size()), values);
    }
    // Address of an array of structs of one type; null if empty.
    llvm::Constant* table(const std::vector<llvm::Constant*>& values, const char* name) {
        if (values.empty()) return null();
        return constant(array(values[0]->getType(), values), name);
    }
    // A private constant.
    llvm::GlobalVariable* constant(llvm::Constant* value, const char* name) {
        return new llvm::GlobalVariable(module_, value->getType(), /*isConstant=*/true,
                                        llvm::GlobalValue::PrivateLinkage, value, name);
    }
    // The struct, whose layout must have as many bytes as that of C.
    llvm::Constant* checked(llvm::Constant* value, size_t bytes, const char* what) const {
        EMU_CHECK(size_of(value) == bytes, "{} has {} bytes in IR and {} in C", what,
                  size_of(value), bytes);
        return value;
    }
    // Bytes that C counts for the struct.
    size_t size_of(llvm::Constant* value) const {
        return module_.getDataLayout().getTypeAllocSize(value->getType());
    }

  private:
    llvm::Module& module_;
    llvm::IRBuilder<> builder_;
    std::map<std::string, llvm::GlobalVariable*> texts_;
};

}  // namespace emulsion
