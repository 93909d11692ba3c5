/* Memory by Vulkan: arenas, views, and copies over memory of the host that the device reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/vulkan.h"

typedef emulsion_vulkan_device Device;
typedef emulsion_vulkan_mark Mark;

enum { kNoType = UINT32_MAX };

/* Blocks. */

/* The first type of memory, among those that `allowed` names, with all these flags: drivers put the
 * better first. */
static uint32_t find_type(const Device* device, uint32_t allowed, VkMemoryPropertyFlags flags,
                          int in_heap) {
    VkPhysicalDeviceMemoryProperties memory;
    device->vk->vkGetPhysicalDeviceMemoryProperties(device->id, &memory);
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        const VkMemoryType* type = &memory.memoryTypes[i];
        if ((allowed >> i & 1) != 0 && (type->propertyFlags & flags) == flags &&
            (!in_heap || type->heapIndex == device->heap))
            return i;
    }
    return kNoType;
}

/* Of the host, what its processor caches: it reads what the device has copied. */
static uint32_t choose_type(const Device* device, uint32_t allowed, int is_host) {
    const VkMemoryPropertyFlags shared =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (!is_host)
        return find_type(device, allowed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, /*in_heap=*/1);
    const uint32_t type =
        find_type(device, allowed, shared | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 0);
    return type != kNoType ? type : find_type(device, allowed, shared, 0);
}

static VkResult create_buffer(Device* device, uint64_t bytes, int is_host, VkBuffer* buffer) {
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = (bytes + 3) & ~UINT64_C(3), /* zeros are written by words */
        .usage =
            VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
            (is_host ? VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT : VK_BUFFER_USAGE_STORAGE_BUFFER_BIT),
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    const VkResult answer = device->vk->vkCreateBuffer(device->device, &info, NULL, buffer);
    if (answer != VK_SUCCESS) *buffer = VK_NULL_HANDLE;
    return answer;
}

int emulsion_vulkan_create_memory(Device* device, uint64_t bytes, int is_host,
                                  emulsion_vulkan_memory* memory) {
    const emulsion_vulkan_driver* vk = device->vk;
    const char* function = "vkCreateBuffer";
    VkResult answer = create_buffer(device, bytes, is_host, &memory->buffer);
    if (answer == VK_SUCCESS) {
        VkMemoryRequirements needs;
        vk->vkGetBufferMemoryRequirements(device->device, memory->buffer, &needs);
        const VkMemoryAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
            .allocationSize = needs.size,
            .memoryTypeIndex = choose_type(device, needs.memoryTypeBits, is_host)};
        if (info.memoryTypeIndex == kNoType)
            return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                        "'%.99s' has no memory for %s", device->base.facts.name,
                                        is_host ? "what goes up and down" : "buffers of kernels");
        function = "vkAllocateMemory";
        answer = vk->vkAllocateMemory(device->device, &info, NULL, &memory->memory);
        if (answer != VK_SUCCESS) memory->memory = VK_NULL_HANDLE;
    }
    if (answer == VK_SUCCESS) {
        function = "vkBindBufferMemory";
        answer = vk->vkBindBufferMemory(device->device, memory->buffer, memory->memory, 0);
    }
    if (answer != VK_SUCCESS) {
        char what[64];
        snprintf(what, sizeof what, "to %llu bytes of memory", (unsigned long long)bytes);
        return emulsion_vulkan_fail(device, answer, function, what);
    }
    if (is_host) return 0;
    device->base.head.allocations++;
    device->base.head.allocated_bytes += bytes;
    return 0;
}

void emulsion_vulkan_free_memory(Device* device, emulsion_vulkan_memory* memory) {
    device->vk->vkDestroyBuffer(device->device, memory->buffer, NULL);
    device->vk->vkFreeMemory(device->device, memory->memory, NULL);
}

unsigned char* emulsion_vulkan_map(Device* device, const emulsion_vulkan_memory* memory) {
    void* mapped = NULL;
    const VkResult answer =
        device->vk->vkMapMemory(device->device, memory->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
    if (answer == VK_SUCCESS) return mapped;
    emulsion_vulkan_fail(device, answer, "vkMapMemory", "to the host's memory");
    return NULL;
}

/* Arenas. */

/* What the heap of arenas has left: as the driver says, others' share taken off, where it does. */
static uint64_t bytes_left(const Device* device) {
    const uint64_t all = device->base.facts.memory_bytes;
    const uint64_t taken = device->base.head.allocated_bytes;
    const uint64_t left = taken < all ? all - taken : 0;
    if (!device->has_budget) return left;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
    device->vk->vkGetPhysicalDeviceMemoryProperties2(device->id, &memory);
    const uint64_t most = budget.heapBudget[device->heap], used = budget.heapUsage[device->heap];
    const uint64_t budgeted = used < most ? most - used : 0;
    return budgeted < left ? budgeted : left;
}

int emulsion_vulkan_allocate(emulsion_device* head, int memory_class, uint64_t bytes) {
    Device* device = (Device*)head;
    const int refused =
        emulsion_device_check_arena(&device->base, memory_class, bytes, bytes_left(device));
    if (refused != 0 || bytes == 0) return refused;
    emulsion_vulkan_memory* arena = &device->arenas[memory_class];
    if (emulsion_vulkan_create_memory(device, bytes, /*is_host=*/0, arena) != 0) return head->error;
    device->base.arena_bytes[memory_class] = bytes;
    const emulsion_vulkan_frame* frame = emulsion_vulkan_record(device, 0);
    if (frame == NULL) return head->error;
    device->vk->vkCmdFillBuffer(frame->commands, arena->buffer, 0, VK_WHOLE_SIZE, 0);
    /* Drivers take memory when it is first used. */
    return emulsion_vulkan_wait(device);
}

uint64_t emulsion_vulkan_make_view(emulsion_device* head, int memory_class, uint64_t offset,
                                   uint64_t bytes) {
    Device* device = (Device*)head;
    if (emulsion_device_check_range(&device->base, memory_class, offset, bytes) != 0) return 0;
    emulsion_table* views = &device->views[memory_class];
    emulsion_vulkan_view* view = emulsion_table_find(views, offset, bytes);
    if (view != NULL) return (uint64_t)(uintptr_t)view;
    const uint64_t alignment = device->base.facts.alignment;
    if (offset % alignment != 0 || bytes == 0 || bytes > device->limits.maxStorageBufferRange) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "a view of %llu bytes from byte %llu is asked for, but '%.60s' gives "
                             "those of 1 to %u bytes from multiples of %llu on",
                             (unsigned long long)bytes, (unsigned long long)offset,
                             device->base.facts.name, device->limits.maxStorageBufferRange,
                             (unsigned long long)alignment);
        return 0;
    }
    view = calloc(1, sizeof *view);
    if (view == NULL) {
        emulsion_device_lacks_memory(&device->base);
        return 0;
    }
    *view = (emulsion_vulkan_view){device->arenas[memory_class].buffer, offset, bytes};
    if (emulsion_device_add(&device->base, views, offset, bytes, view) != 0) {
        free(view);
        return 0;
    }
    return (uint64_t)(uintptr_t)view;
}

/* Copies. */

static uint64_t part_of(uint64_t bytes) {
    return bytes < EMULSION_VULKAN_STAGED ? bytes : EMULSION_VULKAN_STAGED;
}

int emulsion_vulkan_upload(emulsion_device* head, int memory_class, uint64_t offset,
                           const void* host, uint64_t bytes) {
    Device* device = (Device*)head;
    if (!emulsion_device_uploads(&device->base, memory_class, offset, bytes)) return head->error;
    for (uint64_t at = 0; at < bytes; at += part_of(bytes - at)) {
        const uint64_t part = part_of(bytes - at);
        emulsion_vulkan_frame* frame = emulsion_vulkan_record(device, part);
        if (frame == NULL) return head->error;
        const VkBufferCopy region = {emulsion_vulkan_staged_of(device, frame) + frame->staged,
                                     offset + at, part};
        memcpy(device->mapped + region.srcOffset, (const char*)host + at, part);
        device->vk->vkCmdCopyBuffer(frame->commands, device->host.buffer,
                                    device->arenas[memory_class].buffer, 1, &region);
        frame->staged += part;
    }
    return 0;
}

/* Marks. */

/* A dry device makes it, so that calls find it. */
static int ready_mark(Device* device, Mark* mark, uint64_t bytes) {
    if (bytes <= mark->capacity || emulsion_vulkan_wait(device) != 0)
        return device->base.head.error;
    emulsion_vulkan_free_memory(device, &mark->host);
    memset(mark, 0, sizeof *mark);
    if (emulsion_vulkan_create_memory(device, bytes, /*is_host=*/1, &mark->host) != 0)
        return device->base.head.error;
    mark->mapped = emulsion_vulkan_map(device, &mark->host);
    mark->capacity = bytes;
    return device->base.head.error;
}

int emulsion_vulkan_set_mark(emulsion_device* head, int index, uint64_t offset, uint64_t bytes) {
    Device* device = (Device*)head;
    Mark* mark = &device->marks[index];
    if (emulsion_device_check_range(&device->base, EMULSION_WORKSPACE, offset, bytes) != 0 ||
        ready_mark(device, mark, bytes) != 0 || head->dry)
        return head->error;
    mark->bytes = 0;
    if (bytes == 0) return emulsion_vulkan_submit(device);
    emulsion_vulkan_frame* frame = emulsion_vulkan_record(device, 0);
    if (frame == NULL) return head->error;
    const VkBufferCopy region = {offset, 0, bytes};
    device->vk->vkCmdCopyBuffer(frame->commands, device->arenas[EMULSION_WORKSPACE].buffer,
                                mark->host.buffer, 1, &region);
    mark->offset = offset;
    mark->bytes = bytes;
    mark->frame = frame;
    mark->number = frame->number;
    return emulsion_vulkan_submit(device);
}

/* Whether the mark brings all these bytes. */
static int brings(const Mark* mark, uint64_t offset, uint64_t bytes) {
    const uint64_t begin = offset - mark->offset;
    return offset >= mark->offset && begin <= mark->bytes && bytes <= mark->bytes - begin;
}

/* Behind all launches. */
static int download_now(Device* device, int memory_class, uint64_t offset, void* host,
                        uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += part_of(bytes - at)) {
        const uint64_t part = part_of(bytes - at);
        emulsion_vulkan_frame* frame = emulsion_vulkan_record(device, part);
        if (frame == NULL) return device->base.head.error;
        const VkBufferCopy region = {
            offset + at, emulsion_vulkan_staged_of(device, frame) + frame->staged, part};
        device->vk->vkCmdCopyBuffer(frame->commands, device->arenas[memory_class].buffer,
                                    device->host.buffer, 1, &region);
        frame->staged += part;
        if (emulsion_vulkan_wait(device) != 0) return device->base.head.error;
        memcpy((char*)host + at, device->mapped + region.dstOffset, part);
    }
    return 0;
}

int emulsion_vulkan_download(emulsion_device* head, int memory_class, uint64_t offset, void* host,
                             uint64_t bytes, int index) {
    Device* device = (Device*)head;
    if (!emulsion_device_downloads(&device->base, memory_class, offset, bytes)) return head->error;
    const Mark* mark = index < 0 ? NULL : &device->marks[index];
    if (mark == NULL || memory_class != EMULSION_WORKSPACE || !brings(mark, offset, bytes))
        return download_now(device, memory_class, offset, host, bytes);
    if (emulsion_vulkan_wait_for(device, mark->frame, mark->number) != 0) return head->error;
    memcpy(host, mark->mapped + (offset - mark->offset), bytes);
    return 0;
}
