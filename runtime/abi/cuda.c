/* Devices by CUDA's driver. An arena is a block of memory, a view an address in it. The context is
 * the device's primary one, which other libraries of the process use too; the stream is the
 * device's own and keeps the order of what it is given. */
#include "runtime/abi/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/internal.h"

typedef emulsion_cuda_device Device;

enum {
    kLeastCapability = 80, /* kernels are compiled for it */
    kViewAlignment = 16    /* of the widest access of kernels */
};

/* Faults. */

/* "CUDA_ERROR_OUT_OF_MEMORY (2: out of memory)". */
static void describe(const emulsion_cuda_driver* cu, int answer, char words[], size_t bytes) {
    const char *name = NULL, *text = NULL;
    const int has_name = cu->error_name(answer, &name) == 0 && name != NULL;
    const int has_text = cu->error_text(answer, &text) == 0 && text != NULL;
    snprintf(words, bytes, "%s (%d%s%.80s)", has_name ? name : "error", answer,
             has_text ? ": " : "", has_text ? text : "");
}

enum { kWords = 160 };

int emulsion_cuda_fail(Device* device, int answer, const char* function, const char* what) {
    char words[kWords];
    describe(device->cu, answer, words, sizeof words);
    return emulsion_device_fail(&device->base, answer, "%s answers %s %s on '%.60s'", function,
                                words, what, device->base.facts.name);
}

int emulsion_cuda_waited(Device* device, int answer, const char* function) {
    char what[160];
    if (answer == 0) return 0;
    emulsion_device_behind(&device->base, what, sizeof what);
    return emulsion_cuda_fail(device, answer, function, what);
}

int emulsion_cuda_enter(Device* device) {
    if (device->base.head.error != 0) return device->base.head.error;
    const int answer = device->cu->context_push(device->context);
    return answer == 0
               ? 0
               : emulsion_cuda_fail(device, answer, "cuCtxPushCurrent", "to the device's context");
}

int emulsion_cuda_leave(Device* device, int result) {
    void* context;
    device->cu->context_pop(&context);
    return result;
}

/* Which devices there are. */

static int tell(const emulsion_cuda_driver* cu, int answer, const char* function,
                char text[EMULSION_DEVICE_TEXT]) {
    if (answer == 0) return 0;
    char words[kWords];
    describe(cu, answer, words, sizeof words);
    snprintf(text, EMULSION_DEVICE_TEXT, "%s answers %s", function, words);
    return answer;
}

/* Null where there is no driver or no device; else `count` is at least 1. */
static const emulsion_cuda_driver* find_driver(int* count, char text[EMULSION_DEVICE_TEXT]) {
    if (emulsion_devices_are_off(text)) return NULL;
    const emulsion_cuda_driver* cu = emulsion_cuda_find(text);
    if (cu == NULL || tell(cu, cu->init(0), "cuInit", text) != 0 ||
        tell(cu, cu->device_count(count), "cuDeviceGetCount", text) != 0)
        return NULL;
    if (*count > 0) return cu;
    snprintf(text, EMULSION_DEVICE_TEXT, "the driver of CUDA offers no device");
    return NULL;
}

static int count_devices(char text[EMULSION_DEVICE_TEXT]) {
    int count;
    return find_driver(&count, text) == NULL ? 0 : count;
}

static const emulsion_cuda_driver* find_device(int index, int* device,
                                               char text[EMULSION_DEVICE_TEXT]) {
    int count;
    const emulsion_cuda_driver* cu = find_driver(&count, text);
    if (cu == NULL || !emulsion_device_has_index(&emulsion_cuda, index, count, text)) return NULL;
    return tell(cu, cu->device_get(device, index), "cuDeviceGet", text) == 0 ? cu : NULL;
}

static int read_facts(const emulsion_cuda_driver* cu, int device, emulsion_device_facts* facts,
                      char text[EMULSION_DEVICE_TEXT]) {
    size_t bytes = 0;
    memset(facts, 0, sizeof *facts);
    int answer = tell(cu, cu->device_name(facts->name, sizeof facts->name - 1, device),
                      "cuDeviceGetName", text);
    if (answer == 0) answer = tell(cu, cu->device_memory(&bytes, device), "cuDeviceTotalMem", text);
    facts->memory_bytes = facts->largest_bytes = bytes;
    facts->alignment = kViewAlignment;
    facts->view_bytes = bytes;
    return answer;
}

static int get_facts(int index, emulsion_device_facts* facts, char text[EMULSION_DEVICE_TEXT]) {
    int id;
    const emulsion_cuda_driver* cu = find_device(index, &id, text);
    return cu == NULL ? EMULSION_DEVICE_REFUSED : read_facts(cu, id, facts, text);
}

/* Opening and closing. */

static void check_capability(Device* device) {
    int major = 0, minor = 0;
    device->cu->device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device->id);
    device->cu->device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device->id);
    if (10 * major + minor < kLeastCapability)
        emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' has compute capability %d.%d, but kernels need %d.%d",
                             device->base.facts.name, major, minor, kLeastCapability / 10,
                             kLeastCapability % 10);
}

static uint64_t create_memory(Device* device, uint64_t bytes) {
    uint64_t address = 0;
    const int answer = device->cu->memory_allocate(&address, bytes);
    if (answer != 0) {
        char what[64];
        snprintf(what, sizeof what, "to %llu bytes of memory", (unsigned long long)bytes);
        emulsion_cuda_fail(device, answer, "cuMemAlloc", what);
        return 0;
    }
    device->base.head.allocations++;
    device->base.head.allocated_bytes += bytes;
    return address;
}

static void* create_stream(Device* device) {
    void* stream = NULL;
    if (device->base.head.error != 0) return NULL;
    const int answer = device->cu->stream_create(&stream, CU_STREAM_NON_BLOCKING);
    if (answer == 0) return stream;
    emulsion_cuda_fail(device, answer, "cuStreamCreate", "to a stream");
    return NULL;
}

static void* create_event(Device* device) {
    void* event = NULL;
    if (device->base.head.error != 0) return NULL;
    const int answer = device->cu->event_create(&event, CU_EVENT_DISABLE_TIMING);
    if (answer == 0) return event;
    emulsion_cuda_fail(device, answer, "cuEventCreate", "to an event");
    return NULL;
}

static void open_streams(Device* device) {
    const int answer = device->cu->context_retain(&device->context, device->id);
    if (answer != 0) {
        device->context = NULL;
        emulsion_cuda_fail(device, answer, "cuDevicePrimaryCtxRetain", "to a context");
        return;
    }
    if (emulsion_cuda_enter(device) != 0) return;
    device->stream = create_stream(device);
    device->copies = create_stream(device);
    for (int i = 0; i < EMULSION_DEVICE_MARKS; i++) device->marks[i] = create_event(device);
    emulsion_cuda_leave(device, 0);
}

static void close_device(emulsion_device* head) {
    Device* device = (Device*)head;
    const emulsion_cuda_driver* cu = device->cu;
    if (device->context != NULL && cu->context_push(device->context) == 0) {
        if (device->stream != NULL) cu->stream_wait(device->stream);
        emulsion_table_clear(&device->base.programs, cu->module_unload);
        for (int i = 0; i < EMULSION_CLASSES; i++) {
            if (device->arenas[i] != 0 && (device->adopted >> i & 1) == 0)
                cu->memory_free(device->arenas[i]);
        }
        for (int i = 0; i < EMULSION_DEVICE_MARKS; i++) {
            if (device->marks[i] != NULL) cu->event_destroy(device->marks[i]);
        }
        if (device->copies != NULL) cu->stream_destroy(device->copies);
        if (device->stream != NULL) cu->stream_destroy(device->stream);
        emulsion_cuda_leave(device, 0);
    }
    if (device->context != NULL) cu->context_release(device->id);
    emulsion_table_clear(&device->base.programs, NULL);
    emulsion_table_clear(&device->base.kernels, NULL); /* their programs had them */
    free(device);
}

static emulsion_device* open_device(int index, void* context, char text[EMULSION_DEVICE_TEXT]) {
    (void)context; /* always the device's primary one */
    int id;
    const emulsion_cuda_driver* cu = find_device(index, &id, text);
    if (cu == NULL) return NULL;
    Device* device = emulsion_device_new(&emulsion_cuda, sizeof *device, text);
    if (device == NULL) return NULL;
    emulsion_device* head = &device->base.head;
    device->cu = cu;
    device->id = id;
    head->error = read_facts(cu, id, &device->base.facts, head->text);
    if (head->error == 0) check_capability(device);
    if (head->error == 0) open_streams(device);
    return emulsion_device_opened(head, text);
}

/* Memory. */

/* Makes memory the arena of a class. */
static int begin_arena(Device* device, int memory_class, uint64_t address, uint64_t bytes) {
    device->arenas[memory_class] = address;
    device->base.arena_bytes[memory_class] = bytes;
    const int answer = device->cu->memory_set(address, 0, bytes, device->stream);
    if (answer != 0)
        return emulsion_cuda_fail(device, answer, "cuMemsetD8Async", "to the zeros of an arena");
    return emulsion_cuda_waited(device, device->cu->stream_wait(device->stream),
                                "cuStreamSynchronize");
}

static int allocate_entered(Device* device, int memory_class, uint64_t bytes) {
    const emulsion_cuda_driver* cu = device->cu;
    size_t left = 0, all = 0;
    const int answer = cu->memory_info(&left, &all);
    if (answer != 0)
        return emulsion_cuda_fail(device, answer, "cuMemGetInfo", "to how much is free");
    const int refused = emulsion_device_check_arena(&device->base, memory_class, bytes, left);
    if (refused != 0 || bytes == 0) return refused;
    const uint64_t address = create_memory(device, bytes);
    return address == 0 ? device->base.head.error
                        : begin_arena(device, memory_class, address, bytes);
}

static int allocate(emulsion_device* head, int memory_class, uint64_t bytes) {
    Device* device = (Device*)head;
    const int refused = emulsion_cuda_enter(device);
    if (refused != 0) return refused;
    return emulsion_cuda_leave(device, allocate_entered(device, memory_class, bytes));
}

/* Kernels run in the primary context, where memory of another one is not to be found; of memory
 * that pools have given, the driver names no context. */
static int check_owner(Device* device, int memory_class, uint64_t address) {
    const emulsion_cuda_driver* cu = device->cu;
    unsigned kind = 0;
    int ordinal = -1;
    void* context = NULL;
    int answer = cu->pointer_attribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address);
    if (answer == 0)
        answer = cu->pointer_attribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address);
    if (answer == 0)
        answer = cu->pointer_attribute(&context, CU_POINTER_ATTRIBUTE_CONTEXT, address);
    if (answer != 0)
        return emulsion_cuda_fail(device, answer, "cuPointerGetAttribute",
                                  "to a block of the caller's");
    if (kind != CU_MEMORYTYPE_DEVICE)
        return emulsion_device_refuse_block(&device->base, memory_class, "is memory of the host");
    if (ordinal != device->id)
        return emulsion_device_refuse_block(&device->base, memory_class, "is of device cuda:%d",
                                            ordinal);
    if (context == NULL || context == device->context) return 0;
    return emulsion_device_refuse_block(&device->base, memory_class,
                                        "is of another context than the device's primary one");
}

static int check_block(Device* device, int memory_class, uint64_t block, uint64_t bytes) {
    uint64_t base = 0;
    size_t all = 0;
    int answer = check_owner(device, memory_class, block);
    if (answer != 0) return answer;
    answer = device->cu->memory_range(&base, &all, block);
    if (answer != 0)
        return emulsion_cuda_fail(device, answer, "cuMemGetAddressRange",
                                  "to a block of the caller's");
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        const uint64_t other = device->arenas[i];
        if (other != 0 && block < other + device->base.arena_bytes[i] && other < block + bytes)
            return emulsion_device_refuse_block(
                &device->base, memory_class, "overlaps that of class %s", emulsion_class_names[i]);
    }
    return emulsion_device_check_block(&device->base, memory_class, block, base + all - block,
                                       bytes);
}

static int adopt(emulsion_device* head, int memory_class, uint64_t block, uint64_t bytes) {
    Device* device = (Device*)head;
    int answer = emulsion_device_check_class(&device->base, memory_class);
    if (answer == 0) answer = emulsion_cuda_enter(device);
    if (answer != 0) return answer;
    answer = check_block(device, memory_class, block, bytes);
    if (answer != 0) return emulsion_cuda_leave(device, answer);
    device->adopted |= 1u << memory_class;
    return emulsion_cuda_leave(device, begin_arena(device, memory_class, block, bytes));
}

static uint64_t make_view(emulsion_device* head, int memory_class, uint64_t offset,
                          uint64_t bytes) {
    Device* device = (Device*)head;
    if (emulsion_device_check_range(&device->base, memory_class, offset, bytes) != 0) return 0;
    if (offset % kViewAlignment == 0) return device->arenas[memory_class] + offset;
    emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                         "a view of %llu bytes begins at byte %llu, no multiple of %d",
                         (unsigned long long)bytes, (unsigned long long)offset, kViewAlignment);
    return 0;
}

/* Both copies wait for their stream: the host's bytes may be anything's. From and to memory that is
 * not pinned the driver copies through a block of its own, in the order of the stream. */
static int wait_for(Device* device, void* stream, int answer, const char* function) {
    if (answer != 0) return emulsion_cuda_waited(device, answer, function);
    return emulsion_cuda_waited(device, device->cu->stream_wait(stream), "cuStreamSynchronize");
}

static int upload(emulsion_device* head, int memory_class, uint64_t offset, const void* host,
                  uint64_t bytes) {
    Device* device = (Device*)head;
    if (!emulsion_device_uploads(&device->base, memory_class, offset, bytes) ||
        emulsion_cuda_enter(device) != 0)
        return head->error;
    const int answer =
        device->cu->copy_in(device->arenas[memory_class] + offset, host, bytes, device->copies);
    return emulsion_cuda_leave(device,
                               wait_for(device, device->copies, answer, "cuMemcpyHtoDAsync"));
}

static int download(emulsion_device* head, int memory_class, uint64_t offset, void* host,
                    uint64_t bytes, int mark) {
    Device* device = (Device*)head;
    if (!emulsion_device_downloads(&device->base, memory_class, offset, bytes) ||
        emulsion_cuda_enter(device) != 0)
        return head->error;
    void* stream = mark >= 0 ? device->copies : device->stream;
    const char* function = "cuStreamWaitEvent";
    int answer = mark >= 0 ? device->cu->stream_wait_event(stream, device->marks[mark], 0) : 0;
    if (answer == 0) {
        function = "cuMemcpyDtoHAsync";
        answer = device->cu->copy_out(host, device->arenas[memory_class] + offset, bytes, stream);
    }
    return emulsion_cuda_leave(device, wait_for(device, stream, answer, function));
}

static int set_mark(emulsion_device* head, int mark, uint64_t offset, uint64_t bytes) {
    Device* device = (Device*)head;
    (void)offset;
    (void)bytes;
    if (head->dry || emulsion_cuda_enter(device) != 0) return head->error;
    const int answer = device->cu->event_record(device->marks[mark], device->stream);
    if (answer != 0) emulsion_cuda_fail(device, answer, "cuEventRecord", "to a mark");
    return emulsion_cuda_leave(device, head->error);
}

static int finish(emulsion_device* head) {
    Device* device = (Device*)head;
    const int refused = emulsion_cuda_enter(device);
    if (refused != 0) return refused;
    return emulsion_cuda_leave(device,
                               emulsion_cuda_waited(device, device->cu->stream_wait(device->stream),
                                                    "cuStreamSynchronize"));
}

const emulsion_device_api emulsion_cuda = {.name = "cuda",
                                           .count = count_devices,
                                           .facts = get_facts,
                                           .open = open_device,
                                           .close = close_device,
                                           .allocate = allocate,
                                           .adopt = adopt,
                                           .view = make_view,
                                           .upload = upload,
                                           .download = download,
                                           .mark = set_mark,
                                           .finish = finish,
                                           .test = emulsion_cuda_test,
                                           .probe = emulsion_cuda_probe};
