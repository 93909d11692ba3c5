// A library by hand with a variant for devices, whose devices are memory of this process: what a
// real driver does and refuses is done and refused to order.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "runtime/abi/device.h"
#include "tests/runtime/abi_support.h"

namespace emulsion::testing {

// The devices of the interface "fake".
struct FakeDevices {
    int count = 2;
    emulsion_device_facts facts = {"a fake", 1 << 20, 1 << 20, 128, 0, 1 << 20};
    int software = 0;  // so many at the begin of the list are
    // The function of the interface that fails, or "launch"; "" fails none.
    std::string failing;
    int passing = 0;                  // calls of it that still pass
    int failures = 1 << 30;           // calls of it that fail then
    int open = 0;                     // devices that are open
    int finishes = 0;                 // calls of finish
    void* context = nullptr;          // that the last open was given
    std::vector<int> marked, waited;  // marks that were set, and those of downloads
    // What it does a second, which finish takes as long for: operations, bytes read and written.
    double peak = 1e12, read = 1e12, write = 1e12;
};
FakeDevices& fake_devices();  // of this process; a FakeDeviceLibrary resets them

// FakeLibrary with the variants "x86-64" and "fake".
struct FakeDeviceLibrary : FakeLibrary {
    FakeDeviceLibrary();
    std::array<emulsion_kernel, 4> kernels;  // forward, backward, update, prepare of the device
    emulsion_plan device_plan;
};

// Memory for the library, an instance and its calls; bound by `bind` alone.
class DeviceNetwork {
  public:
    explicit DeviceNetwork(const char* device = "fake");
    ~DeviceNetwork();
    DeviceNetwork(const DeviceNetwork&) = delete;
    DeviceNetwork& operator=(const DeviceNetwork&) = delete;

    int init(std::uint64_t seed = 7);
    int bind();
    int upload();  // parameters and state
    int upload(int memory_class);
    int download(int memory_class);
    int prepare();
    int step(int samples = kBatch);
    int forward_backward(int samples = kBatch);
    int update();
    int run(int samples = kBatch);
    int wait();
    int unbind();
    // init, bind and upload, which must succeed.
    void begin();

    std::string error() const;
    emulsion_instance* instance() const;
    emulsion_device& device() const { return *instance()->device; }
    float* weights() const { return static_cast<float*>(memory.block[EMULSION_PARAMETERS]); }
    float* gradients() const { return static_cast<float*>(memory.block[EMULSION_GRADIENTS]); }
    std::uint64_t* state() const {
        return static_cast<std::uint64_t*>(memory.block[EMULSION_STATE]);
    }
    float* inputs() const { return static_cast<float*>(x_.get()); }
    float* outputs() const { return static_cast<float*>(y_.get()); }
    float& loss() const { return *static_cast<float*>(loss_.get()); }

    FakeDeviceLibrary fake;
    emulsion_memory memory = {};
    emulsion_options options = {};
    int later = 0;  // of calls

  private:
    emulsion_call call_of(int samples) { return {samples, later, call_inputs_, call_outputs_}; }

    std::vector<Block> blocks_;
    Block x_, y_, loss_;
    const void* call_inputs_[1];
    void* call_outputs_[2];
};

}  // namespace emulsion::testing
