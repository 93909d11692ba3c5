// Runs compiled kernels as they ship: their objects, linked with the C code of generated libraries,
// are loaded into this process and get a thread pool and slabs as in a network. Belongs into a
// forked process, since a kernel that is wrong may do anything.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/loader.h"
#include "runtime/abi/instance.h"
#include "schedules/tune/guarded_block.h"

namespace emulsion {

// What one call of a kernel gets: its buffers, operands then results, and its scalars, in the
// group's order.
struct KernelArguments {
    std::vector<void*> buffers;
    std::vector<uint64_t> integers;
    std::vector<float> numbers;
};

// Values for the operands of a group, of `samples` samples, drawn from `seed`: numbers in (-1, 1),
// in (0.1, 0.9) where there is one for each channel (what is a variance is positive), indices below
// their limits; lanes that only fill a block are zero. Of channels among others, the others are
// there too.
class OperandValues {
  public:
    OperandValues(const Group& group, int64_t samples, uint64_t seed);

    int64_t samples() const { return samples_; }
    // Operands and scalars; the results are still to be added.
    KernelArguments arguments() const;
    // By the operand's place.
    void* operand(size_t i) const { return blocks_[i].data(); }

  private:
    int64_t samples_;
    std::vector<GuardedBlock> blocks_;
    std::vector<uint64_t> integers_;
    std::vector<float> numbers_;
};

// Blocks for the results of a group, and a call's arguments with them.
std::vector<GuardedBlock> result_blocks(const Group& group, int64_t samples,
                                        GuardedBlock::Sharing sharing = GuardedBlock::Sharing::no);
KernelArguments with_results(KernelArguments arguments, const std::vector<GuardedBlock>& results);

// Copies of a group's tensors, which calls take in turn, so that each finds them as cold as the
// bytes of all copies make them. Operands are never written: results are apart from them, and what
// a kernel would update in place starts from the same values in each call.
class RotatingTensors {
  public:
    // As many copies as make `bytes` together, at least one.
    RotatingTensors(const Group& group, const OperandValues& values, int64_t bytes);

    size_t copies() const { return copies_.size(); }
    const KernelArguments& next() {
        place_ = place_ + 1 < copies_.size() ? place_ + 1 : 0;
        return copies_[place_];
    }

  private:
    std::vector<GuardedBlock> blocks_;  // of each tensor, its copies side by side
    std::vector<KernelArguments> copies_;
    size_t place_ = 0;
};

class KernelSession {
  public:
    struct Entry {
        const Group* group;
        const CompiledKernel* kernel;
    };
    // The kernels have different symbols. Throws Error and std::bad_alloc.
    KernelSession(const std::vector<Entry>& entries, int threads);
    ~KernelSession();
    KernelSession(const KernelSession&) = delete;
    KernelSession& operator=(const KernelSession&) = delete;

    // Calls kernel k `count` times in a row and returns the seconds of one call. Throws
    // std::runtime_error where it returns an error.
    double run(size_t k, int64_t samples, const KernelArguments& arguments, int count = 1);
    // The same, each call on the next of the tensors.
    double run(size_t k, int64_t samples, RotatingTensors& tensors, int count);

    // Throws std::runtime_error where a kernel wrote beside its slab.
    void check_slabs() const;

  private:
    struct Kernel {
        void* function = nullptr;
        std::vector<std::vector<emulsion_dimension>> shapes;
        std::vector<emulsion_descriptor> descriptors;
        std::vector<GuardedBlock> scratch;  // of the last descriptors
    };
    template <class Next>
    double run_calls(Kernel& kernel, int64_t samples, int count, const Next& next);
    Kernel make_kernel(const Entry& entry) const;
    void bind(int threads);

    std::unique_ptr<LoadedObject> object_;
    std::vector<Kernel> kernels_;
    int64_t slab0_bytes_ = 0, slab_bytes_ = 0;
    std::vector<const char*> variant_names_{"kernel"};
    emulsion_variant variant_{};
    emulsion_info info_{};
    emulsion_library library_{};
    std::vector<GuardedBlock> memory_;
    std::vector<GuardedBlock> slabs_;
    emulsion_instance* instance_ = nullptr;
};

}  // namespace emulsion
