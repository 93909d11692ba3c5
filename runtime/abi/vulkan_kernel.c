/* Kernels by Vulkan: a pipeline each, and the sets of views that they are launched with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/vulkan.h"

typedef emulsion_vulkan_device Device;
typedef emulsion_vulkan_kernel Kernel;

enum {
    kPoolSets = 64, /* of a pool, at least one */
    kPoolBuffers = 512
};

/* Whether a kernel can run. */

static const struct {
    uint32_t number;
    const char* name;
} capabilities[] = {{0, "Matrix"},
                    {1, "Shader"},
                    {9, "Float16"},
                    {10, "Float64"},
                    {11, "Int64"},
                    {22, "Int16"},
                    {39, "Int8"},
                    {4433, "StorageBuffer16BitAccess"},
                    {4434, "UniformAndStorageBuffer16BitAccess"},
                    {4448, "StorageBuffer8BitAccess"},
                    {4449, "UniformAndStorageBuffer8BitAccess"}};

static const char* name_of(uint32_t capability) {
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        if (capabilities[i].number == capability) return capabilities[i].name;
    }
    return "capability";
}

static int has_capability(const void* handle, uint32_t capability) {
    const Device* device = handle;
    switch (capability) {
        case 0:
        case 1:
            return 1;
        case 11:
            return (int)device->features.shaderInt64;
        case 22:
            return (int)device->features.shaderInt16;
        case 39:
            return (int)device->features_1_2.shaderInt8;
        case 4433:
            return (int)device->features_1_1.storageBuffer16BitAccess;
        case 4434:
            return (int)device->features_1_1.uniformAndStorageBuffer16BitAccess;
        case 4448:
            return (int)device->features_1_2.storageBuffer8BitAccess;
        case 4449:
            return (int)device->features_1_2.uniformAndStorageBuffer8BitAccess;
        default:
            return 0;
    }
}

static int check_kernel(Device* device, const emulsion_vulkan_code* code, const char* name,
                        const int threads[3]) {
    const VkPhysicalDeviceLimits* limits = &device->limits;
    const char* on = device->base.facts.name;
    const int all = threads[0] * threads[1] * threads[2];
    const uint32_t* sides = limits->maxComputeWorkGroupSize;
    if (all < 0 || (uint32_t)all > limits->maxComputeWorkGroupInvocations)
        return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                    "'%.99s' needs %d threads a block, but '%.60s' runs it with %u",
                                    name, all, on, limits->maxComputeWorkGroupInvocations);
    for (int axis = 0; axis < 3; axis++) {
        if ((uint32_t)threads[axis] <= sides[axis]) continue;
        return emulsion_device_fail(
            &device->base, EMULSION_DEVICE_REFUSED,
            "'%.60s' needs blocks of %d x %d x %d threads, but '%.60s' runs at most %u x %u x %u",
            name, threads[0], threads[1], threads[2], on, sides[0], sides[1], sides[2]);
    }
    if (code->shared > limits->maxComputeSharedMemorySize)
        return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                    "'%.99s' needs %llu bytes of shared memory, but '%.60s' has %u",
                                    name, (unsigned long long)code->shared, on,
                                    limits->maxComputeSharedMemorySize);
    uint32_t most = limits->maxPerStageDescriptorStorageBuffers;
    if (most > limits->maxDescriptorSetStorageBuffers)
        most = limits->maxDescriptorSetStorageBuffers;
    if (code->buffers <= most) return 0;
    return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                "'%.99s' needs %u buffers, but '%.60s' gives it %u", name,
                                code->buffers, on, most);
}

/* Making one. */

static VkShaderModule create_module(Device* device, const emulsion_vulkan_code* code,
                                    const char* name) {
    uint32_t* words = calloc(1, code->bytes + sizeof *words);
    VkShaderModule module = VK_NULL_HANDLE;
    if (words == NULL) {
        emulsion_device_lacks_memory(&device->base);
        return module;
    }
    memcpy(words, code->words, code->bytes);
    const int64_t missing =
        emulsion_vulkan_missing(words, code->bytes / sizeof *words, has_capability, device);
    if (missing >= 0) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' needs %s (%u) of SPIR-V, but '%.60s' lacks it", name,
                             name_of((uint32_t)missing), (uint32_t)missing,
                             device->base.facts.name);
    } else {
        const VkShaderModuleCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                               .codeSize = code->bytes,
                                               .pCode = words};
        const VkResult answer =
            device->vk->vkCreateShaderModule(device->device, &info, NULL, &module);
        if (answer != VK_SUCCESS) {
            char what[128];
            snprintf(what, sizeof what, "to '%.99s'", name);
            module = VK_NULL_HANDLE;
            emulsion_vulkan_fail(device, answer, "vkCreateShaderModule", what);
        }
    }
    free(words);
    return module;
}

/* Scalars lie elsewhere for each launch: their binding gets its offset when it is recorded. */
static VkResult create_bindings(Kernel* kernel) {
    const Device* device = kernel->device;
    const uint32_t count = kernel->has_scalars + kernel->buffers;
    VkDescriptorSetLayoutBinding* bindings = calloc(count + 1, sizeof *bindings);
    if (bindings == NULL) return VK_ERROR_OUT_OF_HOST_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = i < kernel->has_scalars ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC
                                                      : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    }
    const VkDescriptorSetLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings};
    const VkResult answer =
        device->vk->vkCreateDescriptorSetLayout(device->device, &info, NULL, &kernel->bindings);
    if (answer != VK_SUCCESS) kernel->bindings = VK_NULL_HANDLE;
    free(bindings);
    return answer;
}

static VkResult create_layout(Kernel* kernel) {
    const Device* device = kernel->device;
    const VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                             .setLayoutCount = 1,
                                             .pSetLayouts = &kernel->bindings};
    const VkResult answer =
        device->vk->vkCreatePipelineLayout(device->device, &info, NULL, &kernel->layout);
    if (answer != VK_SUCCESS) kernel->layout = VK_NULL_HANDLE;
    return answer;
}

static VkResult create_pipeline(Kernel* kernel, VkShaderModule module) {
    const Device* device = kernel->device;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = kernel->name},
        .layout = kernel->layout};
    const VkResult answer = device->vk->vkCreateComputePipelines(device->device, VK_NULL_HANDLE, 1,
                                                                 &info, NULL, &kernel->pipeline);
    if (answer != VK_SUCCESS) kernel->pipeline = VK_NULL_HANDLE;
    return answer;
}

static int create_parts(Kernel* kernel, VkShaderModule module) {
    const char* function = "vkCreateDescriptorSetLayout";
    VkResult answer = create_bindings(kernel);
    if (answer == VK_SUCCESS) {
        function = "vkCreatePipelineLayout";
        answer = create_layout(kernel);
    }
    if (answer == VK_SUCCESS) {
        function = "vkCreateComputePipelines";
        answer = create_pipeline(kernel, module);
    }
    if (answer == VK_SUCCESS) return 0;
    char what[128];
    snprintf(what, sizeof what, "to '%.99s'", kernel->name);
    return emulsion_vulkan_fail(kernel->device, answer, function, what);
}

Kernel* emulsion_vulkan_create_kernel(Device* device, const emulsion_vulkan_code* code,
                                      const char* name, const int threads[3]) {
    if (check_kernel(device, code, name, threads) != 0) return NULL;
    const VkShaderModule module = create_module(device, code, name);
    if (module == VK_NULL_HANDLE) return NULL;
    Kernel* kernel = calloc(1, sizeof *kernel);
    if (kernel == NULL) {
        emulsion_device_lacks_memory(&device->base);
    } else {
        kernel->device = device;
        kernel->name = name;
        kernel->has_scalars = code->has_scalars;
        kernel->buffers = code->buffers;
        memcpy(kernel->threads, threads, sizeof kernel->threads);
        if (create_parts(kernel, module) != 0) {
            emulsion_vulkan_destroy_kernel(kernel);
            kernel = NULL;
        }
    }
    device->vk->vkDestroyShaderModule(device->device, module, NULL);
    return kernel;
}

int emulsion_vulkan_destroy_kernel(void* handle) {
    Kernel* kernel = handle;
    const Device* device = kernel->device;
    device->vk->vkDestroyPipeline(device->device, kernel->pipeline, NULL);
    device->vk->vkDestroyPipelineLayout(device->device, kernel->layout, NULL);
    device->vk->vkDestroyDescriptorSetLayout(device->device, kernel->bindings, NULL);
    while (kernel->sets != NULL) {
        emulsion_vulkan_set* set = kernel->sets;
        kernel->sets = set->next;
        free(set);
    }
    free(kernel);
    return 0;
}

/* Sets of views. */

/* A pool with room for a set; null where it fails. */
static emulsion_vulkan_pool* find_pool(Device* device, uint32_t buffers) {
    emulsion_vulkan_pool* pool = device->pools;
    if (pool != NULL && pool->sets > 0 && pool->buffers >= buffers) return pool;
    pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        emulsion_device_lacks_memory(&device->base);
        return NULL;
    }
    pool->sets = kPoolSets;
    pool->buffers = buffers > kPoolBuffers ? buffers : kPoolBuffers;
    const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC, pool->sets},
                                          {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, pool->buffers}};
    const VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = pool->sets,
                                             .poolSizeCount = 2,
                                             .pPoolSizes = sizes};
    const VkResult answer =
        device->vk->vkCreateDescriptorPool(device->device, &info, NULL, &pool->pool);
    if (answer != VK_SUCCESS) {
        free(pool);
        emulsion_vulkan_fail(device, answer, "vkCreateDescriptorPool", "to views");
        return NULL;
    }
    pool->next = device->pools;
    device->pools = pool;
    return pool;
}

void emulsion_vulkan_destroy_pools(Device* device) {
    while (device->pools != NULL) {
        emulsion_vulkan_pool* pool = device->pools;
        device->pools = pool->next;
        device->vk->vkDestroyDescriptorPool(device->device, pool->pool, NULL);
        free(pool);
    }
}

static void write_set(const Kernel* kernel, const emulsion_vulkan_set* set) {
    const Device* device = kernel->device;
    for (uint32_t i = 0; i < kernel->has_scalars + kernel->buffers; i++) {
        const int is_scalars = i < kernel->has_scalars;
        const emulsion_vulkan_view* view = is_scalars ? NULL : set->views[i - kernel->has_scalars];
        const VkDescriptorBufferInfo part = {is_scalars ? device->host.buffer : view->buffer,
                                             is_scalars ? 0 : view->offset,
                                             is_scalars ? EMULSION_VULKAN_SCALARS : view->bytes};
        const VkWriteDescriptorSet write = {
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set->set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = is_scalars ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC
                                         : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &part};
        device->vk->vkUpdateDescriptorSets(device->device, 1, &write, 0, NULL);
    }
}

static emulsion_vulkan_set* create_set(Kernel* kernel, const emulsion_vulkan_view* const* views) {
    Device* device = kernel->device;
    emulsion_vulkan_pool* pool = find_pool(device, kernel->buffers);
    if (pool == NULL) return NULL;
    emulsion_vulkan_set* set = calloc(1, sizeof *set + kernel->buffers * sizeof *views);
    if (set == NULL) {
        emulsion_device_lacks_memory(&device->base);
        return NULL;
    }
    const VkDescriptorSetAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = pool->pool,
        .descriptorSetCount = 1,
        .pSetLayouts = &kernel->bindings};
    const VkResult answer = device->vk->vkAllocateDescriptorSets(device->device, &info, &set->set);
    if (answer != VK_SUCCESS) {
        char what[128];
        snprintf(what, sizeof what, "to views of '%.99s'", kernel->name);
        free(set);
        emulsion_vulkan_fail(device, answer, "vkAllocateDescriptorSets", what);
        return NULL;
    }
    pool->sets--;
    pool->buffers -= kernel->buffers;
    memcpy(set->views, views, kernel->buffers * sizeof *views);
    set->next = kernel->sets;
    kernel->sets = set;
    write_set(kernel, set);
    return set;
}

emulsion_vulkan_set* emulsion_vulkan_bind(Kernel* kernel,
                                          const emulsion_vulkan_view* const* views) {
    for (emulsion_vulkan_set* set = kernel->sets; set != NULL; set = set->next) {
        if (memcmp(set->views, views, kernel->buffers * sizeof *views) == 0) return set;
    }
    return create_set(kernel, views);
}
