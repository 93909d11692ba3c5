// Writes the structs of runtime/abi/instance.h as constants, the kernel calls and the exported
// functions.
#include "compiler/codegen/tables.h"

#include <cstddef>

#include "compiler/codegen/constants.h"
#include "compiler/codegen/info.h"
#include "compiler/codegen/llvm_object.h"
#include "compiler/codegen/manifest.h"
#include "compiler/graph/layout.h"
#include "compiler/graph/limits.h"
#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

using llvm::Constant;

int initializer_kind(const std::string& init) {
    return init == "normal"    ? EMULSION_NORMAL
           : init == "uniform" ? EMULSION_UNIFORM
                               : EMULSION_FILL;
}

class TableWriter {
  public:
    TableWriter(llvm::Module& module, std::string name, const Network& network, const Plan& plan,
                const std::vector<VariantKernels>& kernels)
        : module_(module),
          name_(std::move(name)),
          network_(network),
          plan_(plan),
          kernels_(kernels),
          write_(module),
          builder_(write_.builder()) {}

    void run() {
        Constant* variants = write_.table(all_variants(), "variants");  // fills kernel_lines_
        info_ = write_.constant(info_struct(write_, network_, plan_, kernel_lines_), "info");
        table_ = write_.constant(library(variants), "library");
        export_functions();
    }

  private:
    // ---- variants ----

    Constant* buffer(const PlannedBuffer& buffer, int batch) {
        std::vector<Constant*> dimensions;
        const std::vector<Dimension> shape =
            buffer.extents.empty() ? memory_dimensions(buffer.type, batch, buffer.pitch)
                                   : dense_dimensions(buffer.extents);
        for (const auto& [extent, stride] : shape) {
            dimensions.push_back(write_.structure({write_.i32(0), write_.i32(to_int(extent)),
                                                   write_.i32(to_int(stride)), write_.i32(0)}));
        }
        return write_.checked(
            write_.structure({write_.table(dimensions, "dimensions"), write_.null(),
                              write_.i64(buffer.offset),
                              write_.i32(static_cast<int32_t>(type_word(buffer.type.element))),
                              write_.i16(static_cast<int64_t>(dimensions.size())),
                              write_.i16(place_of(buffer.memory))}),
            sizeof(emulsion_buffer), "emulsion_buffer");
    }

    // int trampoline(emulsion_instance*): calls one kernel with its scalars and descriptors.
    llvm::Function* trampoline(const VariantPlan& variant, const PlannedCall& call,
                               const CompiledKernel& kernel) {
        auto* pointer = builder_.getPtrTy();
        auto* type = llvm::FunctionType::get(builder_.getInt32Ty(), {pointer}, false);
        auto* function =
            llvm::Function::Create(type, llvm::GlobalValue::PrivateLinkage, "call", module_);
        builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
        llvm::Value* instance = function->getArg(0);
        auto load = [&](llvm::Type* what, size_t offset) -> llvm::Value* {
            return builder_.CreateLoad(
                what, builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), instance, offset));
        };
        std::vector<llvm::Value*> arguments = {
            load(pointer, offsetof(emulsion_instance, workers)),
            load(builder_.getInt32Ty(), offsetof(emulsion_instance, samples))};
        for (const std::string& scalar : call.scalars)
            arguments.push_back(load_scalar(scalar, load));
        std::vector<int> buffers = call.buffers;
        buffers.insert(buffers.end(), call.scratch.begin(), call.scratch.end());
        for (int buffer : buffers) {
            size_t offset = sizeof(emulsion_instance) +
                            sizeof(emulsion_descriptor) * static_cast<size_t>(buffer);
            llvm::Value* descriptor =
                builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), instance, offset);
            const TensorType& seen = variant.buffers[static_cast<size_t>(buffer)].type;
            arguments.push_back(kernel.checked && seen.batched
                                    ? with_samples(descriptor, dimension_count(seen), arguments[1])
                                    : descriptor);
        }
        std::vector<llvm::Type*> types;
        for (llvm::Value* argument : arguments) types.push_back(argument->getType());
        auto* kernel_type = llvm::FunctionType::get(builder_.getInt32Ty(), types, false);
        builder_.CreateRet(builder_.CreateCall(
            module_.getOrInsertFunction(kernel.symbol, kernel_type), arguments));
        return function;
    }

    // A copy of a batched tensor's descriptor in which the extent of n is `samples`: a checked
    // kernel compares the two.
    llvm::Value* with_samples(llvm::Value* descriptor, int rank, llvm::Value* samples) {
        auto* byte = builder_.getInt8Ty();
        auto place = [&](llvm::Value* start, size_t offset) {
            return builder_.CreateConstInBoundsGEP1_64(byte, start, offset);
        };
        auto block = [&](size_t bytes) {
            return builder_.CreateAlloca(llvm::ArrayType::get(builder_.getInt64Ty(), bytes / 8));
        };
        const auto last = static_cast<size_t>(rank - 1) * sizeof(emulsion_dimension);
        const llvm::Align align(4);
        llvm::Value* copy = block(sizeof(emulsion_descriptor));
        llvm::Value* dimensions = block(last + sizeof(emulsion_dimension));
        builder_.CreateMemCpy(copy, align, descriptor, align, sizeof(emulsion_descriptor));
        llvm::Value* pointer = place(copy, offsetof(emulsion_descriptor, dimensions));
        builder_.CreateMemCpy(dimensions, align, builder_.CreateLoad(builder_.getPtrTy(), pointer),
                              align, last + sizeof(emulsion_dimension));
        builder_.CreateStore(samples,
                             place(dimensions, last + offsetof(emulsion_dimension, extent)));
        builder_.CreateStore(dimensions, pointer);
        return copy;
    }

    template <class Load>
    llvm::Value* load_scalar(const std::string& scalar, const Load& load) {
        if (scalar == "learning_rate") {
            return load(builder_.getFloatTy(), offsetof(emulsion_instance, learning_rate));
        }
        size_t offset = 0;
        if (scalar == "seed_low") offset = offsetof(emulsion_instance, seed_low);
        if (scalar == "seed_high") offset = offsetof(emulsion_instance, seed_high);
        if (scalar == "step_low") offset = offsetof(emulsion_instance, step_low);
        if (scalar == "step_high") offset = offsetof(emulsion_instance, step_high);
        EMU_CHECK(offset != 0, "the scalar '{}' is unknown", scalar);
        return load(builder_.getInt32Ty(), offset);
    }

    // The calls of one stage as an emulsion_sequence.
    Constant* sequence(const VariantPlan& variant, const VariantKernels& kernels,
                       const BatchPlan* batch, Stage stage) {
        std::vector<Constant*> functions;
        auto first = static_cast<int64_t>(kernel_lines_.size());
        for (const PlannedCall& call :
             batch == nullptr ? std::vector<PlannedCall>() : batch->calls) {
            if (call.stage != stage) continue;
            auto index = static_cast<size_t>(call.kernel);
            functions.push_back(trampoline(variant, call, kernels[index]));
            kernel_lines_.push_back(call_line(variant, call));
        }
        return write_.checked(write_.structure({write_.table(functions, "kernels"),
                                                write_.i32(static_cast<int64_t>(functions.size())),
                                                write_.i32(first)}),
                              sizeof(emulsion_sequence), "emulsion_sequence");
    }

    Constant* bindings(const std::vector<std::pair<int, int>>& list) {
        std::vector<Constant*> values;
        for (auto [buffer, port] : list)
            values.push_back(write_.structure({write_.i32(buffer), write_.i32(port)}));
        return write_.table(values, "bindings");
    }

    Constant* batch_plan(const VariantPlan& variant, const VariantKernels& kernels,
                         const BatchPlan& batch) {
        return write_.checked(
            write_.structure({write_.i32(batch.batch),
                              write_.i32(static_cast<int64_t>(batch.inputs.size())),
                              write_.i32(static_cast<int64_t>(batch.outputs.size())), write_.i32(0),
                              bindings(batch.inputs), bindings(batch.outputs),
                              sequence(variant, kernels, &batch, Stage::forward),
                              sequence(variant, kernels, &batch, Stage::backward)}),
            sizeof(emulsion_plan), "emulsion_plan");
    }

    Constant* smaller_batches(const VariantPlan& variant) {
        std::vector<Constant*> rows;
        for (const BatchMemory& row : variant.smaller)
            rows.push_back(
                write_.checked(write_.structure({write_.i32(row.batch), write_.i32(0),
                                                 write_.i64(row.bytes), write_.i64(row.largest)}),
                               sizeof(emulsion_smaller_batch), "emulsion_smaller_batch"));
        return write_.table(rows, "smaller");
    }

    Constant* variant_entry(const VariantPlan& variant, const VariantKernels& kernels) {
        std::vector<Constant*> buffers, plans;
        int batch = variant.batches.back().batch;
        for (const PlannedBuffer& b : variant.buffers) buffers.push_back(buffer(b, batch));
        for (const BatchPlan& b : variant.batches) plans.push_back(batch_plan(variant, kernels, b));
        VariantBytes bytes = bytes_of(variant, kernels);
        const uint32_t cpu = emulsion_isa_features(variant.isa.name.c_str());
        const BatchPlan* first = &variant.batches.front();
        return write_.checked(
            write_.structure(
                {write_.i32(cpu), write_.i32(static_cast<int64_t>(buffers.size())),
                 write_.table(buffers, "buffers"), write_.i64(variant.prepared_bytes),
                 write_.i64(variant.activation_bytes), write_.i64(bytes.slab0),
                 write_.i64(bytes.slab), write_.i32(static_cast<int64_t>(plans.size())),
                 write_.i32(static_cast<int64_t>(variant.smaller.size())),
                 write_.table(plans, "plans"), sequence(variant, kernels, first, Stage::prepare),
                 sequence(variant, kernels, first, Stage::update), device_of(variant.isa),
                 smaller_batches(variant)}),
            sizeof(emulsion_variant), "emulsion_variant");
    }

    // The interface of a variant for devices; null of one for processors.
    Constant* device_of(const Isa& isa) {
        if (!isa.is_device()) return write_.null();
        return llvm::cast<Constant>(
            module_.getOrInsertGlobal("emulsion_" + isa.name, builder_.getInt8Ty()));
    }

    std::vector<Constant*> all_variants() {
        std::vector<Constant*> entries;
        for (size_t i = 0; i < plan_.variants.size(); i++) {
            entries.push_back(variant_entry(plan_.variants[i], kernels_[i]));
        }
        return entries;
    }

    // ---- library ----

    Constant* initializers(int64_t& count) {
        std::vector<Constant*> entries;
        for (size_t i = 0; i < plan_.tensors.size() && plan_.training; i++) {
            const PlannedTensor& tensor = plan_.tensors[i];
            if (tensor.init == "fill" && tensor.init_value == 0) continue;
            entries.push_back(
                write_.checked(write_.structure({write_.i32(static_cast<int64_t>(i)),
                                                 write_.i32(initializer_kind(tensor.init)),
                                                 write_.f32(tensor.init_value), write_.i32(0)}),
                               sizeof(emulsion_initializer), "emulsion_initializer"));
        }
        count = static_cast<int64_t>(entries.size());
        return write_.table(entries, "initializers");
    }

    Constant* library(Constant* variants) {
        int64_t loss = -1;
        for (size_t i = 0; i < plan_.outputs.size(); i++) {
            if (plan_.training && plan_.outputs[i].name == "loss") loss = static_cast<int64_t>(i);
        }
        std::vector<Constant*> bytes(EMULSION_CLASSES, write_.i64(0));
        bytes[EMULSION_PARAMETERS] = write_.i64(plan_.parameter_bytes);
        bytes[EMULSION_GRADIENTS] = write_.i64(plan_.gradient_bytes);
        bytes[EMULSION_STATE] = write_.i64(plan_.state_bytes);
        int64_t initializer_count = 0;
        Constant* first_values = initializers(initializer_count);
        return write_.checked(
            write_.structure(
                {info_, variants, write_.i32(static_cast<int64_t>(plan_.variants.size())),
                 write_.i32(loss), write_.array(builder_.getInt64Ty(), bytes), first_values,
                 write_.i32(initializer_count), write_.i32(plan_.training)}),
            sizeof(emulsion_library), "emulsion_library");
    }

    // ---- exported functions ----

    // NAME_ending(args…) { return emulsion_library_ending(&library, args…); }
    void forward(const std::string& ending, llvm::Type* result,
                 const std::vector<llvm::Type*>& parameters) {
        std::vector<llvm::Type*> inner = {builder_.getPtrTy()};
        inner.insert(inner.end(), parameters.begin(), parameters.end());
        auto callee = module_.getOrInsertFunction("emulsion_library_" + ending,
                                                  llvm::FunctionType::get(result, inner, false));
        auto* function = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false),
                                                llvm::GlobalValue::ExternalLinkage,
                                                name_ + "_" + ending, module_);
        builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
        std::vector<llvm::Value*> arguments = {table_};
        for (llvm::Argument& argument : function->args()) arguments.push_back(&argument);
        llvm::CallInst* call = builder_.CreateCall(callee, arguments);
        call->setTailCall();
        builder_.CreateRet(call);
    }

    void export_functions() {
        llvm::Type* pointer = builder_.getPtrTy();
        llvm::Type* status = builder_.getInt32Ty();
        auto* info =
            llvm::Function::Create(llvm::FunctionType::get(pointer, {}, false),
                                   llvm::GlobalValue::ExternalLinkage, name_ + "_info", module_);
        builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", info));
        builder_.CreateRet(info_);
        forward("sizes", status, {status, pointer});
        forward("device", status, {status, pointer});
        forward("speed", status, {status, pointer});
        forward("bind", status, {pointer, pointer, pointer});
        forward("wait", status, {pointer});
        forward("error", pointer, {pointer});
        forward("unbind", status, {pointer});
        if (plan_.training) {
            forward("init", status, {builder_.getInt64Ty(), pointer});
            forward("upload", status, {pointer, status});
            forward("download", status, {pointer, status});
            if (!plan_.update_at_once) {
                forward("forward_backward", status, {pointer, pointer});
                forward("update", status, {pointer, builder_.getFloatTy()});
            }
            forward("step", status, {pointer, pointer, builder_.getFloatTy()});
        } else {
            forward("prepare", status, {pointer});
            forward("run", status, {pointer, pointer});
        }
    }

    llvm::Module& module_;
    std::string name_;
    const Network& network_;
    const Plan& plan_;
    const std::vector<VariantKernels>& kernels_;
    ConstantWriter write_;
    llvm::IRBuilder<>& builder_;
    llvm::GlobalVariable* info_ = nullptr;
    llvm::GlobalVariable* table_ = nullptr;
    std::vector<std::string> kernel_lines_;
};

}  // namespace

std::unique_ptr<llvm::Module> library_module(llvm::LLVMContext& context, const std::string& name,
                                             const Network& network, const Plan& plan,
                                             const std::vector<VariantKernels>& kernels) {
    std::unique_ptr<llvm::Module> module = make_module(context, name);
    TableWriter(*module, name, network, plan, kernels).run();
    return module;
}

}  // namespace emulsion
