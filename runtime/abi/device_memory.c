/* What a variant for devices needs of a device's memory, and whether the device and what the caller
 * hands in have that. */
#include <string.h>

#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

/* Bytes. */

static uint64_t slot_bytes(const emulsion_info* info, int number) {
    const int outputs = info->input_count, record = outputs + info->output_count;
    if (number >= record) return emulsion_slot_bytes(sizeof(emulsion_device_record), 0, 1);
    const emulsion_port* port =
        number < outputs ? &info->inputs[number] : &info->outputs[number - outputs];
    return emulsion_slot_bytes(port->bytes, port->batched, info->batch);
}

/* Of a set: inputs, outputs, in training the record of the tests. */
static int slot_count(const emulsion_library* library) {
    return library->info->input_count + library->info->output_count + library->training;
}

uint64_t emulsion_device_slot(const emulsion_library* library, const emulsion_variant* variant,
                              int set, int number) {
    uint64_t offset = emulsion_slot_bytes(variant->activation_bytes, 0, 1);
    for (int i = 0; i < set * slot_count(library) + number; i++)
        offset += slot_bytes(library->info, i % slot_count(library));
    return offset;
}

void emulsion_device_sizes(const emulsion_library* library, const emulsion_variant* variant,
                           emulsion_sizes* sizes) {
    memcpy(sizes->device_bytes, library->bytes, sizeof sizes->device_bytes);
    sizes->device_bytes[EMULSION_PREPARED] = variant->prepared_bytes;
    sizes->device_bytes[EMULSION_WORKSPACE] =
        emulsion_device_slot(library, variant, EMULSION_DEVICE_MARKS, 0);
}

static int fits(const emulsion_device_facts* facts, uint64_t bytes, uint64_t largest) {
    return bytes <= facts->memory_bytes && largest <= facts->largest_bytes;
}

int32_t emulsion_device_largest_batch(const emulsion_library* library,
                                      const emulsion_variant* variant,
                                      const emulsion_device_facts* facts) {
    emulsion_sizes sizes;
    uint64_t sum = 0, largest = 0;
    emulsion_device_sizes(library, variant, &sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        sum += sizes.device_bytes[i];
        if (sizes.device_bytes[i] > largest) largest = sizes.device_bytes[i];
    }
    if (fits(facts, sum, largest)) return library->info->batch;
    for (int32_t i = variant->smaller_count - 1; i >= 0; i--) {
        if (fits(facts, variant->smaller[i].bytes, variant->smaller[i].largest))
            return variant->smaller[i].batch;
    }
    return 0;
}

/* What the caller hands in, as far as it can be told without a driver. */

int emulsion_is_given(const emulsion_device_memory* given, int memory_class) {
    return given != NULL && given->block[memory_class] != 0;
}

static int fail_given(emulsion_instance* instance, const char* text) {
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, text);
}

/* A block is a handle of one interface, so that any device of another one cannot do. */
int emulsion_check_given(emulsion_instance* instance, const char* wanted) {
    if (instance->variant->device == NULL || strcmp(wanted, "gpu") == 0 ||
        strcmp(wanted, "auto") == 0)
        return fail_given(instance,
                          "options.device_memory is memory of one device: name that in "
                          "options.device, as in opencl:0");
    const emulsion_device_api* api = instance->variant->device;
    if (api->adopt != NULL) return EMULSION_OK;
    fail_given(instance, "options.device_memory must be null on ");
    emulsion_append(instance, api->name);
    emulsion_append(instance, ", where bind allocates all memory itself");
    return EMULSION_INVALID_ARGUMENT;
}

static int check_context(emulsion_instance* instance, const emulsion_device_memory* given) {
    const emulsion_device_api* api = instance->variant->device;
    if ((given->context != NULL) == api->needs_context) return EMULSION_OK;
    fail_given(instance, api->needs_context
                             ? "options.device_memory.context is null, but must be the blocks' on "
                             : "options.device_memory.context must be null on ");
    emulsion_append(instance, api->name);
    return EMULSION_INVALID_ARGUMENT;
}

static int check_given(emulsion_instance* instance, const uint64_t bytes[EMULSION_CLASSES],
                       const emulsion_device_memory* given) {
    const int status = check_context(instance, given);
    for (int i = 0; i < EMULSION_CLASSES && status == EMULSION_OK; i++) {
        if (!emulsion_is_given(given, i) || given->bytes[i] >= bytes[i]) continue;
        fail_given(instance, "options.device_memory states ");
        emulsion_append_number(instance, (int64_t)given->bytes[i]);
        emulsion_append(instance, " bytes of class ");
        emulsion_append(instance, emulsion_class_names[i]);
        emulsion_append(instance, ", but ");
        emulsion_append_number(instance, (int64_t)bytes[i]);
        emulsion_append(instance, " are needed: allocate what sizes.device_bytes states");
        return EMULSION_INVALID_ARGUMENT;
    }
    return status;
}

/* What the device has. */

/* What another batch would leave to bind beside blocks of the caller's is not known. */
static void append_fix(emulsion_instance* instance, const emulsion_device_facts* facts,
                       int has_given) {
    const int32_t batch =
        has_given ? 0 : emulsion_device_largest_batch(instance->library, instance->variant, facts);
    if (has_given) {
        emulsion_append(instance, ": build it for a smaller batch");
    } else if (batch == 0) {
        emulsion_append(instance, ", and no batch is small enough");
    } else {
        emulsion_append(instance, ": build it for a batch of at most ");
        emulsion_append_number(instance, batch);
    }
}

/* A class of -1: in all. */
static int fail_memory(emulsion_instance* instance, const emulsion_device_facts* facts,
                       uint64_t needed, int memory_class, int has_given) {
    emulsion_fail_device(instance, EMULSION_UNSUPPORTED_DEVICE);
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
    } else if (has_given) {
        emulsion_append(instance, " beside what bind is given");
    }
    append_fix(instance, facts, has_given);
    return EMULSION_UNSUPPORTED_DEVICE;
}

/* What bind still has to allocate, against what the device has. */
static int check_room(emulsion_instance* instance, const emulsion_device_facts* facts,
                      const uint64_t bytes[EMULSION_CLASSES], const emulsion_device_memory* given) {
    uint64_t sum = 0;
    for (int i = 0; i < EMULSION_CLASSES; i++) sum += emulsion_is_given(given, i) ? 0 : bytes[i];
    if (sum > facts->memory_bytes) return fail_memory(instance, facts, sum, -1, given != NULL);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (bytes[i] > facts->largest_bytes && !emulsion_is_given(given, i))
            return fail_memory(instance, facts, bytes[i], i, given != NULL);
    }
    return EMULSION_OK;
}

int emulsion_device_check_memory(emulsion_instance* instance,
                                 const uint64_t bytes[EMULSION_CLASSES],
                                 const emulsion_device_memory* given) {
    emulsion_device_facts facts;
    char text[EMULSION_DEVICE_TEXT] = "";
    int status = given == NULL ? EMULSION_OK : check_given(instance, bytes, given);
    if (status != EMULSION_OK) return status;
    memset(&facts, 0, sizeof facts);
    if (instance->variant->device->facts(instance->device_index, &facts, text) != 0)
        return emulsion_fail_driver(instance, text);
    status = check_room(instance, &facts, bytes, given);
    if (status != EMULSION_OK || facts.alignment <= EMULSION_DEVICE_ALIGNMENT) return status;
    emulsion_fail_device(instance, EMULSION_UNSUPPORTED_DEVICE);
    emulsion_append(instance, " aligns to ");
    emulsion_append_number(instance, (int64_t)facts.alignment);
    emulsion_append(instance, " bytes, but the library to ");
    emulsion_append_number(instance, EMULSION_DEVICE_ALIGNMENT);
    return EMULSION_UNSUPPORTED_DEVICE;
}
