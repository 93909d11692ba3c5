/* Devices by Vulkan 1.2: which there are, opening and closing. An arena is a buffer with memory of
 * its own, a view a part of it, and one queue keeps the order of what it is given. */
#include "runtime/abi/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef emulsion_vulkan_device Device;

enum { kMostDevices = 64, kMostFamilies = 64, kNoIndex = UINT32_MAX };

/* Faults. */

int emulsion_vulkan_fail(Device* device, int answer, const char* function, const char* what) {
    return emulsion_device_fail(&device->base, answer, "%s answers %s (%d) %s on '%.60s'", function,
                                emulsion_vulkan_result_name(answer), answer, what,
                                device->base.facts.name);
}

int emulsion_vulkan_waited(Device* device, int answer, const char* function) {
    char what[160];
    if (answer == 0) return 0;
    emulsion_device_behind(&device->base, what, sizeof what);
    return emulsion_vulkan_fail(device, answer, function, what);
}

/* Which devices there are. */

static int list_devices(const emulsion_vulkan_driver* vk, VkPhysicalDevice devices[kMostDevices],
                        char text[EMULSION_DEVICE_TEXT]) {
    static const VkPhysicalDeviceType order[] = {
        VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
        VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_PHYSICAL_DEVICE_TYPE_OTHER,
        VK_PHYSICAL_DEVICE_TYPE_CPU};
    VkPhysicalDevice all[kMostDevices];
    uint32_t count = kMostDevices, sorted = 0;
    const VkResult answer = vk->vkEnumeratePhysicalDevices(vk->instance, &count, all);
    if (answer != VK_SUCCESS && answer != VK_INCOMPLETE) {
        snprintf(text, EMULSION_DEVICE_TEXT,
                 "no device of Vulkan: vkEnumeratePhysicalDevices answers %s (%d)",
                 emulsion_vulkan_result_name(answer), answer);
        return 0;
    }
    for (size_t type = 0; type < sizeof order / sizeof *order; type++) {
        for (uint32_t i = 0; i < count; i++) {
            VkPhysicalDeviceProperties properties;
            vk->vkGetPhysicalDeviceProperties(all[i], &properties);
            if (properties.deviceType == order[type]) devices[sorted++] = all[i];
        }
    }
    if (sorted == 0) snprintf(text, EMULSION_DEVICE_TEXT, "the drivers of Vulkan offer no device");
    return (int)sorted;
}

static int count_devices(char text[EMULSION_DEVICE_TEXT]) {
    VkPhysicalDevice devices[kMostDevices];
    if (emulsion_devices_are_off(text)) return 0;
    const emulsion_vulkan_driver* vk = emulsion_vulkan_find(text);
    return vk == NULL ? 0 : list_devices(vk, devices, text);
}

/* The driver's functions and the device of this index; null where there is none. */
static const emulsion_vulkan_driver* find_device(int index, VkPhysicalDevice* device,
                                                 char text[EMULSION_DEVICE_TEXT]) {
    VkPhysicalDevice devices[kMostDevices];
    if (emulsion_devices_are_off(text)) return NULL;
    const emulsion_vulkan_driver* vk = emulsion_vulkan_find(text);
    if (vk == NULL) return NULL;
    const int count = list_devices(vk, devices, text);
    if (count == 0 || !emulsion_device_has_index(&emulsion_vulkan, index, count, text)) return NULL;
    *device = devices[index];
    return vk;
}

/* The largest heap of the device's own; kNoIndex where it has none. */
static uint32_t find_heap(const VkPhysicalDeviceMemoryProperties* memory) {
    uint32_t best = kNoIndex;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++) {
        if ((memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0) continue;
        if (best == kNoIndex || memory->memoryHeaps[i].size > memory->memoryHeaps[best].size)
            best = i;
    }
    return best;
}

static void read_facts(const emulsion_vulkan_driver* vk, VkPhysicalDevice device,
                       emulsion_device_facts* facts) {
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    memset(facts, 0, sizeof *facts);
    vk->vkGetPhysicalDeviceProperties(device, &properties);
    vk->vkGetPhysicalDeviceMemoryProperties(device, &memory);
    snprintf(facts->name, sizeof facts->name, "%.*s", EMULSION_DEVICE_TEXT - 1,
             properties.deviceName);
    const uint32_t heap = find_heap(&memory);
    facts->memory_bytes = heap == kNoIndex ? 0 : memory.memoryHeaps[heap].size;
    facts->largest_bytes = facts->memory_bytes;
    facts->alignment = properties.limits.minStorageBufferOffsetAlignment;
    facts->is_software = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    facts->view_bytes = properties.limits.maxStorageBufferRange;
    if (properties.apiVersion < VK_API_VERSION_1_1) return; /* nor can it be opened */
    VkPhysicalDeviceMaintenance3Properties most = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 more = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                        .pNext = &most};
    vk->vkGetPhysicalDeviceProperties2(device, &more);
    if (most.maxMemoryAllocationSize < facts->largest_bytes)
        facts->largest_bytes = most.maxMemoryAllocationSize;
}

static int get_facts(int index, emulsion_device_facts* facts, char text[EMULSION_DEVICE_TEXT]) {
    VkPhysicalDevice id;
    const emulsion_vulkan_driver* vk = find_device(index, &id, text);
    if (vk == NULL) return EMULSION_DEVICE_REFUSED;
    read_facts(vk, id, facts);
    return 0;
}

/* Opening and closing. */

static uint32_t find_family(const Device* device) {
    VkQueueFamilyProperties families[kMostFamilies];
    uint32_t count = kMostFamilies;
    device->vk->vkGetPhysicalDeviceQueueFamilyProperties(device->id, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0) return i;
    }
    return kNoIndex;
}

static int has_extension(const Device* device, const char* name) {
    uint32_t count = 0;
    int is_there = 0;
    const emulsion_vulkan_driver* vk = device->vk;
    if (vk->vkEnumerateDeviceExtensionProperties(device->id, NULL, &count, NULL) != VK_SUCCESS)
        return 0;
    VkExtensionProperties* extensions = calloc(count + 1, sizeof *extensions);
    if (extensions == NULL) return 0;
    vk->vkEnumerateDeviceExtensionProperties(device->id, NULL, &count, extensions);
    for (uint32_t i = 0; i < count; i++) is_there |= strcmp(extensions[i].extensionName, name) == 0;
    free(extensions);
    return is_there;
}

/* What libraries ask of a device, beside what each kernel asks. */
static void check_device(Device* device) {
    const emulsion_device_facts* facts = &device->base.facts;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    device->vk->vkGetPhysicalDeviceProperties(device->id, &properties);
    device->vk->vkGetPhysicalDeviceMemoryProperties(device->id, &memory);
    device->limits = properties.limits;
    device->heap = find_heap(&memory);
    device->family = find_family(device);
    device->has_budget = has_extension(device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (properties.apiVersion < VK_API_VERSION_1_2) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' speaks Vulkan %u.%u, but Vulkan 1.2 is needed", facts->name,
                             VK_API_VERSION_MAJOR(properties.apiVersion),
                             VK_API_VERSION_MINOR(properties.apiVersion));
    } else if (device->family == kNoIndex || device->heap == kNoIndex) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED, "'%.99s' has no %s",
                             facts->name,
                             device->heap == kNoIndex ? "memory of its own" : "queue for kernels");
    } else {
        emulsion_device_check_alignment(&device->base);
    }
}

/* What kernels may ask for is on where the device has it, and nothing else is. */
static void choose_features(Device* device) {
    VkPhysicalDeviceVulkan12Features has_1_2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceVulkan11Features has_1_1 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &has_1_2};
    VkPhysicalDeviceFeatures2 has = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                     .pNext = &has_1_1};
    device->vk->vkGetPhysicalDeviceFeatures2(device->id, &has);
    device->features = (VkPhysicalDeviceFeatures){.shaderInt16 = has.features.shaderInt16,
                                                  .shaderInt64 = has.features.shaderInt64};
    device->features_1_1 = (VkPhysicalDeviceVulkan11Features){
        .sType = has_1_1.sType,
        .storageBuffer16BitAccess = has_1_1.storageBuffer16BitAccess,
        .uniformAndStorageBuffer16BitAccess = has_1_1.uniformAndStorageBuffer16BitAccess};
    device->features_1_2 = (VkPhysicalDeviceVulkan12Features){
        .sType = has_1_2.sType,
        .shaderInt8 = has_1_2.shaderInt8,
        .storageBuffer8BitAccess = has_1_2.storageBuffer8BitAccess,
        .uniformAndStorageBuffer8BitAccess = has_1_2.uniformAndStorageBuffer8BitAccess};
}

static void create_device(Device* device) {
    const float priority = 1;
    choose_features(device);
    VkPhysicalDeviceVulkan12Features features_1_2 = device->features_1_2;
    VkPhysicalDeviceVulkan11Features features_1_1 = device->features_1_1;
    features_1_1.pNext = &features_1_2;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = device->family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features_1_1,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .pEnabledFeatures = &device->features};
    const VkResult answer = device->vk->vkCreateDevice(device->id, &info, NULL, &device->device);
    if (answer != VK_SUCCESS) {
        device->device = NULL;
        emulsion_vulkan_fail(device, answer, "vkCreateDevice", "to a context");
        return;
    }
    device->vk->vkGetDeviceQueue(device->device, device->family, 0, &device->queue);
}

static int free_handle(void* handle) {
    free(handle);
    return 0;
}

static void close_device(emulsion_device* head) {
    Device* device = (Device*)head;
    if (device->device != NULL) {
        device->vk->vkDeviceWaitIdle(device->device);
        emulsion_table_clear(&device->base.kernels, emulsion_vulkan_destroy_kernel);
        emulsion_vulkan_destroy_pools(device);
        for (int i = 0; i < EMULSION_CLASSES; i++)
            emulsion_vulkan_free_memory(device, &device->arenas[i]);
        for (int i = 0; i < EMULSION_DEVICE_MARKS; i++)
            emulsion_vulkan_free_memory(device, &device->marks[i].host);
        emulsion_vulkan_close_queue(device);
        device->vk->vkDestroyDevice(device->device, NULL);
    }
    emulsion_table_clear(&device->base.programs, free_handle);
    for (int i = 0; i < EMULSION_CLASSES; i++) emulsion_table_clear(&device->views[i], free_handle);
    free(device);
}

static emulsion_device* open_device(int index, void* context, char text[EMULSION_DEVICE_TEXT]) {
    (void)context; /* there is none where nothing is adopted */
    VkPhysicalDevice id;
    const emulsion_vulkan_driver* vk = find_device(index, &id, text);
    if (vk == NULL) return NULL;
    Device* device = emulsion_device_new(&emulsion_vulkan, sizeof *device, text);
    if (device == NULL) return NULL;
    emulsion_device* head = &device->base.head;
    device->vk = vk;
    device->id = id;
    read_facts(vk, id, &device->base.facts);
    check_device(device);
    if (head->error == 0) create_device(device);
    if (head->error == 0) emulsion_vulkan_open_queue(device);
    return emulsion_device_opened(head, text);
}

static int finish(emulsion_device* head) {
    if (head->error != 0) return head->error;
    return emulsion_vulkan_wait((Device*)head);
}

const emulsion_device_api emulsion_vulkan = {.name = "vulkan",
                                             .count = count_devices,
                                             .facts = get_facts,
                                             .open = open_device,
                                             .close = close_device,
                                             .allocate = emulsion_vulkan_allocate,
                                             .view = emulsion_vulkan_make_view,
                                             .upload = emulsion_vulkan_upload,
                                             .download = emulsion_vulkan_download,
                                             .mark = emulsion_vulkan_set_mark,
                                             .finish = finish,
                                             .test = emulsion_vulkan_test,
                                             .probe = emulsion_vulkan_probe};
