/* Devices by OpenCL 1.2. An arena is a buffer, a view a sub-buffer of it made once, a queue keeps
 * the order of what it is given; copies have one of their own. */
#include "runtime/abi/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef emulsion_opencl_device Device;

enum { kMostDevices = 64 };

/* Faults. */

int emulsion_opencl_fail(Device* device, int answer, const char* function, const char* what) {
    return emulsion_device_fail(&device->base, answer, "%s answers %s (%d) %s on '%.60s'", function,
                                emulsion_opencl_error_name(answer), answer, what,
                                device->base.facts.name);
}

int emulsion_opencl_waited(Device* device, int answer, const char* function) {
    char what[160];
    if (answer == 0) return 0;
    emulsion_device_behind(&device->base, what, sizeof what);
    return emulsion_opencl_fail(device, answer, function, what);
}

/* Which devices there are. */

static int list_devices(const emulsion_opencl_driver* cl, void* devices[kMostDevices],
                        char text[EMULSION_DEVICE_TEXT]) {
    void* platforms[kMostDevices];
    uint32_t platform_count = 0, count = 0;
    const int answer = cl->clGetPlatformIDs(kMostDevices, platforms, &platform_count);
    if (answer != 0) {
        snprintf(text, EMULSION_DEVICE_TEXT,
                 "no driver of OpenCL: clGetPlatformIDs answers %s (%d)",
                 emulsion_opencl_error_name(answer), answer);
        return 0;
    }
    if (platform_count > kMostDevices) platform_count = kMostDevices;
    for (int rest = 0; rest < 2; rest++) {
        for (uint32_t i = 0; i < platform_count && count < kMostDevices; i++) {
            const uint32_t most = kMostDevices - count;
            uint32_t more = 0;
            if (cl->clGetDeviceIDs(platforms[i], rest ? CL_DEVICE_TYPE_NO_GPU : CL_DEVICE_TYPE_GPU,
                                   most, devices + count, &more) == 0)
                count += more < most ? more : most;
        }
    }
    if (count == 0) snprintf(text, EMULSION_DEVICE_TEXT, "the drivers of OpenCL offer no device");
    return (int)count;
}

static int count_devices(char text[EMULSION_DEVICE_TEXT]) {
    void* devices[kMostDevices];
    if (emulsion_devices_are_off(text)) return 0;
    const emulsion_opencl_driver* cl = emulsion_opencl_find(text);
    return cl == NULL ? 0 : list_devices(cl, devices, text);
}

/* The driver's functions and the device of this index; null where there is none. */
static const emulsion_opencl_driver* find_device(int index, void** device,
                                                 char text[EMULSION_DEVICE_TEXT]) {
    void* devices[kMostDevices];
    if (emulsion_devices_are_off(text)) return NULL;
    const emulsion_opencl_driver* cl = emulsion_opencl_find(text);
    if (cl == NULL) return NULL;
    const int count = list_devices(cl, devices, text);
    if (count == 0 || !emulsion_device_has_index(&emulsion_opencl, index, count, text)) return NULL;
    *device = devices[index];
    return cl;
}

static int ask(const emulsion_opencl_driver* cl, void* device, uint32_t name, void* value,
               size_t bytes) {
    memset(value, 0, bytes);
    return cl->clGetDeviceInfo(device, name, bytes, value, NULL);
}

static int read_facts(const emulsion_opencl_driver* cl, void* device, emulsion_device_facts* facts,
                      char text[EMULSION_DEVICE_TEXT]) {
    uint32_t align_bits = 0;
    uint64_t type = 0;
    int answer = ask(cl, device, CL_DEVICE_NAME, facts->name, sizeof facts->name - 1);
    facts->name[sizeof facts->name - 1] = 0;
    if (answer == 0)
        answer = ask(cl, device, CL_DEVICE_GLOBAL_MEM_SIZE, &facts->memory_bytes, sizeof(uint64_t));
    if (answer == 0)
        answer =
            ask(cl, device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &facts->largest_bytes, sizeof(uint64_t));
    facts->view_bytes = facts->largest_bytes;
    if (answer == 0)
        answer = ask(cl, device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, &align_bits, sizeof align_bits);
    if (answer == 0) answer = ask(cl, device, CL_DEVICE_TYPE, &type, sizeof type);
    facts->alignment = align_bits / 8;
    facts->is_software = (type & CL_DEVICE_TYPE_CPU) != 0;
    if (answer != 0)
        snprintf(text, EMULSION_DEVICE_TEXT, "clGetDeviceInfo answers %s (%d)",
                 emulsion_opencl_error_name(answer), answer);
    return answer;
}

static int get_facts(int index, emulsion_device_facts* facts, char text[EMULSION_DEVICE_TEXT]) {
    void* id;
    const emulsion_opencl_driver* cl = find_device(index, &id, text);
    return cl == NULL ? EMULSION_DEVICE_REFUSED : read_facts(cl, id, facts, text);
}

/* Opening and closing. */

/* What libraries ask of a device, beside what each kernel asks. */
static void check_device(Device* device) {
    const emulsion_device_facts* facts = &device->base.facts;
    char version[32];
    uint32_t is_available, has_compiler, constant_arguments;
    uint64_t constant_bytes;
    ask(device->cl, device->id, CL_DEVICE_AVAILABLE, &is_available, sizeof is_available);
    ask(device->cl, device->id, CL_DEVICE_COMPILER_AVAILABLE, &has_compiler, sizeof has_compiler);
    ask(device->cl, device->id, CL_DEVICE_LOCAL_MEM_SIZE, &device->shared_bytes,
        sizeof device->shared_bytes);
    ask(device->cl, device->id, CL_DEVICE_VERSION, version, sizeof version);
    ask(device->cl, device->id, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, &constant_bytes,
        sizeof constant_bytes);
    ask(device->cl, device->id, CL_DEVICE_MAX_CONSTANT_ARGS, &constant_arguments,
        sizeof constant_arguments);
    /* Halide's kernels choose by these whether an argument is a constant. */
    snprintf(device->options, sizeof device->options,
             "-D MAX_CONSTANT_BUFFER_SIZE=%llu -D MAX_CONSTANT_ARGS=%u",
             (unsigned long long)constant_bytes, constant_arguments);
    if (!is_available || !has_compiler) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED, "'%.99s' %s", facts->name,
                             is_available ? "has no compiler" : "is not available");
    } else if (strncmp(version, "OpenCL 1.0", 10) == 0 || strncmp(version, "OpenCL 1.1", 10) == 0) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' speaks %.10s, but OpenCL 1.2 is needed", facts->name,
                             version);
    } else {
        emulsion_device_check_alignment(&device->base);
    }
}

static void close_device(emulsion_device* head) {
    Device* device = (Device*)head;
    const emulsion_opencl_driver* cl = device->cl;
    if (device->queue != NULL) cl->clFinish(device->queue);
    emulsion_table_clear(&device->base.kernels, cl->clReleaseKernel);
    emulsion_table_clear(&device->base.programs, cl->clReleaseProgram);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        emulsion_table_clear(&device->views[i], cl->clReleaseMemObject);
        if (device->arenas[i] != NULL) cl->clReleaseMemObject(device->arenas[i]);
    }
    for (int i = 0; i < EMULSION_DEVICE_MARKS; i++) {
        if (device->marks[i] != NULL) cl->clReleaseEvent(device->marks[i]);
    }
    if (device->copies != NULL) cl->clReleaseCommandQueue(device->copies);
    if (device->queue != NULL) cl->clReleaseCommandQueue(device->queue);
    if (device->context != NULL) cl->clReleaseContext(device->context);
    free(device);
}

static void* create_queue(Device* device) {
    int answer = 0;
    void* queue = device->cl->clCreateCommandQueue(device->context, device->id, 0, &answer);
    if (answer == 0) return queue;
    emulsion_opencl_fail(device, answer, "clCreateCommandQueue", "to a queue");
    return NULL;
}

static void create_context(Device* device) {
    int answer = 0;
    device->context = device->cl->clCreateContext(NULL, 1, &device->id, NULL, NULL, &answer);
    if (answer != 0) emulsion_opencl_fail(device, answer, "clCreateContext", "to a context");
}

/* The caller's, which has this device. */
static void take_context(Device* device, void* context) {
    void* devices[kMostDevices];
    size_t bytes = 0;
    int has_device = 0;
    int answer =
        device->cl->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof devices, devices, &bytes);
    if (answer != 0) {
        emulsion_opencl_fail(device, answer, "clGetContextInfo", "to the context of the caller's");
        return;
    }
    for (size_t i = 0; i < bytes / sizeof *devices; i++) has_device |= devices[i] == device->id;
    if (!has_device) {
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "the context of the caller's is none of '%.99s'",
                             device->base.facts.name);
        return;
    }
    answer = device->cl->clRetainContext(context);
    if (answer == 0)
        device->context = context;
    else
        emulsion_opencl_fail(device, answer, "clRetainContext", "to the context of the caller's");
}

static void open_queues(Device* device) {
    device->queue = create_queue(device);
    if (device->queue != NULL) device->copies = create_queue(device);
}

static emulsion_device* open_device(int index, void* context, char text[EMULSION_DEVICE_TEXT]) {
    void* id;
    const emulsion_opencl_driver* cl = find_device(index, &id, text);
    if (cl == NULL) return NULL;
    Device* device = emulsion_device_new(&emulsion_opencl, sizeof *device, text);
    if (device == NULL) return NULL;
    emulsion_device* head = &device->base.head;
    device->cl = cl;
    device->id = id;
    head->error = read_facts(cl, id, &device->base.facts, head->text);
    if (head->error == 0) check_device(device);
    if (head->error == 0 && context == NULL) create_context(device);
    if (head->error == 0 && context != NULL) take_context(device, context);
    if (head->error == 0) open_queues(device);
    return emulsion_device_opened(head, text);
}

/* The order of launches. */

static int set_mark(emulsion_device* head, int mark, uint64_t offset, uint64_t bytes) {
    Device* device = (Device*)head;
    const emulsion_opencl_driver* cl = device->cl;
    (void)offset;
    (void)bytes;
    if (head->error != 0 || head->dry) return head->error;
    if (device->marks[mark] != NULL) cl->clReleaseEvent(device->marks[mark]);
    device->marks[mark] = NULL;
    int answer = cl->clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &device->marks[mark]);
    if (answer != 0)
        return emulsion_opencl_fail(device, answer, "clEnqueueMarkerWithWaitList", "to a mark");
    answer =
        cl->clFlush(device->queue); /* nobody may wait in one queue for what stays in another */
    return answer == 0 ? 0 : emulsion_opencl_fail(device, answer, "clFlush", "to a mark");
}

static int finish(emulsion_device* head) {
    Device* device = (Device*)head;
    if (head->error != 0) return head->error;
    return emulsion_opencl_waited(device, device->cl->clFinish(device->queue), "clFinish");
}

const emulsion_device_api emulsion_opencl = {.name = "opencl",
                                             .count = count_devices,
                                             .facts = get_facts,
                                             .open = open_device,
                                             .close = close_device,
                                             .allocate = emulsion_opencl_allocate,
                                             .adopt = emulsion_opencl_adopt,
                                             .view = emulsion_opencl_view,
                                             .upload = emulsion_opencl_upload,
                                             .download = emulsion_opencl_download,
                                             .mark = set_mark,
                                             .finish = finish,
                                             .test = emulsion_opencl_test,
                                             .probe = emulsion_opencl_probe,
                                             .needs_context = 1};
