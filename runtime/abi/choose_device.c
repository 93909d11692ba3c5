/* Which devices there are, what they do at most, and which of them options.device names. */
#include <string.h>

#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

static void add_text(char target[EMULSION_DEVICE_TEXT], const char* text) {
    const size_t used = strlen(target), left = EMULSION_DEVICE_TEXT - 1 - used;
    size_t length = strlen(text);
    if (length > left) length = left;
    memcpy(target + used, text, length);
    target[used + length] = 0;
}

/* Why another interface has no device; one reason may hold for all. */
static void add_reason(char reasons[EMULSION_DEVICE_TEXT], const char* reason) {
    if (strcmp(reasons, reason) == 0) return;
    if (reasons[0] != 0) add_text(reasons, "; ");
    add_text(reasons, reason);
}

int emulsion_library_device(const emulsion_library* library, int index,
                            emulsion_device_description* description) {
    const char* last = "the library has no variant for devices";
    if (description == NULL) return EMULSION_INVALID_ARGUMENT;
    memset(description, 0, sizeof *description);
    for (int i = 0; i < library->variant_count; i++) {
        const emulsion_device_api* api = library->variants[i].device;
        emulsion_device_facts facts;
        emulsion_sizes sizes;
        char reason[EMULSION_DEVICE_TEXT] = "";
        if (api == NULL) continue;
        last = "there are no more devices";
        const int count = api->count(reason);
        if (count == 0) add_reason(description->problem, reason);
        if (index < 0 || index >= count) {
            index -= index < 0 ? 0 : count;
            continue;
        }
        memset(&facts, 0, sizeof facts);
        if (api->facts(index, &facts, description->problem) != 0) return EMULSION_DEVICE_ERROR;
        description->interface = api->name;
        description->index = index;
        description->is_software = facts.is_software != 0;
        description->memory_bytes = facts.memory_bytes;
        description->largest_batch =
            emulsion_device_largest_batch(library, &library->variants[i], &facts);
        emulsion_device_sizes(library, &library->variants[i], &sizes);
        memcpy(description->device_bytes, sizes.device_bytes, sizeof sizes.device_bytes);
        add_text(description->name, facts.name);
        description->problem[0] = 0;
        return EMULSION_OK;
    }
    if (description->problem[0] == 0) add_text(description->problem, last);
    return EMULSION_INVALID_ARGUMENT;
}

int emulsion_library_speed(const emulsion_library* library, int index,
                           emulsion_device_speed* speed) {
    emulsion_device_description found;
    if (speed == NULL) return EMULSION_INVALID_ARGUMENT;
    memset(speed, 0, sizeof *speed);
    const int status = emulsion_library_device(library, index, &found);
    if (status != EMULSION_OK) {
        memcpy(speed->problem, found.problem, sizeof speed->problem);
        return status;
    }
    const emulsion_variant* variant = library->variants;
    while (variant->device == NULL || variant->device->name != found.interface) variant++;
    return emulsion_device_measure(variant->device, found.index, speed);
}

/* "options.device is 'opencl:7'", which the caller goes on. */
static int fail_word(emulsion_instance* instance, int status, const char* wanted) {
    emulsion_fail(instance, status, "options.device is '");
    emulsion_append(instance, wanted);
    emulsion_append(instance, "'");
    return status;
}

/* The library has no such interface. */
static int fail_interface(emulsion_instance* instance, const char* wanted) {
    const emulsion_library* library = instance->library;
    fail_word(instance, EMULSION_UNSUPPORTED_DEVICE, wanted);
    emulsion_append(instance, ", but the library runs on: cpu");
    for (int i = 0; i < library->variant_count; i++) {
        if (library->variants[i].device == NULL) continue;
        emulsion_append(instance, ", ");
        emulsion_append(instance, library->variants[i].device->name);
    }
    return EMULSION_UNSUPPORTED_DEVICE;
}

/* The interface's first device that is no software; -1 where there is none. One that does not tell
 * is passed over. */
static int find_hardware(const emulsion_device_api* api, int count) {
    for (int i = 0; i < count; i++) {
        emulsion_device_facts facts;
        char text[EMULSION_DEVICE_TEXT] = "";
        memset(&facts, 0, sizeof facts);
        if (api->facts(i, &facts, text) == 0 && !facts.is_software) return i;
    }
    return -1;
}

/* The first device of any interface that is no software. Where there is none, "auto" is the
 * processor, and "gpu" the first device or a sentence. */
static int choose_any(emulsion_instance* instance, const char* wanted, int* variant, int* index) {
    const emulsion_library* library = instance->library;
    char reasons[EMULSION_DEVICE_TEXT] = "";
    int has_interface = 0, software = -1;
    for (int i = 0; i < library->variant_count; i++) {
        const emulsion_device_api* api = library->variants[i].device;
        char reason[EMULSION_DEVICE_TEXT] = "";
        if (api == NULL) continue;
        has_interface = 1;
        const int count = api->count(reason);
        add_reason(reasons, reason);
        if (count > 0 && software < 0) software = i;
        *index = find_hardware(api, count);
        *variant = i;
        if (*index >= 0) return EMULSION_OK;
    }
    *index = 0;
    *variant = -1;
    if (strcmp(wanted, "auto") == 0) return EMULSION_OK;
    *variant = software;
    if (software >= 0) return EMULSION_OK;
    if (!has_interface) return fail_interface(instance, wanted);
    fail_word(instance, EMULSION_UNSUPPORTED_DEVICE, wanted);
    emulsion_append(instance, ", but there is none: ");
    emulsion_append(instance, reasons);
    return EMULSION_UNSUPPORTED_DEVICE;
}

/* The number behind the colon; 0 where there is no colon; -1: it is none. */
static int index_of(const char* colon) {
    int index = 0;
    if (*colon == 0) return 0;
    if (colon[1] == 0) return -1;
    for (const char* at = colon + 1; *at != 0; at++) {
        if (*at < '0' || *at > '9' || index > 99999) return -1;
        index = 10 * index + (*at - '0');
    }
    return index;
}

static int check_index(emulsion_instance* instance, const emulsion_device_api* api,
                       const char* wanted, int index) {
    char text[EMULSION_DEVICE_TEXT] = "";
    const int count = api->count(text);
    if (index < count) return EMULSION_OK;
    fail_word(instance, EMULSION_UNSUPPORTED_DEVICE, wanted);
    emulsion_append(instance, ", but there ");
    emulsion_append(instance, count == 1 ? "is " : "are ");
    emulsion_append_number(instance, count);
    emulsion_append(instance, count == 1 ? " device of " : " devices of ");
    emulsion_append(instance, api->name);
    if (count == 0) emulsion_append(instance, ": ");
    if (count == 0) emulsion_append(instance, text);
    return EMULSION_UNSUPPORTED_DEVICE;
}

int emulsion_choose_device(emulsion_instance* instance, const char* wanted, int* variant,
                           int* index) {
    const emulsion_library* library = instance->library;
    *variant = -1;
    *index = 0;
    if (wanted == NULL || strcmp(wanted, "cpu") == 0) return EMULSION_OK;
    if (strcmp(wanted, "gpu") == 0 || strcmp(wanted, "auto") == 0)
        return choose_any(instance, wanted, variant, index);
    const char* colon = strchr(wanted, ':');
    if (colon == NULL) colon = wanted + strlen(wanted);
    for (int i = 0; i < library->variant_count; i++) {
        const emulsion_device_api* api = library->variants[i].device;
        const size_t length = (size_t)(colon - wanted);
        if (api == NULL || strlen(api->name) != length || strncmp(api->name, wanted, length) != 0)
            continue;
        *variant = i;
        *index = index_of(colon);
        if (*index >= 0) return check_index(instance, api, wanted, *index);
        fail_word(instance, EMULSION_INVALID_ARGUMENT, wanted);
        emulsion_append(instance, ", but a device is named by a number behind the colon, as in ");
        emulsion_append(instance, api->name);
        emulsion_append(instance, ":0");
        return EMULSION_INVALID_ARGUMENT;
    }
    return fail_interface(instance, wanted);
}
