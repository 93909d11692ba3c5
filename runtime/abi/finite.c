/* Tests for NaN and infinity: by exponents, as integers, since kernels run with exceptions masked
 * and compilers may take floats for finite. */
#include <string.h>

#include "runtime/abi/internal.h"

enum { kChunkBytes = 256 * 1024 }; /* of one task of the parallel test */

static const uint32_t kExponent = 0x7f800000u, kExponentOne = 0x00800000u;

int emulsion_is_finite(uint32_t bits) { return (bits & kExponent) != kExponent; }

typedef uint32_t Lanes __attribute__((vector_size(16), aligned(4), may_alias));

/* The exponent plus one overflows into the sign where all its bits are ones. */
static int are_finite(const char* values, uint64_t bytes) {
    Lanes a = {0}, b = {0}, c = {0}, d = {0};
    uint64_t at = 0;
    for (; at + 64 <= bytes; at += 64) {
        const Lanes* line = (const Lanes*)(const void*)(values + at);
        a |= (line[0] & kExponent) + kExponentOne;
        b |= (line[1] & kExponent) + kExponentOne;
        c |= (line[2] & kExponent) + kExponentOne;
        d |= (line[3] & kExponent) + kExponentOne;
    }
    a |= b | c | d;
    uint32_t found = a[0] | a[1] | a[2] | a[3], bits;
    for (; at < bytes; at += sizeof bits) {
        memcpy(&bits, values + at, sizeof bits);
        found |= (bits & kExponent) + kExponentOne;
    }
    return found >> 31 == 0;
}

/* A part of the class of gradients. Between tensors may lie bytes that nobody has written. */
static int test_chunk(void* user_context, int index, uint8_t* closure) {
    const emulsion_instance* instance = ((emulsion_worker*)user_context)->instance;
    const uint64_t all = instance->library->bytes[EMULSION_GRADIENTS];
    const uint64_t begin = (uint64_t)index * kChunkBytes;
    const uint64_t bytes = all - begin < kChunkBytes ? all - begin : kChunkBytes;
    (void)closure;
    return !are_finite((const char*)instance->block[EMULSION_GRADIENTS] + begin, bytes);
}

int emulsion_find_bad_gradient(emulsion_instance* instance) {
    const emulsion_info* info = instance->library->info;
    const uint64_t all = instance->library->bytes[EMULSION_GRADIENTS];
    const int chunks = (int)((all + kChunkBytes - 1) / kChunkBytes);
    if (halide_do_par_for(instance->workers, test_chunk, 0, chunks, NULL) == 0) return -1;
    for (int i = 0; i < info->tensor_count; i++) {
        const emulsion_tensor* tensor = &info->tensors[i];
        const char* gradient =
            (const char*)instance->block[EMULSION_GRADIENTS] + tensor->gradient_offset;
        if (tensor->trained && !are_finite(gradient, tensor->bytes)) return i;
    }
    return -1;
}

/* In words. */

/* Values that no program should add up: a score that is NaN may count as the best. */
static void clear_outputs(const emulsion_instance* instance, void* const* outputs, int samples) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->output_count; i++) {
        const emulsion_port* port = &info->outputs[i];
        if (i == instance->library->loss_output) continue;
        memset(outputs[i], 0, port->bytes * (uint64_t)(port->batched ? samples : 1));
    }
}

int emulsion_fail_loss(emulsion_instance* instance, void* const* outputs, int samples,
                       uint64_t step) {
    uint32_t bits;
    memcpy(&bits, outputs[instance->library->loss_output], sizeof bits);
    clear_outputs(instance, outputs, samples);
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the loss of step ");
    emulsion_append_number(instance, (int64_t)step);
    emulsion_append(instance, (bits & 0x7fffffu) != 0 ? " is NaN" : " is infinite");
    emulsion_append(instance,
                    ": this step has changed nothing, but an earlier one may have made parameters "
                    "that are not finite");
    return EMULSION_NOT_FINITE;
}

int emulsion_fail_gradient(emulsion_instance* instance, int tensor, uint64_t step) {
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the gradient of ");
    emulsion_append(instance, instance->library->info->tensors[tensor].name);
    emulsion_append(instance, " is not finite at step ");
    emulsion_append_number(instance, (int64_t)step);
    emulsion_append(instance,
                    ": parameters and the optimiser's state are unchanged, running statistics have "
                    "taken the samples in");
    return EMULSION_NOT_FINITE;
}
