/* The loader of Vulkan's drivers, and an instance of it. */
#include "runtime/abi/vulkan_driver.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/abi/device_base.h"

emulsion_vulkan_driver* emulsion_vulkan_stand_in;

#define EMULSION_NAME(name) #name,
static const char* const names[] = {EMULSION_VULKAN_FUNCTIONS(EMULSION_NAME)};
#undef EMULSION_NAME

static union {
    emulsion_vulkan_driver driver;
    void* functions[sizeof names / sizeof *names];
} found;
_Static_assert(offsetof(emulsion_vulkan_driver, instance) == sizeof found.functions,
               "a pointer for each name");

static emulsion_driver driver = EMULSION_DRIVER("Vulkan", "libvulkan.so.1", names, found.functions);
static pthread_mutex_t instance_lock = PTHREAD_MUTEX_INITIALIZER;

/* REQUIRES: instance_lock is held. */
static void make_instance(emulsion_vulkan_driver* vk, char text[EMULSION_DEVICE_TEXT]) {
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pEngineName = "emulsion",
                                           .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application};
    const VkResult answer = vk->vkCreateInstance(&info, NULL, &vk->instance);
    if (answer == VK_SUCCESS) return;
    vk->instance = NULL;
    snprintf(text, EMULSION_DEVICE_TEXT, "no driver of Vulkan: vkCreateInstance answers %s (%d)",
             emulsion_vulkan_result_name(answer), answer);
}

const emulsion_vulkan_driver* emulsion_vulkan_find(char text[EMULSION_DEVICE_TEXT]) {
    emulsion_vulkan_driver* vk = emulsion_vulkan_stand_in;
    if (vk == NULL) {
        if (!emulsion_driver_find(&driver, text)) return NULL;
        vk = &found.driver;
    }
    pthread_mutex_lock(&instance_lock);
    if (vk->process != getpid()) vk->instance = NULL;
    vk->process = getpid();
    if (vk->instance == NULL) make_instance(vk, text);
    const int is_there = vk->instance != NULL;
    pthread_mutex_unlock(&instance_lock);
    return is_there ? vk : NULL;
}

const char* emulsion_vulkan_result_name(int32_t code) {
    /* From 0 on, and from -1 down. */
    static const char* const of_success[] = {"VK_SUCCESS",   "VK_NOT_READY",   "VK_TIMEOUT",
                                             "VK_EVENT_SET", "VK_EVENT_RESET", "VK_INCOMPLETE"};
    static const char* const of_error[] = {"VK_ERROR_OUT_OF_HOST_MEMORY",
                                           "VK_ERROR_OUT_OF_DEVICE_MEMORY",
                                           "VK_ERROR_INITIALIZATION_FAILED",
                                           "VK_ERROR_DEVICE_LOST",
                                           "VK_ERROR_MEMORY_MAP_FAILED",
                                           "VK_ERROR_LAYER_NOT_PRESENT",
                                           "VK_ERROR_EXTENSION_NOT_PRESENT",
                                           "VK_ERROR_FEATURE_NOT_PRESENT",
                                           "VK_ERROR_INCOMPATIBLE_DRIVER",
                                           "VK_ERROR_TOO_MANY_OBJECTS",
                                           "VK_ERROR_FORMAT_NOT_SUPPORTED",
                                           "VK_ERROR_FRAGMENTED_POOL",
                                           "VK_ERROR_UNKNOWN"};
    enum {
        kSuccess = sizeof of_success / sizeof *of_success,
        kError = sizeof of_error / sizeof *of_error
    };
    if (code >= 0 && code < kSuccess) return of_success[code];
    if (code < 0 && code >= -kError) return of_error[-1 - code];
    switch (code) {
        case VK_ERROR_OUT_OF_POOL_MEMORY:
            return "VK_ERROR_OUT_OF_POOL_MEMORY";
        case VK_ERROR_INVALID_EXTERNAL_HANDLE:
            return "VK_ERROR_INVALID_EXTERNAL_HANDLE";
        case VK_ERROR_FRAGMENTATION:
            return "VK_ERROR_FRAGMENTATION";
        case VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS:
            return "VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS";
        case VK_ERROR_INVALID_SHADER_NV:
            return "VK_ERROR_INVALID_SHADER_NV";
        default:
            return "error";
    }
}
