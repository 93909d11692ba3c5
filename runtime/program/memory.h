// The memory of one bound library: one block for each class, of exactly the stated size.
//
// Blocks come straight from the system (mmap) and are zero. Nothing but what the kernels touch
// becomes resident, and a block goes back to the system the moment it is released.
#pragma once
#include "runtime/abi/emulsion_abi.h"
#include "runtime/program/device.h"

namespace emulsion {

// Throws RuntimeError for a library's call that did not return EMULSION_OK; `text` is the library's
// own sentence, and may be null or empty.
[[noreturn]] void refuse_call(const emulsion_info& info, const char* action, int status,
                              const char* text);

// The sizes without what a library leaves alone where it runs there; on a device with the bytes
// that it takes of this one.
emulsion_sizes used_sizes(emulsion_sizes sizes, DeviceQuery query, const Device& device);

// The bytes that a library takes for so many threads (1 to EMULSION_MAX_THREADS).
template <typename Library>
emulsion_sizes query_sizes(const Library& library, int threads, const Device& device) {
    emulsion_sizes sizes{};
    const int status = library.sizes(threads, &sizes);
    if (status != EMULSION_OK) refuse_call(*library.info(), "sizes", status, nullptr);
    return used_sizes(sizes, library.device, device);
}

class MemoryBlocks {
  public:
    // With the block of parameters of another library (may_share_parameters), which outlives this
    // and stays the other's, or null: then it takes one too. Throws RuntimeError where the system
    // refuses a block.
    explicit MemoryBlocks(const emulsion_sizes& sizes, void* parameters = nullptr);
    ~MemoryBlocks();
    MemoryBlocks(const MemoryBlocks&) = delete;
    MemoryBlocks& operator=(const MemoryBlocks&) = delete;

    const emulsion_memory& memory() const { return memory_; }
    const emulsion_sizes& sizes() const { return memory_.sizes; }
    // The block to pass as `instance`.
    void* instance() const { return memory_.block[EMULSION_INSTANCE]; }

    // REQUIRES: no library is bound to the block.
    void release(emulsion_class memory_class);

  private:
    emulsion_memory memory_{};
    const void* borrowed_;  // the parameters of another, or null
};

// "parameters", "gradients", "state", "prepared", "workspace", "instance".
const char* memory_class_name(int memory_class);

// Whether a block of parameters can be both libraries': they keep the same tensors there, in the
// same places.
bool may_share_parameters(const emulsion_info& a, const emulsion_info& b);

// Copies every tensor of `to`, but what lies in a block of both, from the tensor of the same name
// in `from`; both libraries keep tensors in the same canonical layout. Throws RuntimeError where
// one is missing or of another shape.
void copy_tensors(const emulsion_info& from, const emulsion_memory& from_memory,
                  const emulsion_info& to, const emulsion_memory& to_memory);

// The name of the first tensor that holds an infinity or NaN, or null.
const char* find_not_finite(const emulsion_info& info, const emulsion_memory& memory);

}  // namespace emulsion
