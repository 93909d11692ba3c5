/* What is recorded and submitted: a few frames in turn. Each command waits for all before it, on
 * the device; the process waits for a frame when it records it anew, and for what a mark brings. */
#include <stdio.h>

#include "runtime/abi/vulkan.h"

typedef emulsion_vulkan_device Device;
typedef emulsion_vulkan_frame Frame;

enum {
    kScalars = EMULSION_VULKAN_LAUNCHES * EMULSION_VULKAN_SCALARS,
    kFrameBytes = kScalars + EMULSION_VULKAN_STAGED
};

uint64_t emulsion_vulkan_scalars_of(const Device* device, const Frame* frame) {
    return (uint64_t)(frame - device->frames) * kFrameBytes;
}

uint64_t emulsion_vulkan_staged_of(const Device* device, const Frame* frame) {
    return emulsion_vulkan_scalars_of(device, frame) + kScalars;
}

/* Opening and closing. */

static int create_commands(Device* device) {
    const emulsion_vulkan_driver* vk = device->vk;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = device->family};
    VkResult answer = vk->vkCreateCommandPool(device->device, &pool, NULL, &device->commands);
    if (answer != VK_SUCCESS) {
        device->commands = VK_NULL_HANDLE;
        return emulsion_vulkan_fail(device, answer, "vkCreateCommandPool", "to commands");
    }
    VkCommandBuffer buffers[EMULSION_VULKAN_FRAMES];
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = device->commands,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = EMULSION_VULKAN_FRAMES};
    answer = vk->vkAllocateCommandBuffers(device->device, &info, buffers);
    if (answer != VK_SUCCESS)
        return emulsion_vulkan_fail(device, answer, "vkAllocateCommandBuffers", "to commands");
    for (int i = 0; i < EMULSION_VULKAN_FRAMES; i++) device->frames[i].commands = buffers[i];
    return 0;
}

int emulsion_vulkan_open_queue(Device* device) {
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    if (create_commands(device) != 0) return device->base.head.error;
    for (int i = 0; i < EMULSION_VULKAN_FRAMES; i++) {
        VkFence* fence = &device->frames[i].fence;
        const VkResult answer = device->vk->vkCreateFence(device->device, &info, NULL, fence);
        if (answer == VK_SUCCESS) continue;
        *fence = VK_NULL_HANDLE;
        return emulsion_vulkan_fail(device, answer, "vkCreateFence", "to a fence");
    }
    if (emulsion_vulkan_create_memory(device, (uint64_t)EMULSION_VULKAN_FRAMES * kFrameBytes,
                                      /*is_host=*/1, &device->host) != 0)
        return device->base.head.error;
    device->mapped = emulsion_vulkan_map(device, &device->host);
    return device->base.head.error;
}

void emulsion_vulkan_close_queue(Device* device) {
    for (int i = 0; i < EMULSION_VULKAN_FRAMES; i++)
        device->vk->vkDestroyFence(device->device, device->frames[i].fence, NULL);
    device->vk->vkDestroyCommandPool(device->device, device->commands, NULL);
    emulsion_vulkan_free_memory(device, &device->host);
}

/* Recording. */

/* Returns when the frame's commands are through. */
static int wait_for(Device* device, Frame* frame) {
    if (!frame->is_submitted) return 0;
    const VkResult answer =
        device->vk->vkWaitForFences(device->device, 1, &frame->fence, VK_TRUE, UINT64_MAX);
    if (answer != VK_SUCCESS) return emulsion_vulkan_waited(device, answer, "vkWaitForFences");
    frame->is_submitted = 0;
    return emulsion_vulkan_waited(
        device, device->vk->vkResetFences(device->device, 1, &frame->fence), "vkResetFences");
}

static int begin(Device* device, Frame* frame) {
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (wait_for(device, frame) != 0) return device->base.head.error;
    const VkResult answer = device->vk->vkBeginCommandBuffer(frame->commands, &info);
    if (answer != VK_SUCCESS) return emulsion_vulkan_waited(device, answer, "vkBeginCommandBuffer");
    frame->is_recording = 1;
    frame->number++;
    frame->launches = 0;
    frame->staged = 0;
    return 0;
}

/* What follows runs behind all that was recorded before, of former frames too. */
static void order(const Device* device, const Frame* frame) {
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    device->vk->vkCmdPipelineBarrier(frame->commands, stages, stages, 0, 1, &barrier, 0, NULL, 0,
                                     NULL);
}

Frame* emulsion_vulkan_record(Device* device, uint64_t staged) {
    if (device->base.head.error != 0) return NULL;
    Frame* frame = &device->frames[device->frame];
    if (frame->is_recording && (frame->launches == EMULSION_VULKAN_LAUNCHES ||
                                staged > EMULSION_VULKAN_STAGED - frame->staged)) {
        if (emulsion_vulkan_submit(device) != 0) return NULL;
        frame = &device->frames[device->frame];
    }
    if (!frame->is_recording && begin(device, frame) != 0) return NULL;
    order(device, frame);
    return frame;
}

/* Submitting. */

/* The process reads, behind the frame's fence, what the frame has copied for it. */
static void show_to_host(const Device* device, const Frame* frame) {
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    device->vk->vkCmdPipelineBarrier(frame->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                     VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

int emulsion_vulkan_submit(Device* device) {
    Frame* frame = &device->frames[device->frame];
    if (device->base.head.error != 0 || !frame->is_recording) return device->base.head.error;
    show_to_host(device, frame);
    frame->is_recording = 0;
    VkResult answer = device->vk->vkEndCommandBuffer(frame->commands);
    if (answer != VK_SUCCESS) return emulsion_vulkan_waited(device, answer, "vkEndCommandBuffer");
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &frame->commands};
    answer = device->vk->vkQueueSubmit(device->queue, 1, &info, frame->fence);
    if (answer != VK_SUCCESS) return emulsion_vulkan_waited(device, answer, "vkQueueSubmit");
    frame->is_submitted = 1;
    device->frame = (device->frame + 1) % EMULSION_VULKAN_FRAMES;
    return 0;
}

int emulsion_vulkan_wait(Device* device) {
    if (emulsion_vulkan_submit(device) != 0) return device->base.head.error;
    for (int i = 0; i < EMULSION_VULKAN_FRAMES; i++) {
        if (wait_for(device, &device->frames[i]) != 0) break;
    }
    return device->base.head.error;
}

int emulsion_vulkan_wait_for(Device* device, Frame* frame, uint64_t number) {
    /* It has been waited for before it was recorded anew. */
    if (device->base.head.error != 0 || frame->number != number) return device->base.head.error;
    return wait_for(device, frame);
}
