/* Memory by OpenCL: arenas, the driver's or the caller's, views and copies. */
#include <stdio.h>
#include <string.h>

#include "runtime/abi/internal.h"
#include "runtime/abi/opencl.h"

typedef emulsion_opencl_device Device;

/* Arenas. */

static void* create_buffer(Device* device, uint64_t bytes) {
    int answer = 0;
    void* buffer =
        device->cl->clCreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &answer);
    if (answer != 0) {
        char what[64];
        snprintf(what, sizeof what, "to %llu bytes of memory", (unsigned long long)bytes);
        emulsion_opencl_fail(device, answer, "clCreateBuffer", what);
        return NULL;
    }
    device->base.head.allocations++;
    device->base.head.allocated_bytes += bytes;
    return buffer;
}

/* Makes a buffer the arena of a class. */
static int begin_arena(Device* device, int memory_class, void* buffer, uint64_t bytes) {
    const uint8_t zero = 0;
    device->arenas[memory_class] = buffer;
    device->base.arena_bytes[memory_class] = bytes;
    int answer = device->cl->clEnqueueFillBuffer(device->queue, buffer, &zero, sizeof zero, 0,
                                                 bytes, 0, NULL, NULL);
    /* Drivers take memory when it is first used. */
    if (answer == 0) answer = device->cl->clFinish(device->queue);
    return answer == 0 ? 0
                       : emulsion_opencl_fail(device, answer, "clEnqueueFillBuffer",
                                              "to the zeros of an arena");
}

int emulsion_opencl_allocate(emulsion_device* head, int memory_class, uint64_t bytes) {
    Device* device = (Device*)head;
    const uint64_t all = device->base.facts.memory_bytes;
    const uint64_t left = head->allocated_bytes < all ? all - head->allocated_bytes : 0;
    const int refused = emulsion_device_check_arena(&device->base, memory_class, bytes, left);
    if (refused != 0 || bytes == 0) return refused;
    void* buffer = create_buffer(device, bytes);
    return buffer == NULL ? head->error : begin_arena(device, memory_class, buffer, bytes);
}

/* What a driver says of a buffer of the caller's. */
typedef struct {
    uint32_t type;
    uint64_t flags;
    size_t bytes;
    void *host, *context, *whole;
} Block;

static int read_block(Device* device, void* buffer, Block* block) {
    const struct {
        uint32_t name;
        size_t bytes;
        void* value;
    } facts[] = {{CL_MEM_TYPE, sizeof block->type, &block->type},
                 {CL_MEM_FLAGS, sizeof block->flags, &block->flags},
                 {CL_MEM_SIZE, sizeof block->bytes, &block->bytes},
                 {CL_MEM_HOST_PTR, sizeof block->host, &block->host},
                 {CL_MEM_CONTEXT, sizeof block->context, &block->context},
                 {CL_MEM_ASSOCIATED_MEMOBJECT, sizeof block->whole, &block->whole}};
    memset(block, 0, sizeof *block);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const int answer = device->cl->clGetMemObjectInfo(buffer, facts[i].name, facts[i].bytes,
                                                          facts[i].value, NULL);
        if (answer != 0)
            return emulsion_opencl_fail(device, answer, "clGetMemObjectInfo",
                                        "to a block of the caller's");
    }
    return 0;
}

/* Views are parts of an arena for reading and writing; of a part there are none. */
static int check_block(Device* device, int memory_class, void* buffer, uint64_t bytes) {
    const uint64_t one_way = CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY | CL_MEM_HOST_WRITE_ONLY |
                             CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;
    emulsion_device_base* base = &device->base;
    Block block;
    const int answer = read_block(device, buffer, &block);
    if (answer != 0) return answer;
    if (block.type != CL_MEM_OBJECT_BUFFER)
        return emulsion_device_refuse_block(base, memory_class, "is no buffer");
    if (block.context != device->context)
        return emulsion_device_refuse_block(base, memory_class, "is of another context");
    if (block.whole != NULL)
        return emulsion_device_refuse_block(base, memory_class, "is a part of another buffer");
    if ((block.flags & one_way) != 0)
        return emulsion_device_refuse_block(
            base, memory_class, "is not for reading and writing by both kernels and the host");
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (device->arenas[i] == buffer)
            return emulsion_device_refuse_block(base, memory_class, "is that of class %s too",
                                                emulsion_class_names[i]);
    }
    return emulsion_device_check_block(base, memory_class, (uintptr_t)block.host, block.bytes,
                                       bytes);
}

int emulsion_opencl_adopt(emulsion_device* head, int memory_class, uint64_t block, uint64_t bytes) {
    Device* device = (Device*)head;
    void* buffer = (void*)(uintptr_t)block;
    int answer = emulsion_device_check_class(&device->base, memory_class);
    if (answer == 0) answer = check_block(device, memory_class, buffer, bytes);
    if (answer != 0) return answer;
    answer = device->cl->clRetainMemObject(buffer);
    if (answer != 0)
        return emulsion_opencl_fail(device, answer, "clRetainMemObject",
                                    "to a block of the caller's");
    return begin_arena(device, memory_class, buffer, bytes);
}

/* Views and copies. */

uint64_t emulsion_opencl_view(emulsion_device* head, int memory_class, uint64_t offset,
                              uint64_t bytes) {
    Device* device = (Device*)head;
    if (emulsion_device_check_range(&device->base, memory_class, offset, bytes) != 0) return 0;
    emulsion_table* views = &device->views[memory_class];
    void* view = emulsion_table_find(views, offset, bytes);
    if (view != NULL) return (uint64_t)(uintptr_t)view;
    const size_t region[2] = {offset, bytes};
    int answer = 0;
    view = device->cl->clCreateSubBuffer(device->arenas[memory_class], CL_MEM_READ_WRITE,
                                         CL_BUFFER_CREATE_TYPE_REGION, region, &answer);
    if (answer != 0) {
        char what[96];
        snprintf(what, sizeof what, "to a view of %llu bytes from byte %llu",
                 (unsigned long long)bytes, (unsigned long long)offset);
        emulsion_opencl_fail(device, answer, "clCreateSubBuffer", what);
        return 0;
    }
    if (emulsion_device_add(&device->base, views, offset, bytes, view) != 0) {
        device->cl->clReleaseMemObject(view);
        return 0;
    }
    return (uint64_t)(uintptr_t)view;
}

/* What a copy names the bytes by. Kernels may run on views of the workspace beside it, so that it
 * takes a view there, one that is wide enough: bind has made those of the largest batch. Other
 * classes are at rest. */
static void* copied(Device* device, int memory_class, uint64_t* offset, uint64_t bytes) {
    if (memory_class != EMULSION_WORKSPACE || *offset % EMULSION_DEVICE_ALIGNMENT != 0)
        return device->arenas[memory_class];
    void* view = emulsion_table_find_least(&device->views[memory_class], *offset, bytes);
    if (view == NULL)
        view = (void*)(uintptr_t)emulsion_opencl_view(&device->base.head, memory_class, *offset,
                                                      bytes);
    *offset = 0;
    return view;
}

int emulsion_opencl_upload(emulsion_device* head, int memory_class, uint64_t offset,
                           const void* host, uint64_t bytes) {
    Device* device = (Device*)head;
    if (!emulsion_device_uploads(&device->base, memory_class, offset, bytes)) return head->error;
    void* buffer = copied(device, memory_class, &offset, bytes);
    if (buffer == NULL) return head->error;
    return emulsion_opencl_waited(
        device,
        device->cl->clEnqueueWriteBuffer(device->copies, buffer, /*blocking=*/1, offset, bytes,
                                         host, 0, NULL, NULL),
        "clEnqueueWriteBuffer");
}

int emulsion_opencl_download(emulsion_device* head, int memory_class, uint64_t offset, void* host,
                             uint64_t bytes, int mark) {
    Device* device = (Device*)head;
    if (!emulsion_device_downloads(&device->base, memory_class, offset, bytes)) return head->error;
    const int is_beside = mark >= 0 && device->marks[mark] != NULL;
    void* buffer = copied(device, memory_class, &offset, bytes);
    if (buffer == NULL) return head->error;
    return emulsion_opencl_waited(
        device,
        device->cl->clEnqueueReadBuffer(is_beside ? device->copies : device->queue, buffer,
                                        /*blocking=*/1, offset, bytes, host, is_beside ? 1 : 0,
                                        is_beside ? &device->marks[mark] : NULL, NULL),
        "clEnqueueReadBuffer");
}
