// Memory of OpenCL as a program that uses a library has it: a context and buffers of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/abi/opencl_driver.h"

namespace emulsion::test {

// A context on a device, and what is made in it. Fails the test where the driver refuses.
class OpenClMemory {
  public:
    explicit OpenClMemory(void* device);
    ~OpenClMemory();
    OpenClMemory(const OpenClMemory&) = delete;
    OpenClMemory& operator=(const OpenClMemory&) = delete;

    void* context() const { return context_; }
    // Filled with `kPattern`, unless the flags hand in memory of the host.
    static constexpr uint8_t kPattern = 0x5a;
    void* buffer(size_t bytes, uint64_t flags = CL_MEM_READ_WRITE, void* host = nullptr);
    void* part(void* buffer, size_t bytes);
    std::vector<uint8_t> read(void* buffer, size_t bytes) const;

  private:
    const emulsion_opencl_driver& cl_;
    void *context_ = nullptr, *queue_ = nullptr;
    std::vector<void*> buffers_;
};

// The device of this index as the runtime counts them.
void* opencl_device(int index);

}  // namespace emulsion::test
