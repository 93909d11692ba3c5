// Runs single kernels as they ship, or with Halide's asserts, on memory of exact size between
// protected pages.
//
// A kernel's object is linked with the C code of generated libraries, loaded into this process and
// bound on a table made by hand. Each buffer, and each worker's slab, is a block of its own that
// touches a page nobody may read or write: the one in front of it or the one behind it. A kernel
// that leaves its blocks ends the test, and the test says which kernel it was.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/loader.h"
#include "runtime/abi/instance.h"
#include "tests/reference/interpreter.h"

namespace emulsion::test {

// The end of a block that touches a protected page.
enum class Edge { front, back };

// Bytes between two protected pages, aligned to 64. The rest of the last page (or of the first)
// holds a pattern.
class GuardedBlock {
  public:
    GuardedBlock(size_t bytes, Edge edge);
    ~GuardedBlock();
    GuardedBlock(const GuardedBlock&) = delete;
    GuardedBlock& operator=(const GuardedBlock&) = delete;

    std::byte* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    // False where somebody wrote to the pages of the block, but beside it.
    bool is_pattern_intact() const;

  private:
    std::byte* pages_ = nullptr;  // the protected page in front
    size_t inner_bytes_ = 0;      // of the pages between the protected ones
    std::byte* data_ = nullptr;
    size_t bytes_ = 0;
};

// Names the work in hand in the message that a fault prints before it ends the process.
class FaultNote {
  public:
    explicit FaultNote(const std::string& text);
    ~FaultNote();
};

// Calls a compiled kernel with words (worker, samples, integers, buffers) and floats, and returns
// what it returns.
int call_kernel(void* kernel, std::vector<uint64_t> words, std::vector<float> numbers);

class KernelHarness {
  public:
    // `compiled` is the group's kernel, built with or without `checked` as said. REQUIRES: the
    // group outlives it.
    KernelHarness(const Group& group, const CompiledKernel& compiled, bool checked,
                  int threads = 2);
    ~KernelHarness();
    KernelHarness(const KernelHarness&) = delete;
    KernelHarness& operator=(const KernelHarness&) = delete;

    // The bytes in memory of the group's results, of `samples` samples. `sources` holds a value for
    // each source of the group's body. Fails the test where the kernel returns an error or writes
    // beside its blocks.
    std::vector<std::vector<std::byte>> run(const reference::Sources& sources, int64_t samples,
                                            Edge edge);

  private:
    struct Operands;
    int call(const Operands& operands, int64_t samples);
    size_t span_of(size_t i, int64_t samples) const;  // bytes of buffer i
    // Calls `visit` with the place in the block and in the packed tensor, and the bytes, of each
    // piece of buffer i that lies without gaps.
    void for_each_row(size_t i, int64_t samples,
                      const std::function<void(size_t, size_t, size_t)>& visit) const;
    void set_descriptors(const Operands& operands, int64_t samples);

    const Group& group_;
    bool checked_;
    int64_t slab0_bytes_, slab_bytes_;
    std::unique_ptr<LoadedObject> object_;
    void* kernel_ = nullptr;
    std::vector<TensorType> types_;  // of the buffers: operands, results, scratch
    size_t results_end_ = 0;
    std::vector<size_t> scratch_bytes_;
    std::vector<std::vector<emulsion_dimension>> shapes_;  // of the buffers
    std::vector<emulsion_buffer> buffers_;
    std::vector<const char*> variant_names_;
    emulsion_variant variant_{};
    emulsion_info info_{};
    emulsion_library library_{};
    std::vector<std::unique_ptr<GuardedBlock>> memory_;  // of the instance
    emulsion_instance* instance_ = nullptr;
};

// Random values for the sources of a group: normal numbers, class indices below `classes` for i32,
// and winning taps of the windows that read them for u8.
reference::Sources random_sources(const Group& group, int64_t samples, int64_t classes,
                                  uint64_t seed = 1);

}  // namespace emulsion::test
