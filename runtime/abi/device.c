/* Variants for devices: bind's part of it (arenas, descriptors, kernels made ready), and what goes
 * up and down. The drivers are behind device.h, and the bytes are device_memory.c's. */
#define _GNU_SOURCE
#include "runtime/abi/device.h"

#include <string.h>
#include <unistd.h>

#include "runtime/abi/internal.h"

/* Failing. */

int emulsion_fail_device(emulsion_instance* instance, int status) {
    emulsion_fail(instance, status, "device ");
    emulsion_append(instance, instance->variant->device->name);
    emulsion_append(instance, ":");
    emulsion_append_number(instance, instance->device_index);
    return status;
}

int emulsion_fail_driver(emulsion_instance* instance, const char* text) {
    emulsion_fail_device(instance, EMULSION_DEVICE_ERROR);
    emulsion_append(instance, ": ");
    emulsion_append(instance, text);
    return EMULSION_DEVICE_ERROR;
}

int emulsion_device_check(emulsion_instance* instance, int kernel) {
    if (instance->device->error == 0) return EMULSION_OK;
    if (kernel < 0) return emulsion_fail_driver(instance, instance->device->text);
    emulsion_fail_kernel(instance, kernel, EMULSION_DEVICE_ERROR);
    emulsion_append(instance, ": ");
    emulsion_append(instance, instance->device->text);
    return EMULSION_DEVICE_ERROR;
}

int emulsion_device_finish(emulsion_instance* instance) {
    instance->device->api->finish(instance->device);
    return emulsion_device_check(instance, -1);
}

/* Opening. */

typedef struct {
    int memory_class;
    uint64_t offset, bytes;
} Place;

static int is_port(const emulsion_buffer* buffer) {
    return buffer->where == EMULSION_INPUT || buffer->where == EMULSION_OUTPUT;
}

/* The bytes of a buffer on the device, of a port those in a set of slots. Its shape is that of the
 * largest batch, which those of smaller ones need not have the room for. */
static Place place_of(const emulsion_instance* instance, const emulsion_buffer* buffer, int set,
                      const uint64_t bytes[EMULSION_CLASSES]) {
    const emulsion_library* library = instance->library;
    Place place = {buffer->where, buffer->offset, 1};
    uint64_t end = 0;
    if (is_port(buffer)) {
        const int before = buffer->where == EMULSION_INPUT ? 0 : library->info->input_count;
        const int number = before + (int)buffer->offset;
        place.memory_class = EMULSION_WORKSPACE;
        place.offset = emulsion_device_slot(library, instance->variant, set, number);
        end = emulsion_device_slot(library, instance->variant, set, number + 1);
    } else {
        end = bytes[place.memory_class];
        if (buffer->where == EMULSION_STATE && buffer->offset == 0) end = EMULSION_STATE_HEAD;
    }
    for (int axis = 0; axis < buffer->rank; axis++) {
        const emulsion_dimension* dimension = &buffer->dimensions[axis];
        place.bytes += (uint64_t)(dimension->extent - 1) * (uint64_t)dimension->stride;
    }
    place.bytes *= buffer->type >> 11 & 0x1f; /* bits to bytes */
    if (place.bytes > end - place.offset) place.bytes = end - place.offset;
    return place;
}

/* Points descriptor i to the device. */
static int point(emulsion_instance* instance, int i, int set,
                 const uint64_t bytes[EMULSION_CLASSES]) {
    const Place place = place_of(instance, &instance->variant->buffers[i], set, bytes);
    const uint64_t view = instance->device->api->view(instance->device, place.memory_class,
                                                      place.offset, place.bytes);
    if (view == 0) return emulsion_device_check(instance, -1);
    instance->descriptors[i].device = view;
    return EMULSION_OK;
}

static int make_views(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES]) {
    const emulsion_buffer* buffers = instance->variant->buffers;
    for (int i = 0; i < instance->variant->buffer_count; i++) {
        if (buffers[i].where == EMULSION_CONSTANT) {
            return emulsion_fail(instance, EMULSION_UNSUPPORTED_DEVICE,
                                 "the library's constants have no place on a device");
        }
        for (int set = is_port(&buffers[i]) ? EMULSION_DEVICE_MARKS - 1 : 0; set >= 0; set--) {
            const int status = point(instance, i, set, bytes);
            if (status != EMULSION_OK) return status;
        }
    }
    return EMULSION_OK;
}

int emulsion_device_use_set(emulsion_instance* instance, const emulsion_plan* plan, int set) {
    int status = EMULSION_OK;
    for (int i = 0; i < plan->input_count && status == EMULSION_OK; i++)
        status = point(instance, plan->inputs[i].buffer, set, NULL);
    for (int i = 0; i < plan->output_count && status == EMULSION_OK; i++)
        status = point(instance, plan->outputs[i].buffer, set, NULL);
    return status;
}

static int make_ready(emulsion_instance* instance, const emulsion_sequence* sequence) {
    int status = EMULSION_OK;
    for (int i = 0; i < sequence->count && status == EMULSION_OK; i++) {
        sequence->kernels[i](instance);
        status = emulsion_device_check(instance, sequence->first + i);
    }
    return status;
}

/* The kernels of a call on this set of slots, and its tests. */
static int make_call_ready(emulsion_instance* instance, const emulsion_plan* plan, int set) {
    int status = emulsion_device_use_set(instance, plan, set);
    instance->samples = plan->batch;
    if (status == EMULSION_OK) status = make_ready(instance, &plan->forward);
    if (status == EMULSION_OK) status = make_ready(instance, &plan->backward);
    if (status != EMULSION_OK || !instance->library->training) return status;
    status = emulsion_device_test_loss(instance, set);
    return status == EMULSION_OK ? emulsion_device_test_gradients(instance, set) : status;
}

/* Programs are built here, and what is launched is bound to its places: each later launch finds its
 * own. */
static int make_all_ready(emulsion_instance* instance) {
    const emulsion_variant* variant = instance->variant;
    instance->device->dry = 1;
    instance->samples = variant->plans[0].batch;
    int status = make_ready(instance, &variant->prepare);
    if (status == EMULSION_OK) status = make_ready(instance, &variant->update);
    for (int set = 0; set < EMULSION_DEVICE_MARKS; set++) {
        for (int i = 0; i < variant->plan_count && status == EMULSION_OK; i++)
            status = make_call_ready(instance, &variant->plans[i], set);
        if (status == EMULSION_OK) status = emulsion_device_mark(instance, set);
    }
    instance->device->dry = 0;
    return status;
}

/* Memory that the caller hands in is that of its class; the device gives the others theirs. */
static int make_arenas(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES],
                       const emulsion_device_memory* given) {
    const emulsion_device_api* api = instance->device->api;
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (bytes[i] == 0) continue;
        const int answer = emulsion_is_given(given, i)
                               ? api->adopt(instance->device, i, given->block[i], bytes[i])
                               : api->allocate(instance->device, i, bytes[i]);
        if (answer != 0) return emulsion_fail_driver(instance, instance->device->text);
    }
    return EMULSION_OK;
}

static int fill_device(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES],
                       const emulsion_device_memory* given) {
    int status = make_arenas(instance, bytes, given);
    if (status == EMULSION_OK) status = make_views(instance, bytes);
    return status == EMULSION_OK ? make_all_ready(instance) : status;
}

int emulsion_device_open(emulsion_instance* instance, int index,
                         const emulsion_device_memory* given) {
    emulsion_sizes sizes;
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device_sizes(instance->library, instance->variant, &sizes);
    instance->device_index = index;
    int status = emulsion_device_check_memory(instance, sizes.device_bytes, given);
    if (status != EMULSION_OK) return status;
    void* context = given == NULL ? NULL : given->context;
    instance->device = instance->variant->device->open(index, context, text);
    if (instance->device == NULL) return emulsion_fail_driver(instance, text);
    instance->pid = (int32_t)getpid();
    status = fill_device(instance, sizes.device_bytes, given);
    if (status != EMULSION_OK) emulsion_device_close(instance);
    return status;
}

void emulsion_device_close(emulsion_instance* instance) {
    instance->device->api->close(instance->device);
    instance->device = NULL;
}

/* Up and down. */

static const uint64_t* head_of(const emulsion_instance* instance) {
    return (const uint64_t*)instance->block[EMULSION_STATE];
}

static int is_of_this_state(const emulsion_instance* instance) {
    const uint64_t* head = head_of(instance);
    return head[0] == instance->device_seed && head[1] == instance->device_step;
}

int emulsion_device_check_uploaded(emulsion_instance* instance) {
    const uint32_t both = 1u << EMULSION_PARAMETERS | 1u << EMULSION_STATE;
    if (instance->uploaded != both) {
        return emulsion_fail(instance, EMULSION_NOT_READY,
                             "the device lacks parameters or state: call upload for both");
    }
    if (is_of_this_state(instance)) return EMULSION_OK;
    emulsion_fail(instance, EMULSION_NOT_READY, "the device holds those of step ");
    emulsion_append_number(instance, (int64_t)instance->device_step);
    emulsion_append(instance, " before init or a checkpoint: upload parameters and state again");
    return EMULSION_NOT_READY;
}

/* The state's head is the host's own; on the device its place is the record's. */
static uint64_t head_bytes(int memory_class) {
    return memory_class == EMULSION_STATE ? EMULSION_STATE_HEAD : 0;
}

int emulsion_device_upload(emulsion_instance* instance, int memory_class) {
    const uint64_t bytes = instance->library->bytes[memory_class], head = head_bytes(memory_class);
    if (bytes <= head) return EMULSION_OK;
    instance->device->api->finish(instance->device); /* an update may use it */
    instance->device->api->upload(instance->device, memory_class, head,
                                  (const char*)instance->block[memory_class] + head, bytes - head);
    return emulsion_device_check(instance, -1);
}

static int upload(emulsion_instance* instance, int memory_class) {
    int status = emulsion_check_state(instance);
    if (status == EMULSION_OK) status = emulsion_device_upload(instance, memory_class);
    if (status != EMULSION_OK) return status;
    if (!is_of_this_state(instance)) instance->uploaded = 0;
    instance->uploaded |= 1u << memory_class;
    instance->device_seed = head_of(instance)[0];
    instance->device_step = head_of(instance)[1];
    return EMULSION_OK;
}

static int download(emulsion_instance* instance, int memory_class) {
    const uint64_t head = head_bytes(memory_class);
    const uint64_t bytes = instance->library->bytes[memory_class] - head;
    int status = emulsion_check_state(instance);
    if (status == EMULSION_OK) status = emulsion_device_check_uploaded(instance);
    if (status != EMULSION_OK || bytes == 0) return status;
    if (instance->block[memory_class] == NULL) {
        return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                             "bind was given no block for the gradients");
    }
    instance->device->api->download(instance->device, memory_class, head,
                                    (char*)instance->block[memory_class] + head, bytes,
                                    EMULSION_ALL_LAUNCHES);
    return emulsion_device_check(instance, -1);
}

/* Whether the class is one that may be carried. */
static int check_class(emulsion_instance* instance, int memory_class, int most) {
    if (memory_class == EMULSION_PARAMETERS || memory_class == EMULSION_STATE) return EMULSION_OK;
    if (memory_class == most && instance->library->bytes[most] > 0) return EMULSION_OK;
    emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "memory_class is ");
    emulsion_append_number(instance, memory_class);
    emulsion_append(instance, most == EMULSION_GRADIENTS
                                  ? ", but must be that of parameters, state or gradients"
                                  : ", but must be that of parameters or state");
    return EMULSION_INVALID_ARGUMENT;
}

static int carry(emulsion_instance* instance, int memory_class, int is_up) {
    int status =
        check_class(instance, memory_class, is_up ? EMULSION_PARAMETERS : EMULSION_GRADIENTS);
    if (status != EMULSION_OK) return status;
    status = emulsion_check_alive(instance);
    if (status != EMULSION_OK) return status;
    instance->status = EMULSION_OK;
    if (instance->device == NULL) return EMULSION_OK;
    status = emulsion_device_settle(instance);
    if (status != EMULSION_OK) return status;
    return is_up ? upload(instance, memory_class) : download(instance, memory_class);
}

int emulsion_library_upload(const emulsion_library* library, void* block, int memory_class) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, carry(instance, memory_class, /*is_up=*/1));
}

int emulsion_library_download(const emulsion_library* library, void* block, int memory_class) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, carry(instance, memory_class, /*is_up=*/0));
}
