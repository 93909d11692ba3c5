// Devices of Vulkan in tests: kernels of a few lines in modules like Halide's, called as Halide's
// are, and drivers that count, limit and fail.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/abi/vulkan_driver.h"
#include "tests/support/device_harness.h"

namespace emulsion::test {

// What Halide's preamble says of a kernel, and its words.
struct VulkanKernel {
    std::string name;
    std::vector<uint32_t> words;
    uint32_t uniforms = 1, storages = 1;
    struct Shared {
        uint32_t constant, bytes, length;
    };
    std::vector<Shared> shared{};
    uint32_t local_size = 0;  // the id of the constant for threads along x; 0: they are fixed
};
std::string vulkan_module(const std::vector<VulkanKernel>& kernels);

// values[i] = value for i < count, in blocks of 64 threads, where `value` is an instruction of
// %factor and %former.
VulkanKernel kernel_of(const std::string& name, const std::string& value,
                       const std::string& capability = "Shader");

// What a kernel object holds: its text, the name of a kernel, and the variable that its instances
// share.
struct VulkanProgram {
    std::string text;
    const char* name;
    void* state = nullptr;
};

// values[i] *= factor.
VulkanProgram vulkan_scaling();

// Four kilobytes of floats at the start of an arena of 64 KiB, as a buffer of kernels.
class VulkanScaled {
  public:
    static constexpr size_t kCount = 1024, kArenaBytes = 65536;

    explicit VulkanScaled(VulkanProgram& program);

    OpenDevice& device() { return device_; }
    void upload(float value);
    // What halide_vulkan_run returns.
    int scale(float factor) { return run(factor, {kCount / 64, 1, 1}, {64, 1, 1}); }
    int run(float factor, const std::vector<int>& blocks, const std::vector<int>& threads);
    std::vector<float> download();
    void forget_view() { descriptor_.device = 0; }
    void drop_scalars() { has_scalars_ = false; }

  private:
    VulkanProgram& program_;
    OpenDevice device_;
    emulsion_descriptor descriptor_{};
    bool has_scalars_ = true;
};

// The machine's own driver with changes, in use while this object lives.
class VulkanStandIn {
  public:
    VulkanStandIn();
    ~VulkanStandIn();
    VulkanStandIn(const VulkanStandIn&) = delete;
    VulkanStandIn& operator=(const VulkanStandIn&) = delete;

    emulsion_vulkan_driver driver;  // in use
    static const emulsion_vulkan_driver& real();
    // Lets the device have other properties: `change` gets the real ones.
    void set_properties(void (*change)(VkPhysicalDeviceProperties& properties));
};

// The first device, as messages name it.
std::string vulkan_name();

// Skips tests where no driver is at hand.
class VulkanTest : public ::testing::Test {
  protected:
    void SetUp() override;
};

}  // namespace emulsion::test
