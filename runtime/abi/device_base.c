/* What the interfaces of devices share. */
#include "runtime/abi/device_base.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/internal.h"

int halide_copy_to_device(void* user_context, void* buffer, const void* interface);

/* Kernels ask for it in front of a launch; everything is on the device already. */
int halide_copy_to_device(void* user_context, void* buffer, const void* interface) {
    (void)user_context;
    (void)buffer;
    (void)interface;
    return 0;
}

/* Open addressing, at most half full. */
static emulsion_table_entry* place_of(const emulsion_table* table, uint64_t first,
                                      uint64_t second) {
    uint64_t hash = (first ^ (second << 32 | second >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
    for (uint64_t at = hash >> 32;; at++) {
        emulsion_table_entry* entry = &table->entries[at & (table->capacity - 1)];
        if (entry->handle == NULL || (entry->first == first && entry->second == second))
            return entry;
    }
}

void* emulsion_table_find(const emulsion_table* table, uint64_t first, uint64_t second) {
    return table->capacity == 0 ? NULL : place_of(table, first, second)->handle;
}

void* emulsion_table_find_least(const emulsion_table* table, uint64_t first, uint64_t least) {
    for (uint64_t i = 0; i < table->capacity; i++) {
        const emulsion_table_entry* entry = &table->entries[i];
        if (entry->handle != NULL && entry->first == first && entry->second >= least)
            return entry->handle;
    }
    return NULL;
}

static int grow(emulsion_table* table) {
    emulsion_table larger = {0};
    larger.capacity = table->capacity == 0 ? 64 : 2 * table->capacity;
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL) return 0;
    for (uint64_t i = 0; i < table->capacity; i++) {
        const emulsion_table_entry* entry = &table->entries[i];
        if (entry->handle != NULL) *place_of(&larger, entry->first, entry->second) = *entry;
    }
    larger.count = table->count;
    free(table->entries);
    *table = larger;
    return 1;
}

int emulsion_table_add(emulsion_table* table, uint64_t first, uint64_t second, void* handle) {
    if (2 * table->count >= table->capacity && !grow(table)) return 0;
    const emulsion_table_entry entry = {first, second, handle};
    *place_of(table, first, second) = entry;
    table->count++;
    return 1;
}

void emulsion_table_clear(emulsion_table* table, int (*release)(void* handle)) {
    for (uint64_t i = 0; i < table->capacity; i++) {
        if (release != NULL && table->entries[i].handle != NULL) release(table->entries[i].handle);
    }
    free(table->entries);
    memset(table, 0, sizeof *table);
}

int emulsion_device_add(emulsion_device_base* device, emulsion_table* table, uint64_t first,
                        uint64_t second, void* handle) {
    return emulsion_table_add(table, first, second, handle) ? 0
                                                            : emulsion_device_lacks_memory(device);
}

int emulsion_device_fail(emulsion_device_base* device, int code, const char* format, ...) {
    if (device->head.error != 0) return device->head.error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(device->head.text, sizeof device->head.text, format, arguments);
    va_end(arguments);
    device->head.error = code;
    return code;
}

int emulsion_device_lacks_memory(emulsion_device_base* device) {
    return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED, "the process is out of memory");
}

int emulsion_device_lacks_argument(emulsion_device_base* device, int argument, const char* kernel) {
    return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED,
                                "argument %d of '%.99s' is not on the device", argument, kernel);
}

void emulsion_device_behind(const emulsion_device_base* device, char* what, size_t bytes) {
    if (device->latest == NULL)
        snprintf(what, bytes, "to the first wait");
    else
        snprintf(what, bytes, "behind the launch of '%.99s'", device->latest);
}

int emulsion_device_has_index(const emulsion_device_api* api, int index, int count,
                              char text[EMULSION_DEVICE_TEXT]) {
    if (index >= 0 && index < count) return 1;
    snprintf(text, EMULSION_DEVICE_TEXT, "there is no device %s:%d: there are %d", api->name, index,
             count);
    return 0;
}

void* emulsion_device_new(const emulsion_device_api* api, size_t bytes,
                          char text[EMULSION_DEVICE_TEXT]) {
    emulsion_device* device = calloc(1, bytes);
    if (device == NULL) {
        snprintf(text, EMULSION_DEVICE_TEXT, "the process is out of memory");
        return NULL;
    }
    device->api = api;
    return device;
}

int emulsion_device_check_alignment(emulsion_device_base* device) {
    const uint64_t alignment = device->facts.alignment;
    if (alignment != 0 && EMULSION_DEVICE_ALIGNMENT % alignment == 0) return 0;
    return emulsion_device_fail(
        device, EMULSION_DEVICE_REFUSED,
        "'%.99s' asks for views at multiples of %llu bytes, but libraries place tensors at "
        "multiples of %d",
        device->facts.name, (unsigned long long)alignment, EMULSION_DEVICE_ALIGNMENT);
}

emulsion_device* emulsion_device_opened(emulsion_device* device, char text[EMULSION_DEVICE_TEXT]) {
    if (device->error == 0) return device;
    memcpy(text, device->text, EMULSION_DEVICE_TEXT);
    device->api->close(device);
    return NULL;
}

int emulsion_device_check_class(emulsion_device_base* device, int memory_class) {
    if (device->head.error != 0) return device->head.error;
    if (memory_class < 0 || memory_class >= EMULSION_CLASSES)
        return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED,
                                    "there is no class of memory %d", memory_class);
    if (device->arena_bytes[memory_class] == 0) return 0;
    return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED, "class %s has an arena already",
                                emulsion_class_names[memory_class]);
}

int emulsion_device_check_arena(emulsion_device_base* device, int memory_class, uint64_t bytes,
                                uint64_t free_bytes) {
    const emulsion_device_facts* facts = &device->facts;
    const int refused = emulsion_device_check_class(device, memory_class);
    if (refused != 0) return refused;
    const char* name = emulsion_class_names[memory_class];
    if (bytes > facts->largest_bytes)
        return emulsion_device_fail(
            device, EMULSION_DEVICE_REFUSED,
            "class %s needs one block of %llu bytes, but '%.99s' gives blocks of at most %llu",
            name, (unsigned long long)bytes, facts->name, (unsigned long long)facts->largest_bytes);
    if (bytes > free_bytes)
        return emulsion_device_fail(
            device, EMULSION_DEVICE_REFUSED,
            "class %s needs %llu bytes, but '%.99s' has %llu left of its %llu", name,
            (unsigned long long)bytes, facts->name, (unsigned long long)free_bytes,
            (unsigned long long)facts->memory_bytes);
    return 0;
}

int emulsion_device_refuse_block(emulsion_device_base* device, int memory_class, const char* format,
                                 ...) {
    char why[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED, "the block of class %s %s",
                                emulsion_class_names[memory_class], why);
}

int emulsion_device_check_block(emulsion_device_base* device, int memory_class, uint64_t address,
                                uint64_t has, uint64_t needs) {
    if (address % EMULSION_DEVICE_ALIGNMENT != 0)
        return emulsion_device_refuse_block(device, memory_class,
                                            "is at %#llx, no multiple of %d bytes",
                                            (unsigned long long)address, EMULSION_DEVICE_ALIGNMENT);
    if (has >= needs) return 0;
    return emulsion_device_refuse_block(device, memory_class, "has %llu bytes, but needs %llu",
                                        (unsigned long long)has, (unsigned long long)needs);
}

int emulsion_device_check_range(emulsion_device_base* device, int memory_class, uint64_t offset,
                                uint64_t bytes) {
    if (device->head.error != 0) return device->head.error;
    const int is_class = memory_class >= 0 && memory_class < EMULSION_CLASSES;
    const uint64_t all = is_class ? device->arena_bytes[memory_class] : 0;
    if (offset <= all && bytes <= all - offset) return 0;
    return emulsion_device_fail(
        device, EMULSION_DEVICE_REFUSED,
        "%llu bytes from byte %llu on of class %s are asked for, but its arena has %llu",
        (unsigned long long)bytes, (unsigned long long)offset,
        is_class ? emulsion_class_names[memory_class] : "unknown", (unsigned long long)all);
}

int emulsion_device_uploads(emulsion_device_base* device, int memory_class, uint64_t offset,
                            uint64_t bytes) {
    if (emulsion_device_check_range(device, memory_class, offset, bytes) != 0 || bytes == 0)
        return 0;
    device->head.uploads++;
    device->head.uploaded_bytes += bytes;
    return 1;
}

int emulsion_device_downloads(emulsion_device_base* device, int memory_class, uint64_t offset,
                              uint64_t bytes) {
    if (emulsion_device_check_range(device, memory_class, offset, bytes) != 0 || bytes == 0)
        return 0;
    device->head.downloads++;
    device->head.downloaded_bytes += bytes;
    return 1;
}

int emulsion_device_check_test(emulsion_device_base* device, const emulsion_device_test* test) {
    if (device->head.error == 0 && test->offset % EMULSION_DEVICE_ALIGNMENT != 0)
        return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED,
                                    "a test begins at byte %llu, no multiple of %d",
                                    (unsigned long long)test->offset, EMULSION_DEVICE_ALIGNMENT);
    if (device->head.error == 0 && (test->count == 0 || test->count > EMULSION_DEVICE_TESTED))
        return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED,
                                    "%llu floats are to be tested, but a test is of 1 to %u",
                                    (unsigned long long)test->count, EMULSION_DEVICE_TESTED);
    emulsion_device_check_range(device, test->memory_class, test->offset,
                                test->count * sizeof(float));
    emulsion_device_check_range(device, EMULSION_STATE, 0, EMULSION_STATE_HEAD);
    return emulsion_device_check_range(device, EMULSION_WORKSPACE, test->record,
                                       sizeof(emulsion_device_record));
}

int emulsion_device_check_probe(emulsion_device_base* device, const emulsion_device_probe* probe) {
    if (device->head.error == 0 &&
        (probe->bits > 30 || probe->rounds > UINT32_C(1) << (30 - probe->bits)))
        return emulsion_device_fail(device, EMULSION_DEVICE_REFUSED,
                                    "a probe of %u rounds over 2^%u values is asked for, but it is "
                                    "of at most 2^30 in all",
                                    probe->rounds, probe->bits);
    emulsion_device_check_range(device, EMULSION_WORKSPACE, 0, UINT64_C(16) << probe->bits);
    return emulsion_device_check_range(device, EMULSION_STATE, 0,
                                       EMULSION_PROBE_THREADS * sizeof(float));
}

void emulsion_log_tail(char* log, char* tail, size_t bytes) {
    size_t end = strlen(log);
    for (size_t i = 0; i < end; i++) {
        if ((unsigned char)log[i] < ' ') log[i] = ' ';
    }
    while (end > 0 && log[end - 1] == ' ') log[--end] = 0;
    snprintf(tail, bytes, "%s", end < bytes ? log : log + end - (bytes - 1));
}

int emulsion_devices_are_off(char text[EMULSION_DEVICE_TEXT]) {
    const char* value = getenv("EMULSION_NO_DEVICE");
    if (value == NULL || strcmp(value, "") == 0 || strcmp(value, "0") == 0) return 0;
    snprintf(text, EMULSION_DEVICE_TEXT, "EMULSION_NO_DEVICE is set");
    return 1;
}

/* Why the library is not loaded. Several such sentences stand in one text, so that of a file that
 * is not there is cut where it says so a second time. */
static void tell_missing(emulsion_driver* driver) {
    static const char again[] = ": No such file or directory";
    snprintf(driver->why_not, sizeof driver->why_not, "no driver of %s: %s", driver->interface,
             dlerror());
    const size_t length = strlen(driver->why_not), rest = sizeof again - 1;
    if (length > rest && strcmp(driver->why_not + length - rest, again) == 0)
        driver->why_not[length - rest] = 0;
}

static int load(emulsion_driver* driver) {
    void* handle = dlopen(driver->library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        tell_missing(driver);
        return 0;
    }
    for (int i = 0; i < driver->count; i++) {
        driver->functions[i] = dlsym(handle, driver->names[i]);
        if (driver->functions[i] != NULL) continue;
        snprintf(driver->why_not, sizeof driver->why_not,
                 "the driver of %s is too old: %s has no %s", driver->interface, driver->library,
                 driver->names[i]);
        return 0;
    }
    return 1;
}

int emulsion_driver_find(emulsion_driver* driver, char text[EMULSION_DEVICE_TEXT]) {
    pthread_mutex_lock(&driver->lock);
    if (!driver->is_tried) driver->is_found = load(driver);
    driver->is_tried = 1;
    pthread_mutex_unlock(&driver->lock);
    if (!driver->is_found) memcpy(text, driver->why_not, EMULSION_DEVICE_TEXT);
    return driver->is_found;
}
