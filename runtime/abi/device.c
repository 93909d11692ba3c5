/* Variants for devices: their bytes, bind's part of it (arenas, descriptors, kernels made ready),
 * and what goes up and down. The drivers are behind device.h. */
#define _GNU_SOURCE
#include "runtime/abi/device.h"

#include <string.h>
#include <unistd.h>

#include "runtime/abi/internal.h"

/* Bytes. */

/* Where the slot of a port begins: inputs, then outputs; behind the last one, where it ends. */
static uint64_t slot_of(const emulsion_library* library, const emulsion_variant* variant,
                        int number) {
    const emulsion_info* info = library->info;
    uint64_t offset = emulsion_slot_bytes(variant->activation_bytes, 0, 1);
    for (int i = 0; i < number; i++) {
        const emulsion_port* port =
            i < info->input_count ? &info->inputs[i] : &info->outputs[i - info->input_count];
        offset += emulsion_slot_bytes(port->bytes, port->batched, info->batch);
    }
    return offset;
}

void emulsion_device_sizes(const emulsion_library* library, const emulsion_variant* variant,
                           emulsion_sizes* sizes) {
    memcpy(sizes->device_bytes, library->bytes, sizeof sizes->device_bytes);
    sizes->device_bytes[EMULSION_PREPARED] = variant->prepared_bytes;
    sizes->device_bytes[EMULSION_WORKSPACE] =
        slot_of(library, variant, library->info->input_count + library->info->output_count);
}

/* Failing. */

/* "device opencl:0 (its name)", which the caller goes on. */
static void name_device(emulsion_instance* instance, int status) {
    emulsion_fail(instance, status, "device ");
    emulsion_append(instance, instance->variant->device->name);
    emulsion_append(instance, ":");
    emulsion_append_number(instance, instance->device_index);
}

static int fail_driver(emulsion_instance* instance, const char* text) {
    name_device(instance, EMULSION_DEVICE_ERROR);
    emulsion_append(instance, ": ");
    emulsion_append(instance, text);
    return EMULSION_DEVICE_ERROR;
}

int emulsion_device_check(emulsion_instance* instance, int kernel) {
    if (instance->device->error == 0) return EMULSION_OK;
    if (kernel < 0) return fail_driver(instance, instance->device->text);
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

static int fail_memory(emulsion_instance* instance, const emulsion_device_facts* facts,
                       uint64_t needed, int memory_class) {
    name_device(instance, EMULSION_UNSUPPORTED_DEVICE);
    emulsion_append(instance, " (");
    emulsion_append(instance, facts->name);
    emulsion_append(instance, memory_class < 0 ? ") has " : ") gives at most ");
    emulsion_append_number(
        instance, (int64_t)(memory_class < 0 ? facts->memory_bytes : facts->largest_bytes));
    emulsion_append(instance, memory_class < 0 ? " bytes of memory, but the network needs "
                                               : " bytes at once, but the network needs ");
    emulsion_append_number(instance, (int64_t)needed);
    if (memory_class >= 0) {
        emulsion_append(instance, " for the ");
        emulsion_append(instance, emulsion_class_names[memory_class]);
    }
    emulsion_append(instance, ": build it for a smaller batch");
    return EMULSION_UNSUPPORTED_DEVICE;
}

/* Before anything is allocated. */
static int check_facts(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES]) {
    emulsion_device_facts facts;
    char text[EMULSION_DEVICE_TEXT] = "";
    uint64_t sum = 0;
    memset(&facts, 0, sizeof facts);
    if (instance->variant->device->facts(instance->device_index, &facts, text) != 0)
        return fail_driver(instance, text);
    for (int i = 0; i < EMULSION_CLASSES; i++) sum += bytes[i];
    if (sum > facts.memory_bytes) return fail_memory(instance, &facts, sum, -1);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (bytes[i] > facts.largest_bytes) return fail_memory(instance, &facts, bytes[i], i);
    }
    if (facts.alignment <= EMULSION_DEVICE_ALIGNMENT) return EMULSION_OK;
    name_device(instance, EMULSION_UNSUPPORTED_DEVICE);
    emulsion_append(instance, " aligns to ");
    emulsion_append_number(instance, (int64_t)facts.alignment);
    emulsion_append(instance, " bytes, but the library to ");
    emulsion_append_number(instance, EMULSION_DEVICE_ALIGNMENT);
    return EMULSION_UNSUPPORTED_DEVICE;
}

typedef struct {
    int memory_class;
    uint64_t offset, bytes;
} Place;

/* The bytes of a buffer on the device. Its shape is that of the largest batch, which those of
 * smaller ones need not have the room for. */
static Place place_of(const emulsion_instance* instance, const emulsion_buffer* buffer,
                      const uint64_t bytes[EMULSION_CLASSES]) {
    const emulsion_library* library = instance->library;
    Place place = {buffer->where, buffer->offset, 1};
    uint64_t end = 0;
    if (buffer->where == EMULSION_INPUT || buffer->where == EMULSION_OUTPUT) {
        const int before = buffer->where == EMULSION_INPUT ? 0 : library->info->input_count;
        const int number = before + (int)buffer->offset;
        place.memory_class = EMULSION_WORKSPACE;
        place.offset = slot_of(library, instance->variant, number);
        end = slot_of(library, instance->variant, number + 1);
    } else {
        end = bytes[place.memory_class];
    }
    for (int axis = 0; axis < buffer->rank; axis++) {
        const emulsion_dimension* dimension = &buffer->dimensions[axis];
        place.bytes += (uint64_t)(dimension->extent - 1) * (uint64_t)dimension->stride;
    }
    place.bytes *= buffer->type >> 11 & 0x1f; /* bits to bytes */
    if (place.bytes > end - place.offset) place.bytes = end - place.offset;
    return place;
}

static int make_views(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES]) {
    const emulsion_buffer* buffers = instance->variant->buffers;
    for (int i = 0; i < instance->variant->buffer_count; i++) {
        if (buffers[i].where == EMULSION_CONSTANT) {
            return emulsion_fail(instance, EMULSION_UNSUPPORTED_DEVICE,
                                 "the library's constants have no place on a device");
        }
        const Place place = place_of(instance, &buffers[i], bytes);
        const uint64_t view = instance->device->api->view(instance->device, place.memory_class,
                                                          place.offset, place.bytes);
        if (view == 0) return fail_driver(instance, instance->device->text);
        instance->descriptors[i].device = view;
    }
    return EMULSION_OK;
}

static int make_ready(emulsion_instance* instance, const emulsion_sequence* sequence) {
    int status = EMULSION_OK;
    for (int i = 0; i < sequence->count && status == EMULSION_OK; i++) {
        sequence->kernels[i](instance);
        status = emulsion_device_check(instance, sequence->first + i);
    }
    return status;
}

/* Programs are built here, and each later launch finds its own. */
static int make_all_ready(emulsion_instance* instance) {
    const emulsion_variant* variant = instance->variant;
    instance->device->dry = 1;
    instance->samples = variant->plans[0].batch;
    int status = make_ready(instance, &variant->prepare);
    if (status == EMULSION_OK) status = make_ready(instance, &variant->update);
    for (int i = 0; i < variant->plan_count && status == EMULSION_OK; i++) {
        instance->samples = variant->plans[i].batch;
        status = make_ready(instance, &variant->plans[i].forward);
        if (status == EMULSION_OK) status = make_ready(instance, &variant->plans[i].backward);
    }
    if (status == EMULSION_OK && instance->library->bytes[EMULSION_GRADIENTS] > 0) {
        int tensor;
        status = emulsion_device_find_bad_gradient(instance, &tensor);
    }
    instance->device->dry = 0;
    return status;
}

static int fill_device(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES]) {
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (bytes[i] == 0) continue;
        if (instance->device->api->allocate(instance->device, i, bytes[i]) != 0)
            return fail_driver(instance, instance->device->text);
    }
    const int status = make_views(instance, bytes);
    return status == EMULSION_OK ? make_all_ready(instance) : status;
}

int emulsion_device_open(emulsion_instance* instance, int index) {
    emulsion_sizes sizes;
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device_sizes(instance->library, instance->variant, &sizes);
    instance->device_index = index;
    int status = check_facts(instance, sizes.device_bytes);
    if (status != EMULSION_OK) return status;
    instance->device = instance->variant->device->open(index, text);
    if (instance->device == NULL) return fail_driver(instance, text);
    instance->pid = (int32_t)getpid();
    status = fill_device(instance, sizes.device_bytes);
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

int emulsion_device_upload(emulsion_instance* instance, int memory_class) {
    const uint64_t bytes = instance->library->bytes[memory_class];
    if (bytes == 0) return EMULSION_OK;
    instance->device->api->upload(instance->device, memory_class, 0, instance->block[memory_class],
                                  bytes);
    return emulsion_device_check(instance, -1);
}

int emulsion_device_upload_inputs(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->input_count; i++) {
        const uint64_t samples = info->inputs[i].batched ? (uint64_t)call->samples : 1;
        instance->device->api->upload(instance->device, EMULSION_WORKSPACE,
                                      slot_of(instance->library, instance->variant, i),
                                      call->inputs[i], info->inputs[i].bytes * samples);
    }
    return emulsion_device_check(instance, -1);
}

int emulsion_device_download_output(emulsion_instance* instance, const emulsion_call* call,
                                    int output) {
    const emulsion_info* info = instance->library->info;
    const emulsion_port* port = &info->outputs[output];
    const uint64_t samples = port->batched ? (uint64_t)call->samples : 1;
    const uint64_t slot = slot_of(instance->library, instance->variant, info->input_count + output);
    instance->device->api->download(instance->device, EMULSION_WORKSPACE, slot,
                                    call->outputs[output], port->bytes * samples);
    return emulsion_device_check(instance, -1);
}

int emulsion_device_find_bad_gradient(emulsion_instance* instance, int* tensor) {
    const emulsion_info* info = instance->library->info;
    const uint64_t count = instance->library->bytes[EMULSION_GRADIENTS] / sizeof(float);
    int64_t index = -1;
    *tensor = -1;
    instance->device->api->first_not_finite(instance->device, EMULSION_GRADIENTS, 0, count, &index);
    const int status = emulsion_device_check(instance, -1);
    for (int i = 0; i < info->tensor_count && status == EMULSION_OK && index >= 0; i++) {
        const emulsion_tensor* gradient = &info->tensors[i];
        const uint64_t at = (uint64_t)index * sizeof(float);
        if (gradient->trained && at >= gradient->gradient_offset) *tensor = i;
    }
    return status;
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
    const uint64_t head = memory_class == EMULSION_STATE ? EMULSION_STATE_HEAD : 0;
    const uint64_t bytes = instance->library->bytes[memory_class] - head;
    int status = emulsion_check_state(instance);
    if (status == EMULSION_OK) status = emulsion_device_check_uploaded(instance);
    if (status != EMULSION_OK || bytes == 0) return status;
    if (instance->block[memory_class] == NULL) {
        return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                             "bind was given no block for the gradients");
    }
    instance->device->api->download(instance->device, memory_class, head,
                                    (char*)instance->block[memory_class] + head, bytes);
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
