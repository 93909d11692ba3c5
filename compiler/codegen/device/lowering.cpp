// The lowering pass of device kernels.
#include "compiler/codegen/device/lowering.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "compiler/codegen/device/lets.h"
#include "compiler/codegen/device/private_registers.h"
#include "compiler/codegen/device/vulkan_forms.h"
#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace ir = Halide::Internal;
using Halide::Expr;

constexpr int kMostLanes = 4;  // of a vector in a module for Vulkan

[[noreturn]] void refuse(const std::string& what, const std::string& fix) {
    fail("device", what, fix);
}

class Check : public ir::IRVisitor {
  public:
    Check(const Isa& isa, int batch) : isa_(isa), batch_(batch) {}

  private:
    using ir::IRVisitor::visit;

    // The value for the most samples.
    int64_t most(const Expr& extent, const std::string& loop) const {
        const auto value = ir::as_const_int(
            ir::simplify(ir::substitute("samples", Expr(batch_), lets_.resolved(extent))));
        if (!value)
            refuse(fmt::format("the loop {} has no constant extent", loop),
                   "bound the Func's coordinates");
        return *value;
    }

    void visit(const ir::LetStmt* let) override {
        let->value.accept(this);
        lets_.push(let->name, let->value);
        let->body.accept(this);
        lets_.pop();
    }

    void visit(const ir::For* loop) override {
        if (loop->for_type == ir::ForType::GPUBlock) {
            visit_blocks(loop);
        } else if (loop->for_type == ir::ForType::GPUThread ||
                   loop->for_type == ir::ForType::GPULane) {
            const int64_t outside =
                std::exchange(threads_, threads_ * most(loop->extent, loop->name));
            if (threads_ > isa_.block_threads) {
                refuse(fmt::format("a block has {} threads, but {} allows {}", threads_, isa_.name,
                                   isa_.block_threads),
                       "choose smaller tiles");
            }
            ir::IRVisitor::visit(loop);
            threads_ = outside;
        } else {
            ir::IRVisitor::visit(loop);
        }
    }

    void visit_blocks(const ir::For* loop) {
        const bool is_long =
            isa_.name != "vulkan" && ir::ends_with(loop->name, ir::gpu_block_name(0));
        if (!is_long && most(loop->extent, loop->name) > kMostBlocks) {
            refuse(fmt::format("the loop {} has {} blocks, but its axis takes {}", loop->name,
                               most(loop->extent, loop->name), kMostBlocks),
                   "put the longest axis innermost");
        }
        const bool was_in_block = std::exchange(in_block_, true);
        ir::IRVisitor::visit(loop);
        in_block_ = was_in_block;
    }

    void visit(const ir::Allocate* allocation) override {
        const int64_t bytes =
            int64_t{allocation->constant_allocation_size()} * allocation->type.bytes();
        if (!in_block_) {
            refuse(fmt::format("'{}' would be allocated with each call", allocation->name),
                   "name it in Recipe::scratch");
        }
        if (allocation->memory_type == Halide::MemoryType::Heap) {
            refuse(fmt::format("'{}' lies on the heap of a block", allocation->name),
                   "keep it in registers or in shared memory");
        }
        const bool is_shared = allocation->memory_type == Halide::MemoryType::GPUShared;
        if (is_shared && bytes == 0) {
            refuse(fmt::format("the shared memory of '{}' has no constant size", allocation->name),
                   "bound the storage of its axes");
        }
        const int64_t outside = shared_bytes_;
        if (is_shared) shared_bytes_ += bytes;
        if (shared_bytes_ > isa_.shared_bytes) {
            refuse(fmt::format("a block has {} bytes of shared memory, but {} allows {}",
                               shared_bytes_, isa_.name, isa_.shared_bytes),
                   "choose smaller tiles");
        }
        ir::IRVisitor::visit(allocation);
        shared_bytes_ = outside;
    }

    void visit(const ir::Load* load) override {
        check_place(load->name);
        check_vector(load->type, load->predicate);
        ir::IRVisitor::visit(load);
    }
    void visit(const ir::Store* store) override {
        check_place(store->name);
        check_vector(store->value.type(), store->predicate);
        ir::IRVisitor::visit(store);
    }
    void visit(const ir::Ramp* ramp) override {
        check_vector(ramp->type);
        ir::IRVisitor::visit(ramp);
    }
    void visit(const ir::Broadcast* node) override {
        check_vector(node->type);
        ir::IRVisitor::visit(node);
    }
    void visit(const ir::Shuffle* node) override {
        check_vector(node->type);
        ir::IRVisitor::visit(node);
    }
    // Halide makes modules of what vectors of Vulkan cannot be.
    void check_vector(const Halide::Type& type,
                      const Expr& predicate = Halide::Internal::const_true()) const {
        if (isa_.name != "vulkan" || !in_block_) return;
        if (type.lanes() > kMostLanes) {
            refuse(fmt::format("a vector has {} lanes, but {} allows {}", type.lanes(), isa_.name,
                               kMostLanes),
                   "vectorize by four, over elements that lie side by side");
        }
        if (type.is_vector() && !ir::is_const_one(predicate)) {
            refuse(fmt::format("lanes of a vector are left out, which {} cannot", isa_.name),
                   "let vectors divide the axis");
        }
    }
    void check_place(const std::string& name) const {
        if (in_block_) return;
        refuse(fmt::format("'{}' would be computed or read by the processor", name),
               "give each stage of its Func blocks and threads");
    }

    const Isa& isa_;
    int batch_;
    bool in_block_ = false;
    int64_t threads_ = 1;
    int64_t shared_bytes_ = 0;
    Lets lets_;
};

// Halide's code for OpenCL has no vectors of truth values and does not know that a strict
// comparison makes one: there the plain comparison, which no later step rearranges, stands for it.
// Whether a value is a number is asked of its bits; on Vulkan, where drivers may take that for
// granted, of scalars too.
class Comparisons : public ir::IRMutator {
  public:
    explicit Comparisons(bool of_scalars) : of_scalars_(of_scalars) {}

  private:
    using ir::IRMutator::visit;

    Expr visit(const ir::Call* call) override {
        const bool is_lt = call->is_intrinsic(ir::Call::strict_lt);
        const bool is_le = call->is_intrinsic(ir::Call::strict_le);
        const bool is_eq = call->is_intrinsic(ir::Call::strict_eq);
        const bool is_meant = call->type.is_vector() || of_scalars_;
        if (!is_meant || !(is_lt || is_le || is_eq)) return IRMutator::visit(call);
        const Expr a = mutate(call->args[0]), b = mutate(call->args[1]);
        if (is_lt) return ir::LT::make(a, b);
        if (is_le) return ir::LE::make(a, b);
        if (!ir::equal(a, b)) return ir::EQ::make(a, b);
        const Halide::Type bits = Halide::UInt(32, call->type.lanes());
        constexpr uint32_t kMagnitude = 0x7FFFFFFF, kInfinity = 0x7F800000;
        return ir::LE::make(Halide::reinterpret(bits, a) & ir::make_const(bits, kMagnitude),
                            ir::make_const(bits, kInfinity));
    }

    bool of_scalars_;
};

class DeviceLowering : public ir::IRMutator {
  public:
    DeviceLowering(const Isa& isa, int batch) : isa_(isa), batch_(batch) {}

    using ir::IRMutator::mutate;
    ir::Stmt mutate(const ir::Stmt& kernel) override {
        const bool is_vulkan = isa_.name == "vulkan";
        ir::Stmt lowered = with_private_registers(Comparisons(is_vulkan).mutate(kernel));
        if (is_vulkan) lowered = with_vulkan_forms(lowered, batch_);
        check_device_kernel(lowered, isa_, batch_);
        return lowered;
    }

  private:
    const Isa& isa_;
    int batch_;
};

}  // namespace

void check_device_kernel(const ir::Stmt& kernel, const Isa& isa, int batch) {
    Check check(isa, batch);
    kernel.accept(&check);
}

void add_device_lowering(Halide::Pipeline& pipeline, const Isa& isa, int batch) {
    if (isa.is_device()) pipeline.add_custom_lowering_pass(new DeviceLowering(isa, batch));
}

}  // namespace emulsion
