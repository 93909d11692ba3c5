// The lowering pass of device kernels.
#include "compiler/codegen/device/lowering.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "compiler/codegen/device/private_registers.h"
#include "compiler/recipe/group.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace ir = Halide::Internal;
using Halide::Expr;

// Blocks along the second and third axis of a grid, of all three interfaces.
constexpr int64_t kMostBlocks = 65535;

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
        const auto value =
            ir::as_const_int(ir::simplify(ir::substitute("samples", Expr(batch_), extent)));
        if (!value)
            refuse(fmt::format("the loop {} has no constant extent", loop),
                   "bound the Func's coordinates");
        return *value;
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
        // Halide adds a number to names that it has used before.
        const bool is_inner = loop->name.find(".block_id_x") != std::string::npos;
        if (!is_inner && most(loop->extent, loop->name) > kMostBlocks) {
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
        ir::IRVisitor::visit(load);
    }
    void visit(const ir::Store* store) override {
        check_place(store->name);
        ir::IRVisitor::visit(store);
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
};

// Halide's code for OpenCL has no vectors of truth values and does not know that a strict
// comparison makes one: there the plain comparison, which no later step rearranges, stands for it.
// Whether a value is a number is asked of its bits.
class VectorComparisons : public ir::IRMutator {
  private:
    using ir::IRMutator::visit;

    Expr visit(const ir::Call* call) override {
        const bool is_lt = call->is_intrinsic(ir::Call::strict_lt);
        const bool is_le = call->is_intrinsic(ir::Call::strict_le);
        const bool is_eq = call->is_intrinsic(ir::Call::strict_eq);
        if (call->type.is_scalar() || !(is_lt || is_le || is_eq)) return IRMutator::visit(call);
        const Expr a = mutate(call->args[0]), b = mutate(call->args[1]);
        if (is_lt) return ir::LT::make(a, b);
        if (is_le) return ir::LE::make(a, b);
        if (!ir::equal(a, b)) return ir::EQ::make(a, b);
        const Halide::Type bits = Halide::UInt(32, call->type.lanes());
        constexpr uint32_t kMagnitude = 0x7FFFFFFF, kInfinity = 0x7F800000;
        return ir::LE::make(Halide::reinterpret(bits, a) & ir::make_const(bits, kMagnitude),
                            ir::make_const(bits, kInfinity));
    }
};

class DeviceLowering : public ir::IRMutator {
  public:
    DeviceLowering(const Isa& isa, int batch) : isa_(isa), batch_(batch) {}

    using ir::IRMutator::mutate;
    ir::Stmt mutate(const ir::Stmt& kernel) override {
        const ir::Stmt lowered = with_private_registers(VectorComparisons().mutate(kernel));
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
