// A driver of CUDA for tests on machines without one: the device's memory is the process's, kernels
// that the tests know run on the processor, and everything that is asked is counted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "runtime/abi/cuda_driver.h"

namespace emulsion::test {

// What cuLaunchKernel was asked for.
struct CudaLaunch {
    std::string kernel;
    unsigned blocks[3], threads[3], shared;
    void* stream;
    std::vector<uint64_t> addresses;  // its parameters of 64 bits
};

// In use while it lives, one at a time.
class CudaStandIn {
  public:
    // Begins where the driver's blocks do, at a multiple of 512.
    template <class T>
    struct Aligned {
        using value_type = T;
        static T* allocate(size_t count) {
            return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{512}));
        }
        static void deallocate(T* begin, size_t) {
            ::operator delete(begin, std::align_val_t{512});
        }
        bool operator==(const Aligned&) const = default;
    };
    using Bytes = std::vector<std::byte, Aligned<std::byte>>;

    CudaStandIn();
    ~CudaStandIn();
    CudaStandIn(const CudaStandIn&) = delete;
    CudaStandIn& operator=(const CudaStandIn&) = delete;

    // What the devices are.
    int devices = 1;
    std::string name = "toy";
    size_t memory = size_t{1} << 30;
    int capability = 90;
    int most_threads = 1024;
    // What blocks of memory are, as pointer attributes tell.
    unsigned memory_kind = CU_MEMORYTYPE_DEVICE;
    int memory_device = 0;
    void* memory_context = nullptr;
    std::string log;  // of the compiler, where cuModuleLoadDataEx fails
    // A code for each function (by its symbol) that is to fail.
    std::map<std::string, int> failing;
    // How kernels run on the processor; others do nothing.
    std::map<std::string, std::function<void(void** arguments)>> kernels;
    // Sees each launch before it is made.
    std::function<void(const CudaLaunch& launch, void** arguments)> on_launch;

    // What was asked.
    std::map<std::string, int> calls;
    std::vector<std::string> sequence;  // the same, in order
    std::vector<CudaLaunch> launches;
    std::vector<std::string> programs;             // their texts
    std::map<void*, std::vector<int>> parameters;  // bytes of each, of a function
    std::map<void*, int> shared_limits;            // set on a function
    int live = 0;  // contexts, streams, events, blocks, modules not given back
    int contexts_pushed = 0;

    // Counts the call and answers its code. Most functions need a current context.
    int answer(const char* symbol, bool needs_context = true);

    // Streams and events.
    void* make_handle();
    bool has_handle(void* handle) const;
    void drop_handle(void* handle);

    // Memory that no call asks for: a program's own.
    uint64_t make_block(size_t bytes);
    void drop_block(uint64_t address);
    // Of `bytes` from an address on, within one block of memory; null where they are not.
    std::byte* bytes_at(uint64_t address, size_t bytes);

    emulsion_cuda_driver driver;  // in use
    std::vector<std::unique_ptr<int>> handles;
    std::map<uint64_t, Bytes> blocks;
};

}  // namespace emulsion::test
