// Runs single kernels of devices as they ship: a kernel's object is loaded into this process, on
// the runtime that this process is linked with, and its buffers lie in one arena with a gap behind
// each, which must stay as it was.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/loader.h"
#include "runtime/abi/device.h"
#include "tests/reference/interpreter.h"

namespace emulsion::test {

// A kernel object, which several devices and threads may share.
class DeviceKernel {
  public:
    // REQUIRES: the group outlives it.
    DeviceKernel(const Group& group, const CompiledKernel& compiled);

    const Group& group() const { return group_; }
    const std::vector<TensorType>& types() const { return types_; }
    const std::vector<Scratch>& scratch() const { return scratch_; }
    void* function() const { return function_; }

  private:
    const Group& group_;
    std::unique_ptr<LoadedObject> object_;
    void* function_ = nullptr;
    std::vector<TensorType> types_;  // of the group's buffers; scratch stands behind them
    std::vector<Scratch> scratch_;
};

// A device of an interface, open, and the worker that kernels are called with.
class OpenDevice {
  public:
    // Throws the interface's words where it cannot be opened.
    explicit OpenDevice(const emulsion_device_api& api, int index = 0, void* context = nullptr);
    ~OpenDevice() { device_->api->close(device_); }
    OpenDevice(const OpenDevice&) = delete;
    OpenDevice& operator=(const OpenDevice&) = delete;

    emulsion_device* get() const { return device_; }
    emulsion_device* operator->() const { return device_; }
    const emulsion_device_api& api() const { return *device_->api; }
    emulsion_worker* worker() { return &worker_; }

  private:
    emulsion_device* device_;
    std::unique_ptr<emulsion_instance> instance_;
    emulsion_worker worker_{};
};

// A kernel with its memory on a device of its own.
class DeviceRun {
  public:
    // Throws the device's words where it cannot be opened or has no memory.
    DeviceRun(const DeviceKernel& kernel, const emulsion_device_api& api, int index = 0);

    OpenDevice& device() { return device_; }

    // Of the buffers, as kernels see them.
    const std::vector<emulsion_descriptor>& descriptors() const { return descriptors_; }

    // Calls the kernel on what the arena holds.
    int call(const reference::Sources& sources, int64_t samples);
    // Uploads, calls, downloads: the bytes in memory of the group's results. Throws the device's
    // words where it has a fault; fails the test where a gap was written.
    std::vector<std::vector<std::byte>> run(const reference::Sources& sources, int64_t samples);

  private:
    void upload(const reference::Sources& sources);
    void check() const;

    const DeviceKernel& kernel_;
    OpenDevice device_;
    std::vector<size_t> offsets_, bytes_;  // of the buffers, with the most samples
    size_t arena_bytes_ = 0;
    std::vector<std::vector<emulsion_dimension>> shapes_;
    std::vector<emulsion_descriptor> descriptors_;
};

// The index of the first of `count` floats of an arena, from float `begin` on, that is not finite;
// -1: all are. REQUIRES: the device has arenas of state and workspace.
int64_t first_not_finite(emulsion_device* device, int memory_class, uint64_t begin, uint64_t count);

// The probe computes, reads and writes what it says. In a round each thread makes `steps` steps in
// chains of multiply-adds, of which there are EMULSION_PROBE_ADDS / steps.
void expect_probes(const emulsion_device_api& api, int steps);

// Whether a device of the interface is at hand; tests that run kernels skip where none is.
bool has_device(const emulsion_device_api& api);

}  // namespace emulsion::test
