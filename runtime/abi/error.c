/* Status codes in words. A function that fails writes one sentence with the values at fault into
 * its instance; where there is no instance to write to, NAME_error answers with the general text.
 * No formatting of libc is used, so a library pulls in no locale and little stack. */
#include <string.h>

#include "runtime/abi/internal.h"

const char* emulsion_status_text(int status) {
    switch (status) {
        case EMULSION_OK:
            return "no error";
        case EMULSION_INVALID_ARGUMENT:
            return "an argument is null or out of range";
        case EMULSION_MISALIGNED:
            return "a block of memory is not aligned to 64 bytes";
        case EMULSION_NOT_FINITE:
            return "the loss or a gradient is not finite";
        case EMULSION_UNSUPPORTED_CPU:
            return "the library holds no variant that this processor can run";
        case EMULSION_NO_THREADS:
            return "the system refused to start a thread";
        case EMULSION_NOT_BOUND:
            return "bind has not succeeded on this instance";
        case EMULSION_NOT_READY:
            return "a call that must come first is missing";
        case EMULSION_BUSY:
            return "another call is running on this instance";
        case EMULSION_UNSUPPORTED_DEVICE:
            return "the library cannot run on the device asked for";
        case EMULSION_DEVICE_ERROR:
            return "the device or its driver failed";
        case EMULSION_FORKED:
            return "the process was forked after bind, and threads and devices stay with the "
                   "parent";
        default:
            return status < 0 ? "a kernel failed one of its checks" : "unknown status";
    }
}

int emulsion_fail(emulsion_instance* instance, int status, const char* text) {
    instance->status = status;
    instance->message[0] = 0;
    emulsion_append(instance, text);
    return status;
}

void emulsion_append(emulsion_instance* instance, const char* text) {
    const size_t used = strlen(instance->message);
    const size_t left = sizeof instance->message - 1 - used;
    size_t length = strlen(text);
    if (length > left) length = left;
    memcpy(instance->message + used, text, length);
    instance->message[used + length] = 0;
}

void emulsion_append_number(emulsion_instance* instance, int64_t number) {
    char digits[24];
    char* start = digits + sizeof digits - 1;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *start = 0;
    do {
        *--start = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) *--start = '-';
    emulsion_append(instance, start);
}

const char* emulsion_library_error(const emulsion_library* library, const void* instance) {
    const emulsion_instance* me = (const emulsion_instance*)instance;
    if (me == NULL) return "the instance is null";
    if ((uintptr_t)me % EMULSION_ALIGNMENT != 0) return "the instance is not aligned to 64 bytes";
    const uint64_t magic = __atomic_load_n(&me->magic, __ATOMIC_ACQUIRE);
    if (magic != EMULSION_BOUND && magic != EMULSION_FAILED) {
        const int is_foreign = (uint32_t)magic == EMULSION_MAGIC_NAME;
        return is_foreign ? "the instance is bound by a library of another version of Emulsion"
                          : emulsion_status_text(EMULSION_NOT_BOUND);
    }
    if (me->library != library) return "the instance is bound by another library";
    if (__atomic_load_n(&me->busy, __ATOMIC_ACQUIRE) != 0)
        return emulsion_status_text(EMULSION_BUSY);
    if (me->status != EMULSION_OK && me->message[0] != 0) return me->message;
    return emulsion_status_text(me->status);
}
