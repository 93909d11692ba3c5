// A visitor over Halide's lowered statements.
#include "compiler/codegen/lowered.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/support/diagnostic.h"
#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

namespace ir = Halide::Internal;

// Halide keeps constant allocations up to this size on the real stack.
constexpr int64_t kStackBytes = 16 << 10;

// Deepest sum of slab allocations of one function, and whether it starts parallel loops. Halide
// turns the body of each parallel loop into a function of its own, called through
// halide_do_par_for.
class Storage : public ir::IRVisitor {
  public:
    int64_t deepest = 0;
    bool starts_loops = false;

  private:
    using ir::IRVisitor::visit;

    void visit(const ir::Allocate* node) override {
        int64_t bytes = node->constant_allocation_size();
        if (bytes == 0 && !node->extents.empty()) {
            fail("storage", fmt::format("the storage of '{}' has no constant size", node->name),
                 "bound_storage each axis that depends on samples or on a tile");
        }
        bytes = std::max<int64_t>(bytes, 1) * node->type.bytes();
        bytes += int64_t{node->padding} * node->type.bytes();
        bool on_stack = bytes <= kStackBytes && node->memory_type != Halide::MemoryType::Heap;
        int64_t taken =
            on_stack ? 0
                     : static_cast<int64_t>(emulsion_slab_bytes_of(static_cast<uint64_t>(bytes)));
        depth_ += taken;
        deepest = std::max(deepest, depth_);
        ir::IRVisitor::visit(node);
        depth_ -= taken;
    }

    void visit(const ir::Call* node) override {
        if (node->name == "halide_do_par_for" || node->name == "halide_do_parallel_tasks")
            starts_loops = true;
        ir::IRVisitor::visit(node);
    }

    int64_t depth_ = 0;
};

}  // namespace

SlabNeed inspect_module(const Halide::Module& module) {
    int64_t serial = 0, loops = 0;
    for (const ir::LoweredFunc& function : module.functions()) {
        Storage storage;
        function.body.accept(&storage);
        if (function.linkage == Halide::LinkageType::Internal) {
            if (storage.starts_loops) {
                fail("nested_parallel",
                     fmt::format("'{}' starts a parallel loop inside another", function.name),
                     "fuse the parallel axes into one");
            }
            loops = std::max(loops, storage.deepest);
        } else {
            serial = std::max(serial, storage.deepest);
        }
    }
    return {serial + loops, loops};
}

}  // namespace emulsion
