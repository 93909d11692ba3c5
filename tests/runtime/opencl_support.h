// Devices of OpenCL in tests: kernels of a few lines, called as Halide's are, and drivers that
// count, limit and fail.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/abi/opencl_driver.h"
#include "tests/support/device_harness.h"

namespace emulsion::test {

// What a kernel object holds: its text, the names of its kernels, and the variable that its
// instances share.
struct TextProgram {
    const char* source;
    const char* name;
    void* state = nullptr;
};

// values[i] *= factor for i < count.
TextProgram scaling_program();

// Four kilobytes of floats at the start of an arena of 64 KiB, as a buffer of kernels.
class Scaled {
  public:
    static constexpr size_t kCount = 1024, kArenaBytes = 65536;

    explicit Scaled(TextProgram& program);

    OpenDevice& device() { return device_; }
    void upload(float value);
    // What halide_opencl_run returns.
    int scale(float factor, int shared = 0);
    std::vector<float> download();
    void forget_view() { descriptor_.device = 0; }

  private:
    TextProgram& program_;
    OpenDevice device_;
    emulsion_descriptor descriptor_{};
};

// The machine's own driver with changes, in use while this object lives.
class StandIn {
  public:
    StandIn();
    ~StandIn();
    StandIn(const StandIn&) = delete;
    StandIn& operator=(const StandIn&) = delete;

    emulsion_opencl_driver driver;  // in use
    static const emulsion_opencl_driver& real();
};

// For a StandIn's clGetDeviceInfo: the facts that devices seem to have, by their numbers.
extern std::map<uint32_t, std::string> changed_facts;
int changed_info(void* device, uint32_t name, size_t bytes, void* value, size_t* needed);
template <class T>
std::string bytes_of_fact(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

// The first device, as messages name it.
std::string device_name();

// Skips tests where no driver is at hand.
class OpenClTest : public ::testing::Test {
  protected:
    void SetUp() override;
};

}  // namespace emulsion::test
