// Kernels that a device of Vulkan cannot run, and modules that are none: what it says of them
// before anything runs.
#include <cstring>

#include "tests/runtime/vulkan_support.h"

namespace emulsion::test {
namespace {

using VulkanPrograms = VulkanTest;

// Of the first launch, of a dry device, with these limits.
std::string refusal_of(const std::vector<VulkanKernel>& kernels, const char* name,
                       void (*limit)(VkPhysicalDeviceProperties&) = nullptr) {
    VulkanStandIn stand_in;
    static void (*change)(VkPhysicalDeviceProperties&);
    change = limit;
    stand_in.set_properties([](VkPhysicalDeviceProperties& properties) {
        std::strcpy(properties.deviceName, "toy");
        if (change != nullptr) change(properties);
    });
    VulkanProgram program = {.text = vulkan_module(kernels), .name = name};
    VulkanScaled scaled(program);
    scaled.device()->dry = 1;
    EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
    return scaled.device()->text;
}

VulkanKernel scaling() { return kernel_of("scale", "OpFMul %float %former %factor"); }

TEST_F(VulkanPrograms, LimitsOfTheDevice) {
    EXPECT_EQ(refusal_of({scaling()}, "scale",
                         [](VkPhysicalDeviceProperties& properties) {
                             properties.limits.maxComputeWorkGroupInvocations = 63;
                         }),
              "'scale' needs 64 threads a block, but 'toy' runs it with 63");
    EXPECT_EQ(refusal_of({scaling()}, "scale",
                         [](VkPhysicalDeviceProperties& properties) {
                             properties.limits.maxComputeWorkGroupSize[0] = 32;
                             properties.limits.maxComputeWorkGroupSize[1] = 16;
                             properties.limits.maxComputeWorkGroupSize[2] = 8;
                         }),
              "'scale' needs blocks of 64 x 1 x 1 threads, but 'toy' runs at most 32 x 16 x 8");
    EXPECT_EQ(refusal_of({scaling()}, "scale",
                         [](VkPhysicalDeviceProperties& properties) {
                             for (uint32_t& most : properties.limits.maxComputeWorkGroupCount)
                                 most = 15;
                         }),
              "'scale' needs 16 x 1 x 1 blocks, but 'toy' runs at most 15 x 15 x 15");
    VulkanKernel kernel = scaling();
    kernel.shared = {{0, 4, 100}, {0, 1, 20}};
    EXPECT_EQ(refusal_of({kernel}, "scale",
                         [](VkPhysicalDeviceProperties& properties) {
                             properties.limits.maxComputeSharedMemorySize = 419;
                         }),
              "'scale' needs 420 bytes of shared memory, but 'toy' has 419");
    EXPECT_EQ(refusal_of({scaling()}, "scale",
                         [](VkPhysicalDeviceProperties& properties) {
                             properties.limits.maxPerStageDescriptorStorageBuffers = 0;
                         }),
              "'scale' needs 1 buffers, but 'toy' gives it 0");
}

TEST_F(VulkanPrograms, WhatADeviceLacksIsNamed) {
    VulkanStandIn stand_in;
    stand_in.driver.vkGetPhysicalDeviceFeatures2 = [](VkPhysicalDevice,
                                                      VkPhysicalDeviceFeatures2*) {};
    for (const auto& [name, number] : {std::pair{"Int64", 11}, {"Int8", 39}, {"Geometry", 2}}) {
        VulkanProgram program = {
            .text = vulkan_module({kernel_of("scale", "OpFMul %float %former %factor", name)}),
            .name = "scale"};
        VulkanScaled scaled(program);
        EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
        const std::string word = number == 2 ? "capability" : name;
        EXPECT_EQ(scaled.device()->text, "'scale' needs " + word + " (" + std::to_string(number) +
                                             ") of SPIR-V, but '" + vulkan_name() + "' lacks it");
    }
}

TEST_F(VulkanPrograms, ModulesOfAnotherForm) {
    EXPECT_EQ(refusal_of({scaling()}, "other"), "'other' is not in its module");
    EXPECT_EQ(refusal_of({}, "scale"), "'scale' is not in its module");
    VulkanKernel kernel = scaling();
    kernel.local_size = 1;
    EXPECT_EQ(refusal_of({kernel}, "scale"), "'scale' leaves the threads of its blocks open");
    kernel = scaling();
    kernel.shared = {{0, 4, 100}, {2, 4, 100}};
    EXPECT_EQ(refusal_of({kernel}, "scale"), "'scale' leaves the size of its shared memory open");
    kernel = scaling();
    kernel.uniforms = 2;
    EXPECT_EQ(refusal_of({kernel}, "scale"), "'scale' is in a module of another form");
    kernel = scaling();
    kernel.uniforms = 0;
    EXPECT_EQ(refusal_of({kernel}, "scale"),
              "'scale' is given 1 buffers and 8 bytes of scalars, but has 1 and none");
    kernel = scaling();
    kernel.storages = 2;
    EXPECT_EQ(refusal_of({kernel}, "scale"),
              "'scale' is given 1 buffers and 8 bytes of scalars, but has 2 and some");
}

// Whatever a text's end is, nothing behind it is read.
TEST_F(VulkanPrograms, ModulesThatAreCutOff) {
    VulkanProgram whole = vulkan_scaling();
    const size_t preamble = whole.text.size() - 4 * scaling().words.size();
    for (size_t bytes = 0; bytes < preamble; bytes += bytes < 64 ? 1 : 4) {
        VulkanProgram program = {.text = {}, .name = "scale"};
        const std::string part = whole.text.substr(0, bytes);
        program.text.assign(part.begin(), part.end());
        program.text.shrink_to_fit();
        VulkanScaled scaled(program);
        EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
        EXPECT_STREQ(scaled.device()->text, "'scale' is in a module that is cut off") << bytes;
    }
}

TEST_F(VulkanPrograms, AKernelThatIsRefused) {
    VulkanStandIn stand_in;
    VulkanProgram program = vulkan_scaling();
    {
        VulkanScaled scaled(program);
        stand_in.driver.vkCreateShaderModule = [](VkDevice, const VkShaderModuleCreateInfo*,
                                                  const VkAllocationCallbacks*, VkShaderModule*) {
            return VK_ERROR_INVALID_SHADER_NV;
        };
        EXPECT_EQ(scaled.scale(2), VK_ERROR_INVALID_SHADER_NV);
        EXPECT_EQ(scaled.device()->text,
                  "vkCreateShaderModule answers VK_ERROR_INVALID_SHADER_NV (-1000012000) to "
                  "'scale' on '" +
                      vulkan_name() + "'");
        stand_in.driver.vkCreateShaderModule = VulkanStandIn::real().vkCreateShaderModule;
    }
    VulkanScaled scaled(program);
    stand_in.driver.vkCreateComputePipelines =
        [](VkDevice, VkPipelineCache, uint32_t, const VkComputePipelineCreateInfo*,
           const VkAllocationCallbacks*, VkPipeline*) { return VK_ERROR_OUT_OF_HOST_MEMORY; };
    EXPECT_EQ(scaled.scale(2), -1);
    EXPECT_EQ(scaled.device()->text,
              "vkCreateComputePipelines answers VK_ERROR_OUT_OF_HOST_MEMORY (-1) to 'scale' on '" +
                  vulkan_name() + "'");
    EXPECT_EQ(scaled.device()->kernels, 0u);
}

TEST_F(VulkanPrograms, AnArgumentOnTheProcessor) {
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    scaled.forget_view();
    EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(scaled.device()->text, "argument 0 of 'scale' is not on the device");
}

}  // namespace
}  // namespace emulsion::test
