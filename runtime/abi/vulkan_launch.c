/* Programs and launches by Vulkan: what Halide's kernels call. */
#include "runtime/abi/vulkan.h"

#include <stdlib.h>
#include <string.h>

typedef emulsion_vulkan_device Device;
typedef emulsion_vulkan_kernel Kernel;

enum { kMostBuffers = 64 }; /* of a kernel */

/* The text of a kernel object; what it holds is read for each kernel. */
typedef struct Program {
    const void* text;
    size_t bytes;
} Program;

/* 0 once the device has the program of this text. */
static int ready_program(Device* device, const void* text, size_t bytes) {
    emulsion_device_base* base = &device->base;
    if (base->head.error != 0) return base->head.error;
    if (emulsion_table_find(&base->programs, (uintptr_t)text, 0) != NULL) return 0;
    Program* program = calloc(1, sizeof *program);
    if (program == NULL) return emulsion_device_lacks_memory(base);
    *program = (Program){text, bytes};
    if (emulsion_device_add(base, &base->programs, (uintptr_t)text, 0, program) != 0) {
        free(program);
        return base->head.error;
    }
    base->head.programs++;
    return 0;
}

Kernel* emulsion_vulkan_ready_kernel(Device* device, const void* text, const char* name,
                                     const emulsion_vulkan_code* code, const int threads[3]) {
    emulsion_device_base* base = &device->base;
    Kernel* kernel = emulsion_vulkan_create_kernel(device, code, name, threads);
    if (kernel == NULL) return NULL;
    if (emulsion_device_add(base, &base->kernels, (uintptr_t)text, (uintptr_t)name, kernel) != 0) {
        emulsion_vulkan_destroy_kernel(kernel);
        return NULL;
    }
    base->head.kernels++;
    return kernel;
}

/* Null where it fails. */
static Kernel* ready_kernel(Device* device, const void* text, const char* name,
                            const int threads[3]) {
    emulsion_device_base* base = &device->base;
    Kernel* kernel = emulsion_table_find(&base->kernels, (uintptr_t)text, (uintptr_t)name);
    if (kernel == NULL) {
        const Program* program = emulsion_table_find(&base->programs, (uintptr_t)text, 0);
        const char* why = "has no module";
        emulsion_vulkan_code code;
        if (program != NULL &&
            emulsion_vulkan_find_code(program->text, program->bytes, name, &code, &why))
            return emulsion_vulkan_ready_kernel(device, text, name, &code, threads);
        emulsion_device_fail(base, EMULSION_DEVICE_REFUSED, "'%.99s' %s", name, why);
        return NULL;
    }
    if (memcmp(kernel->threads, threads, sizeof kernel->threads) == 0) return kernel;
    emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                         "'%.99s' is made for blocks of %d x %d x %d threads, but is launched with "
                         "%d x %d x %d",
                         name, kernel->threads[0], kernel->threads[1], kernel->threads[2],
                         threads[0], threads[1], threads[2]);
    return NULL;
}

/* Launching. */

static int check_grid(Device* device, const Kernel* kernel, const int blocks[3]) {
    const uint32_t* most = device->limits.maxComputeWorkGroupCount;
    for (int axis = 0; axis < 3; axis++) {
        if (blocks[axis] >= 0 && (uint32_t)blocks[axis] <= most[axis]) continue;
        return emulsion_device_fail(
            &device->base, EMULSION_DEVICE_REFUSED,
            "'%.60s' needs %d x %d x %d blocks, but '%.60s' runs at most %u x %u x %u",
            kernel->name, blocks[0], blocks[1], blocks[2], device->base.facts.name, most[0],
            most[1], most[2]);
    }
    return 0;
}

int emulsion_vulkan_launch(Kernel* kernel, const int blocks[3],
                           const emulsion_vulkan_view* const* views, const void* scalars,
                           size_t bytes) {
    Device* device = kernel->device;
    const emulsion_vulkan_driver* vk = device->vk;
    emulsion_device* head = &device->base.head;
    if (check_grid(device, kernel, blocks) != 0) return head->error;
    const emulsion_vulkan_set* set = emulsion_vulkan_bind(kernel, views);
    if (set == NULL || head->dry) return head->error;
    emulsion_vulkan_frame* frame = emulsion_vulkan_record(device, 0);
    if (frame == NULL) return head->error;
    const uint32_t at = (uint32_t)emulsion_vulkan_scalars_of(device, frame) +
                        frame->launches * EMULSION_VULKAN_SCALARS;
    memcpy(device->mapped + at, scalars, bytes);
    vk->vkCmdBindPipeline(frame->commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel->pipeline);
    vk->vkCmdBindDescriptorSets(frame->commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel->layout, 0,
                                1, &set->set, kernel->has_scalars, &at);
    vk->vkCmdDispatch(frame->commands, (uint32_t)blocks[0], (uint32_t)blocks[1],
                      (uint32_t)blocks[2]);
    frame->launches++;
    head->launches++;
    device->base.latest = kernel->name;
    return 0;
}

/* Arguments: their sizes end with a zero. Scalars lie behind one another, in their order. */
static int read_arguments(const Kernel* kernel, const size_t sizes[], void* const arguments[],
                          const int8_t is_buffer[], const emulsion_vulkan_view** views,
                          unsigned char* scalars, size_t* bytes) {
    emulsion_device_base* base = &kernel->device->base;
    uint32_t buffers = 0;
    *bytes = 0;
    for (uint32_t i = 0; sizes[i] != 0; i++) {
        if (!is_buffer[i]) {
            if (sizes[i] > EMULSION_VULKAN_SCALARS - *bytes)
                return emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                                            "'%.99s' has more than %d bytes of scalars",
                                            kernel->name, EMULSION_VULKAN_SCALARS);
            memcpy(scalars + *bytes, arguments[i], sizes[i]);
            *bytes += sizes[i];
            continue;
        }
        const uint64_t view = ((const emulsion_descriptor*)arguments[i])->device;
        if (view == 0) return emulsion_device_lacks_argument(base, (int)i, kernel->name);
        if (buffers < kMostBuffers) views[buffers] = (const emulsion_vulkan_view*)(uintptr_t)view;
        buffers++;
    }
    if (buffers == kernel->buffers && buffers <= kMostBuffers &&
        (*bytes > 0) == (kernel->has_scalars != 0))
        return 0;
    return emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                                "'%.99s' is given %u buffers and %zu bytes of scalars, but has %u "
                                "and %s",
                                kernel->name, buffers, *bytes, kernel->buffers,
                                kernel->has_scalars ? "some" : "none");
}

/* What Halide's kernels call; they drop what it returns. */

int halide_vulkan_initialize_kernels(void* user_context, void** state, const char* source,
                                     int bytes);
int halide_vulkan_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                      int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                      size_t sizes[], void* arguments[], int8_t is_buffer[]);
void halide_vulkan_finalize_kernels(void* user_context, void* state);
const void* halide_vulkan_device_interface(void);

int halide_vulkan_initialize_kernels(void* user_context, void** state, const char* source,
                                     int bytes) {
    /* A variable of the kernel object, which all instances share: the same for each of them. */
    __atomic_store_n(state, (void*)(uintptr_t)source, __ATOMIC_RELAXED);
    return ready_program(emulsion_device_of(user_context), source, (size_t)bytes);
}

int halide_vulkan_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                      int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                      size_t sizes[], void* arguments[], int8_t is_buffer[]) {
    Device* device = emulsion_device_of(user_context);
    const int blocks[3] = {blocks_x, blocks_y, blocks_z};
    const int threads[3] = {threads_x, threads_y, threads_z};
    const emulsion_vulkan_view* views[kMostBuffers];
    unsigned char scalars[EMULSION_VULKAN_SCALARS];
    size_t bytes;
    (void)shared; /* the module has it */
    if (device->base.head.error != 0) return device->base.head.error;
    Kernel* kernel = ready_kernel(device, state, name, threads);
    if (kernel == NULL ||
        read_arguments(kernel, sizes, arguments, is_buffer, views, scalars, &bytes) != 0)
        return device->base.head.error;
    return emulsion_vulkan_launch(kernel, blocks, views, scalars, bytes);
}

void halide_vulkan_finalize_kernels(void* user_context, void* state) {
    (void)user_context;
    (void)state;
}

/* Kernels hand it to halide_copy_to_device alone. */
const void* halide_vulkan_device_interface(void) { return NULL; }
