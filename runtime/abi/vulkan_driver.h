/* The functions of Vulkan 1.2 that vulkan*.c call, found in the loader, libvulkan.so.1, at first
 * use; the loader finds the drivers of the vendors. */
#pragma once
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include "runtime/abi/device.h"
#ifdef __cplusplus
extern "C" {
#endif

#define EMULSION_VULKAN_FUNCTIONS(FUNCTION)            \
    FUNCTION(vkEnumerateInstanceVersion)               \
    FUNCTION(vkCreateInstance)                         \
    FUNCTION(vkEnumeratePhysicalDevices)               \
    FUNCTION(vkEnumerateDeviceExtensionProperties)     \
    FUNCTION(vkGetPhysicalDeviceProperties)            \
    FUNCTION(vkGetPhysicalDeviceProperties2)           \
    FUNCTION(vkGetPhysicalDeviceFeatures2)             \
    FUNCTION(vkGetPhysicalDeviceMemoryProperties)      \
    FUNCTION(vkGetPhysicalDeviceMemoryProperties2)     \
    FUNCTION(vkGetPhysicalDeviceQueueFamilyProperties) \
    FUNCTION(vkCreateDevice)                           \
    FUNCTION(vkDestroyDevice)                          \
    FUNCTION(vkDeviceWaitIdle)                         \
    FUNCTION(vkGetDeviceQueue)                         \
    FUNCTION(vkQueueSubmit)                            \
    FUNCTION(vkCreateFence)                            \
    FUNCTION(vkDestroyFence)                           \
    FUNCTION(vkResetFences)                            \
    FUNCTION(vkWaitForFences)                          \
    FUNCTION(vkCreateBuffer)                           \
    FUNCTION(vkDestroyBuffer)                          \
    FUNCTION(vkGetBufferMemoryRequirements)            \
    FUNCTION(vkAllocateMemory)                         \
    FUNCTION(vkFreeMemory)                             \
    FUNCTION(vkBindBufferMemory)                       \
    FUNCTION(vkMapMemory)                              \
    FUNCTION(vkCreateShaderModule)                     \
    FUNCTION(vkDestroyShaderModule)                    \
    FUNCTION(vkCreateDescriptorSetLayout)              \
    FUNCTION(vkDestroyDescriptorSetLayout)             \
    FUNCTION(vkCreatePipelineLayout)                   \
    FUNCTION(vkDestroyPipelineLayout)                  \
    FUNCTION(vkCreateComputePipelines)                 \
    FUNCTION(vkDestroyPipeline)                        \
    FUNCTION(vkCreateDescriptorPool)                   \
    FUNCTION(vkDestroyDescriptorPool)                  \
    FUNCTION(vkAllocateDescriptorSets)                 \
    FUNCTION(vkUpdateDescriptorSets)                   \
    FUNCTION(vkCreateCommandPool)                      \
    FUNCTION(vkDestroyCommandPool)                     \
    FUNCTION(vkAllocateCommandBuffers)                 \
    FUNCTION(vkBeginCommandBuffer)                     \
    FUNCTION(vkEndCommandBuffer)                       \
    FUNCTION(vkCmdPipelineBarrier)                     \
    FUNCTION(vkCmdBindPipeline)                        \
    FUNCTION(vkCmdBindDescriptorSets)                  \
    FUNCTION(vkCmdDispatch)                            \
    FUNCTION(vkCmdFillBuffer)                          \
    FUNCTION(vkCmdCopyBuffer)

typedef struct emulsion_vulkan_driver {
#define EMULSION_MEMBER(name) PFN_##name name;
    EMULSION_VULKAN_FUNCTIONS(EMULSION_MEMBER)
#undef EMULSION_MEMBER
    /* The process's own, made at first use and kept: drivers are slow to come and go. A forked
     * child makes another, as threads of drivers stay with the parent. */
    VkInstance instance;
    int64_t process; /* that has made it */
} emulsion_vulkan_driver;

/* The driver's functions, with an instance; null where there is none, and `text` says why. */
const emulsion_vulkan_driver* emulsion_vulkan_find(char text[EMULSION_DEVICE_TEXT]);

/* For tests: what emulsion_vulkan_find answers instead, for devices opened from then on. */
extern emulsion_vulkan_driver* emulsion_vulkan_stand_in;

/* "VK_ERROR_DEVICE_LOST" of -4; "error" of a code that Vulkan 1.2 does not define. */
const char* emulsion_vulkan_result_name(int32_t code);

#ifdef __cplusplus
}
#endif
