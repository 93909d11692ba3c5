// Which devices of Vulkan there are, and which are refused: without a loader, without devices, with
// those that libraries cannot use.
#include <cstring>

#include "tests/runtime/abi_device_support.h"
#include "tests/runtime/vulkan_support.h"

namespace emulsion::test {
namespace {

std::string open_failure(int index = 0) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = emulsion_vulkan.open(index, nullptr, text);
    if (device == nullptr) return text;
    emulsion_vulkan.close(device);
    return "";
}

TEST(VulkanDriver, TheEnvironmentTurnsDevicesOff) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device_facts facts{};
    setenv("EMULSION_NO_DEVICE", "1", 1);
    EXPECT_EQ(emulsion_vulkan.count(text), 0);
    EXPECT_STREQ(text, "EMULSION_NO_DEVICE is set");
    EXPECT_NE(emulsion_vulkan.facts(0, &facts, text), 0);
    EXPECT_EQ(open_failure(), "EMULSION_NO_DEVICE is set");
    unsetenv("EMULSION_NO_DEVICE");
}

TEST(VulkanDriver, CodesHaveNames) {
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_SUCCESS), "VK_SUCCESS");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_INCOMPLETE), "VK_INCOMPLETE");
    EXPECT_STREQ(emulsion_vulkan_result_name(6), "error");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_ERROR_OUT_OF_HOST_MEMORY),
                 "VK_ERROR_OUT_OF_HOST_MEMORY");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_ERROR_DEVICE_LOST), "VK_ERROR_DEVICE_LOST");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_ERROR_UNKNOWN), "VK_ERROR_UNKNOWN");
    EXPECT_STREQ(emulsion_vulkan_result_name(-14), "error");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_ERROR_FRAGMENTATION), "VK_ERROR_FRAGMENTATION");
    EXPECT_STREQ(emulsion_vulkan_result_name(VK_ERROR_OUT_OF_POOL_MEMORY),
                 "VK_ERROR_OUT_OF_POOL_MEMORY");
    EXPECT_STREQ(emulsion_vulkan_result_name(INT32_MIN), "error");
}

using VulkanDevices = VulkanTest;

TEST_F(VulkanDevices, ALoaderWithoutDriversOrDevices) {
    VulkanStandIn stand_in;
    stand_in.driver.instance = nullptr;
    stand_in.driver.vkCreateInstance = [](const VkInstanceCreateInfo*, const VkAllocationCallbacks*,
                                          VkInstance*) { return VK_ERROR_INCOMPATIBLE_DRIVER; };
    char text[EMULSION_DEVICE_TEXT] = "";
    EXPECT_EQ(emulsion_vulkan.count(text), 0);
    EXPECT_STREQ(text,
                 "no driver of Vulkan: vkCreateInstance answers VK_ERROR_INCOMPATIBLE_DRIVER (-9)");
    stand_in.driver.instance = VulkanStandIn::real().instance;
    stand_in.driver.vkEnumeratePhysicalDevices = [](VkInstance, uint32_t* count,
                                                    VkPhysicalDevice*) {
        *count = 0;
        return VK_SUCCESS;
    };
    EXPECT_EQ(open_failure(), "the drivers of Vulkan offer no device");
    stand_in.driver.vkEnumeratePhysicalDevices = [](VkInstance, uint32_t*, VkPhysicalDevice*) {
        return VK_ERROR_INITIALIZATION_FAILED;
    };
    EXPECT_EQ(open_failure(),
              "no device of Vulkan: vkEnumeratePhysicalDevices answers "
              "VK_ERROR_INITIALIZATION_FAILED (-3)");
}

TEST_F(VulkanDevices, AnIndexThatIsNotThere) {
    char text[EMULSION_DEVICE_TEXT] = "";
    const std::string count = std::to_string(emulsion_vulkan.count(text));
    EXPECT_EQ(open_failure(99), "there is no device vulkan:99: there are " + count);
    EXPECT_EQ(open_failure(-1), "there is no device vulkan:-1: there are " + count);
}

// GPUs come first, those with memory of their own before all, whatever the order of the drivers.
TEST_F(VulkanDevices, GpusComeFirst) {
    VulkanStandIn stand_in;
    static const VkPhysicalDeviceType types[] = {
        VK_PHYSICAL_DEVICE_TYPE_CPU, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
        VK_PHYSICAL_DEVICE_TYPE_OTHER, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
        VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU};
    const auto number = [](VkPhysicalDevice device) {
        return reinterpret_cast<const VkPhysicalDeviceType*>(device) - types;
    };
    static decltype(number) number_of = number;
    stand_in.driver.vkEnumeratePhysicalDevices = [](VkInstance, uint32_t* count,
                                                    VkPhysicalDevice* devices) {
        *count = 5;
        for (size_t i = 0; i < 5; i++)
            devices[i] =
                reinterpret_cast<VkPhysicalDevice>(const_cast<VkPhysicalDeviceType*>(&types[i]));
        return VK_SUCCESS;
    };
    stand_in.driver.vkGetPhysicalDeviceProperties = [](VkPhysicalDevice device,
                                                       VkPhysicalDeviceProperties* properties) {
        *properties = {};
        properties->deviceType = types[number_of(device)];
        properties->deviceName[0] = static_cast<char>('0' + number_of(device));
    };
    stand_in.driver.vkGetPhysicalDeviceMemoryProperties =
        [](VkPhysicalDevice, VkPhysicalDeviceMemoryProperties* memory) { *memory = {}; };
    emulsion_device_facts facts{};
    char text[EMULSION_DEVICE_TEXT] = "";
    EXPECT_EQ(emulsion_vulkan.count(text), 5);
    std::string order;
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(emulsion_vulkan.facts(i, &facts, text), 0);
        order += facts.name;
        EXPECT_EQ(facts.is_software, i == 4 ? 1u : 0u);
    }
    EXPECT_EQ(order, "31420");
}

// ---- Devices that cannot be opened ----

TEST_F(VulkanDevices, WhatLibrariesCannotUseIsRefused) {
    const auto failure_with = [](void (*change)(VkPhysicalDeviceProperties&)) {
        VulkanStandIn stand_in;
        stand_in.set_properties(change);
        return open_failure();
    };
    EXPECT_EQ(failure_with([](VkPhysicalDeviceProperties& properties) {
                  properties.limits.minStorageBufferOffsetAlignment = 512;
              }),
              "");
    EXPECT_EQ(failure_with([](VkPhysicalDeviceProperties& properties) {
                  std::strcpy(properties.deviceName, "toy");
                  properties.limits.minStorageBufferOffsetAlignment = 1024;
              }),
              "'toy' asks for views at multiples of 1024 bytes, but libraries place tensors at "
              "multiples of 512");
    EXPECT_EQ(failure_with([](VkPhysicalDeviceProperties& properties) {
                  std::strcpy(properties.deviceName, "toy");
                  properties.apiVersion = VK_MAKE_API_VERSION(0, 1, 1, 200);
              }),
              "'toy' speaks Vulkan 1.1, but Vulkan 1.2 is needed");
}

TEST_F(VulkanDevices, WithoutMemoryOrAQueueOfItsOwn) {
    {
        VulkanStandIn stand_in;
        stand_in.driver.vkGetPhysicalDeviceMemoryProperties =
            [](VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties* memory) {
                VulkanStandIn::real().vkGetPhysicalDeviceMemoryProperties(device, memory);
                for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
                    memory->memoryHeaps[i].flags = 0;
            };
        EXPECT_EQ(open_failure(), "'" + vulkan_name() + "' has no memory of its own");
    }
    VulkanStandIn stand_in;
    stand_in.driver.vkGetPhysicalDeviceQueueFamilyProperties =
        [](VkPhysicalDevice device, uint32_t* count, VkQueueFamilyProperties* families) {
            VulkanStandIn::real().vkGetPhysicalDeviceQueueFamilyProperties(device, count, families);
            for (uint32_t i = 0; i < *count; i++) families[i].queueFlags = VK_QUEUE_TRANSFER_BIT;
        };
    EXPECT_EQ(open_failure(), "'" + vulkan_name() + "' has no queue for kernels");
}

TEST_F(VulkanDevices, TakeNoMemoryOfTheCaller) {
    testing::DeviceNetwork network("vulkan:0");
    const emulsion_device_memory given = {};
    network.fake.variants[1].device = &emulsion_vulkan;
    network.options.device_memory = &given;
    EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(network.error(),
              "options.device_memory must be null on vulkan, where bind allocates all memory "
              "itself");
}

TEST_F(VulkanDevices, ADriverThatMakesNoContextOrQueue) {
    VulkanStandIn stand_in;
    emulsion_vulkan_driver& driver = stand_in.driver;
    driver.vkCreateDevice = [](VkPhysicalDevice, const VkDeviceCreateInfo*,
                               const VkAllocationCallbacks*,
                               VkDevice*) { return VK_ERROR_TOO_MANY_OBJECTS; };
    const std::string on = " on '" + vulkan_name() + "'";
    EXPECT_EQ(open_failure(),
              "vkCreateDevice answers VK_ERROR_TOO_MANY_OBJECTS (-10) to a context" + on);
    driver = VulkanStandIn::real();
    driver.vkCreateCommandPool = [](VkDevice, const VkCommandPoolCreateInfo*,
                                    const VkAllocationCallbacks*,
                                    VkCommandPool*) { return VK_ERROR_OUT_OF_HOST_MEMORY; };
    EXPECT_EQ(open_failure(),
              "vkCreateCommandPool answers VK_ERROR_OUT_OF_HOST_MEMORY (-1) to commands" + on);
    driver = VulkanStandIn::real();
    driver.vkCreateFence = [](VkDevice, const VkFenceCreateInfo*, const VkAllocationCallbacks*,
                              VkFence*) { return VK_ERROR_OUT_OF_DEVICE_MEMORY; };
    EXPECT_EQ(open_failure(),
              "vkCreateFence answers VK_ERROR_OUT_OF_DEVICE_MEMORY (-2) to a fence" + on);
    driver = VulkanStandIn::real();
    driver.vkMapMemory = [](VkDevice, VkDeviceMemory, VkDeviceSize, VkDeviceSize, VkMemoryMapFlags,
                            void**) { return VK_ERROR_MEMORY_MAP_FAILED; };
    EXPECT_EQ(open_failure(),
              "vkMapMemory answers VK_ERROR_MEMORY_MAP_FAILED (-5) to the host's memory" + on);
}

}  // namespace
}  // namespace emulsion::test
