// What an open device of Vulkan says when its driver refuses or fails: the first fault stays, in
// words, and nothing is asked of the driver behind it.
#include <cstring>

#include "tests/runtime/vulkan_support.h"

namespace emulsion::test {
namespace {

using VulkanFaults = VulkanTest;

// ---- Memory ----

int allocations;

// A device of few bytes, as `heap` and `budget` say.
uint64_t heap_bytes, budget_left;

void make_small(VulkanStandIn& stand_in) {
    emulsion_vulkan_driver& driver = stand_in.driver;
    driver.vkGetPhysicalDeviceMemoryProperties = [](VkPhysicalDevice device,
                                                    VkPhysicalDeviceMemoryProperties* memory) {
        VulkanStandIn::real().vkGetPhysicalDeviceMemoryProperties(device, memory);
        for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
            memory->memoryHeaps[i].size = heap_bytes;
    };
    driver.vkGetPhysicalDeviceMemoryProperties2 = [](VkPhysicalDevice,
                                                     VkPhysicalDeviceMemoryProperties2* memory) {
        auto* budget = static_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(memory->pNext);
        for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++) {
            budget->heapUsage[i] = 1000;
            budget->heapBudget[i] = 1000 + budget_left;
        }
    };
    driver.vkEnumerateDeviceExtensionProperties = [](VkPhysicalDevice, const char*, uint32_t* count,
                                                     VkExtensionProperties* extensions) {
        *count = budget_left > 0 ? 1 : 0;
        if (extensions != nullptr && *count == 1)
            std::strcpy(extensions[0].extensionName, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
        return VK_SUCCESS;
    };
    driver.vkAllocateMemory = [](VkDevice device, const VkMemoryAllocateInfo* info,
                                 const VkAllocationCallbacks* callbacks, VkDeviceMemory* memory) {
        allocations++;
        return VulkanStandIn::real().vkAllocateMemory(device, info, callbacks, memory);
    };
}

TEST_F(VulkanFaults, MoreMemoryThanThereIsIsRefusedBeforeItIsAsked) {
    VulkanStandIn stand_in;
    make_small(stand_in);
    allocations = 0;
    const auto refusal = [](std::vector<uint64_t> sizes) {
        OpenDevice device(emulsion_vulkan);
        for (size_t i = 0; i < sizes.size(); i++) {
            const int answer =
                emulsion_vulkan.allocate(device.get(), static_cast<int>(i), sizes[i]);
            EXPECT_EQ(answer != 0, i + 1 == sizes.size()) << device->text;
        }
        return std::string(device->text);
    };
    heap_bytes = 100000, budget_left = 0;
    const std::string name = "'" + vulkan_name() + "'";
    EXPECT_EQ(refusal({100001}), "class parameters needs one block of 100001 bytes, but " + name +
                                     " gives blocks of at most 100000");
    EXPECT_EQ(allocations, 1);  // the host's
    EXPECT_EQ(refusal({60000, 40001}),
              "class gradients needs 40001 bytes, but " + name + " has 40000 left of its 100000");
    EXPECT_EQ(allocations, 3);
    // What others have taken is not there.
    budget_left = 50000;
    EXPECT_EQ(refusal({50001}),
              "class parameters needs 50001 bytes, but " + name + " has 50000 left of its 100000");
    EXPECT_EQ(allocations, 4);
}

TEST_F(VulkanFaults, ADriverThatGivesNoMemory) {
    VulkanStandIn stand_in;
    OpenDevice device(emulsion_vulkan);
    stand_in.driver.vkAllocateMemory = [](VkDevice, const VkMemoryAllocateInfo*,
                                          const VkAllocationCallbacks*, VkDeviceMemory*) {
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    };
    EXPECT_EQ(emulsion_vulkan.allocate(device.get(), EMULSION_STATE, 4096), -2);
    EXPECT_EQ(device->text,
              "vkAllocateMemory answers VK_ERROR_OUT_OF_DEVICE_MEMORY (-2) to 4096 bytes of memory "
              "on '" +
                  vulkan_name() + "'");
    EXPECT_EQ(device->allocations, 0u);
    // Everything behind it answers the same.
    uint8_t byte = 0;
    const emulsion_device_test test = {EMULSION_STATE, 0, 0, 1, 0, 1};
    EXPECT_EQ(emulsion_vulkan.allocate(device.get(), EMULSION_PARAMETERS, 1), -2);
    EXPECT_EQ(emulsion_vulkan.view(device.get(), EMULSION_STATE, 0, 1), 0u);
    EXPECT_EQ(emulsion_vulkan.upload(device.get(), EMULSION_STATE, 0, &byte, 1), -2);
    EXPECT_EQ(
        emulsion_vulkan.download(device.get(), EMULSION_STATE, 0, &byte, 1, EMULSION_ALL_LAUNCHES),
        -2);
    EXPECT_EQ(emulsion_vulkan.finish(device.get()), -2);
    EXPECT_EQ(emulsion_vulkan.test(device.get(), &test), -2);
}

TEST_F(VulkanFaults, MisuseOfArenasIsRefused) {
    uint8_t byte = 0;
    const auto text_of = [](const std::function<int(emulsion_device*)>& misuse) {
        OpenDevice device(emulsion_vulkan);
        emulsion_vulkan.allocate(device.get(), EMULSION_WORKSPACE, 4096);
        EXPECT_NE(misuse(device.get()), 0);
        return std::string(device->text);
    };
    EXPECT_EQ(text_of([](emulsion_device* device) {
                  return emulsion_vulkan.allocate(device, EMULSION_WORKSPACE, 1);
              }),
              "class workspace has an arena already");
    EXPECT_EQ(text_of([&](emulsion_device* device) {
                  return emulsion_vulkan.upload(device, EMULSION_WORKSPACE, 4096, &byte, 1);
              }),
              "1 bytes from byte 4096 on of class workspace are asked for, but its arena has 4096");
    EXPECT_EQ(text_of([&](emulsion_device* device) {
                  return emulsion_vulkan.download(device, EMULSION_STATE, 0, &byte, 1,
                                                  EMULSION_ALL_LAUNCHES);
              }),
              "1 bytes from byte 0 on of class state are asked for, but its arena has 0");
}

TEST_F(VulkanFaults, ViewsThatKernelsCannotHave) {
    VulkanStandIn stand_in;
    stand_in.set_properties([](VkPhysicalDeviceProperties& properties) {
        std::strcpy(properties.deviceName, "toy");
        properties.limits.minStorageBufferOffsetAlignment = 256;
        properties.limits.maxStorageBufferRange = 1000;
    });
    for (const auto& [offset, bytes] : {std::pair{128, 64}, {0, 1001}, {0, 0}}) {
        OpenDevice device(emulsion_vulkan);
        emulsion_vulkan.allocate(device.get(), EMULSION_WORKSPACE, 4096);
        EXPECT_NE(emulsion_vulkan.view(device.get(), EMULSION_WORKSPACE, 256, 1000), 0u);
        EXPECT_EQ(emulsion_vulkan.view(device.get(), EMULSION_WORKSPACE,
                                       static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes)),
                  0u);
        EXPECT_EQ(device->text, "a view of " + std::to_string(bytes) + " bytes from byte " +
                                    std::to_string(offset) +
                                    " is asked for, but 'toy' gives those of 1 to 1000 bytes from "
                                    "multiples of 256 on");
    }
}

// ---- Launches ----

TEST_F(VulkanFaults, LaunchesThatNoDeviceRuns) {
    VulkanProgram program = vulkan_scaling();
    {
        VulkanScaled scaled(program);
        scaled.device()->dry = 1;
        EXPECT_EQ(scaled.run(2, {1 << 30, 1, 1 << 30}, {64, 1, 1}), EMULSION_DEVICE_REFUSED);
        const std::string text = scaled.device()->text;
        EXPECT_EQ(text.rfind("'scale' needs 1073741824 x 1 x 1073741824 blocks, but '" +
                                 vulkan_name() + "' runs at most ",
                             0),
                  0u)
            << text;
    }
    VulkanScaled scaled(program);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.run(2, {16, 1, 1}, {32, 2, 1}), EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(scaled.device()->text,
                 "'scale' is made for blocks of 64 x 1 x 1 threads, but is launched with 32 x 2 x "
                 "1");
}

int submissions_left;

VkResult submit_some(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
    if (submissions_left-- <= 0) return VK_ERROR_DEVICE_LOST;
    return VulkanStandIn::real().vkQueueSubmit(queue, count, infos, fence);
}

TEST_F(VulkanFaults, ADeviceThatIsLost) {
    VulkanStandIn stand_in;
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program), sound(program);
    scaled.upload(1);
    stand_in.driver.vkQueueSubmit = submit_some;
    submissions_left = 1;
    int launched = 0;
    while (scaled.scale(2) == 0 && launched < 1000) launched++;
    EXPECT_GT(launched, 1);
    EXPECT_LT(launched, 200);
    EXPECT_EQ(submissions_left, -1);
    EXPECT_EQ(scaled.scale(2), VK_ERROR_DEVICE_LOST);
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, 0));
    EXPECT_EQ(emulsion_vulkan.finish(scaled.device().get()), VK_ERROR_DEVICE_LOST);
    EXPECT_EQ(submissions_left, -1) << "the driver is left alone";
    EXPECT_EQ(scaled.device()->text,
              "vkQueueSubmit answers VK_ERROR_DEVICE_LOST (-4) behind the launch of 'scale' on '" +
                  vulkan_name() + "'");
    submissions_left = 100;
    sound.upload(1);
    EXPECT_EQ(sound.scale(2), 0) << "another device's fault";
    EXPECT_EQ(sound.download()[0], 2);
}

TEST_F(VulkanFaults, ADeviceThatIsLostWhileItRuns) {
    VulkanStandIn stand_in;
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    stand_in.driver.vkWaitForFences = [](VkDevice, uint32_t, const VkFence*, VkBool32, uint64_t) {
        return VK_ERROR_DEVICE_LOST;
    };
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(emulsion_vulkan.finish(scaled.device().get()), VK_ERROR_DEVICE_LOST);
    EXPECT_EQ(scaled.device()->text,
              "vkWaitForFences answers VK_ERROR_DEVICE_LOST (-4) behind the launch of 'scale' on "
              "'" +
                  vulkan_name() + "'");
}

// ---- Leaks ----

int made, released;

template <auto member, class... T>
VkResult count_made(T... arguments) {
    made++;
    return (VulkanStandIn::real().*member)(arguments...);
}
template <auto member, class Handle>
void count_released(VkDevice device, Handle handle, const VkAllocationCallbacks* callbacks) {
    if (handle != VK_NULL_HANDLE) released++;
    (VulkanStandIn::real().*member)(device, handle, callbacks);
}

#define COUNT_MADE(name) driver.name = count_made<&emulsion_vulkan_driver::name>
#define COUNT_RELEASED(name) driver.name = count_released<&emulsion_vulkan_driver::name>

void count_all(emulsion_vulkan_driver& driver) {
    made = released = 0;
    COUNT_MADE(vkCreateFence);
    COUNT_RELEASED(vkDestroyFence);
    COUNT_MADE(vkCreateBuffer);
    COUNT_RELEASED(vkDestroyBuffer);
    COUNT_MADE(vkAllocateMemory);
    COUNT_RELEASED(vkFreeMemory);
    COUNT_MADE(vkCreateShaderModule);
    COUNT_RELEASED(vkDestroyShaderModule);
    COUNT_MADE(vkCreateDescriptorSetLayout);
    COUNT_RELEASED(vkDestroyDescriptorSetLayout);
    COUNT_MADE(vkCreatePipelineLayout);
    COUNT_RELEASED(vkDestroyPipelineLayout);
    COUNT_MADE(vkCreateComputePipelines);
    COUNT_RELEASED(vkDestroyPipeline);
    COUNT_MADE(vkCreateDescriptorPool);
    COUNT_RELEASED(vkDestroyDescriptorPool);
    COUNT_MADE(vkCreateCommandPool);
    COUNT_RELEASED(vkDestroyCommandPool);
    COUNT_MADE(vkCreateDevice);
    driver.vkDestroyDevice = [](VkDevice device, const VkAllocationCallbacks* callbacks) {
        released++;
        VulkanStandIn::real().vkDestroyDevice(device, callbacks);
    };
}

TEST_F(VulkanFaults, ClosingReleasesWhatWasMade) {
    VulkanStandIn stand_in;
    count_all(stand_in.driver);
    {
        VulkanProgram program = vulkan_scaling();
        VulkanScaled scaled(program);
        scaled.scale(2);
        emulsion_vulkan.mark(scaled.device().get(), 0, 0, 64);
        EXPECT_EQ(scaled.device()->error, 0);
        // A device, commands, three fences, memory of the host, that of a mark and an arena with a
        // buffer each; a module, a pipeline with two layouts, a pool.
        EXPECT_EQ(made, 16);
        EXPECT_EQ(released, 1) << "the module";
    }
    EXPECT_EQ(released, made);
}

// Wherever opening, an arena or a kernel fails, all that was made is released.
TEST_F(VulkanFaults, FailingReleasesWhatWasMade) {
    static int failing;
    VulkanProgram program = vulkan_scaling();
    for (failing = 0; failing < 16; failing++) {
        VulkanStandIn stand_in;
        count_all(stand_in.driver);
        static const auto fails = [] { return made == failing; };
        stand_in.driver.vkCreateBuffer = [](auto... arguments) {
            return fails() ? VK_ERROR_UNKNOWN
                           : count_made<&emulsion_vulkan_driver::vkCreateBuffer>(arguments...);
        };
        stand_in.driver.vkAllocateMemory = [](auto... arguments) {
            return fails() ? VK_ERROR_UNKNOWN
                           : count_made<&emulsion_vulkan_driver::vkAllocateMemory>(arguments...);
        };
        stand_in.driver.vkCreateFence = [](auto... arguments) {
            return fails() ? VK_ERROR_UNKNOWN
                           : count_made<&emulsion_vulkan_driver::vkCreateFence>(arguments...);
        };
        stand_in.driver.vkCreatePipelineLayout = [](auto... arguments) {
            return fails()
                       ? VK_ERROR_UNKNOWN
                       : count_made<&emulsion_vulkan_driver::vkCreatePipelineLayout>(arguments...);
        };
        stand_in.driver.vkCreateDescriptorPool = [](auto... arguments) {
            return fails()
                       ? VK_ERROR_UNKNOWN
                       : count_made<&emulsion_vulkan_driver::vkCreateDescriptorPool>(arguments...);
        };
        try {
            VulkanScaled scaled(program);
            scaled.scale(2);
            emulsion_vulkan.mark(scaled.device().get(), 0, 0, 64);
        } catch (const std::exception&) {
        }
        EXPECT_EQ(released, made) << failing;
    }
}

}  // namespace
}  // namespace emulsion::test
