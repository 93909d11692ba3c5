/* Arguments of a call: its samples, inputs and outputs, labels, learning rate. */
#include <string.h>

#include "runtime/abi/internal.h"

static int check_ports(emulsion_instance* instance, const char* kind, const emulsion_port* ports,
                       int count, const void* const* pointers) {
    for (int port = 0; port < count; port++) {
        int status = EMULSION_OK;
        if (pointers == NULL || pointers[port] == NULL) {
            status = EMULSION_INVALID_ARGUMENT;
        } else if ((uintptr_t)pointers[port] % EMULSION_ALIGNMENT != 0) {
            status = EMULSION_MISALIGNED;
        }
        if (status == EMULSION_OK) continue;
        emulsion_fail(instance, status, kind);
        emulsion_append(instance, " '");
        emulsion_append(instance, ports[port].name);
        emulsion_append(
            instance, status == EMULSION_MISALIGNED ? "' is not aligned to 64 bytes" : "' is null");
        return status;
    }
    return EMULSION_OK;
}

/* Inputs of class indices hold classes. */
static int check_labels(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->input_count; i++) {
        const emulsion_port* port = &info->inputs[i];
        if (port->classes == 0 || port->type != EMULSION_I32) continue;
        const int32_t* labels = (const int32_t*)call->inputs[i];
        const int64_t each = (int64_t)(port->bytes / sizeof(int32_t));
        for (int64_t k = 0; k < call->samples * each; k++) {
            if (labels[k] >= 0 && labels[k] < port->classes) continue;
            emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "input '");
            emulsion_append(instance, port->name);
            emulsion_append(instance, "' of sample ");
            emulsion_append_number(instance, k / each);
            emulsion_append(instance, " is ");
            emulsion_append_number(instance, labels[k]);
            emulsion_append(instance, ", but must be a class: 0 to ");
            emulsion_append_number(instance, port->classes - 1);
            return EMULSION_INVALID_ARGUMENT;
        }
    }
    return EMULSION_OK;
}

int emulsion_check_call(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    if (call == NULL) return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "call is null");
    if (call->samples < 1 || call->samples > info->batch) {
        emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "call.samples is ");
        emulsion_append_number(instance, call->samples);
        emulsion_append(instance, ", but the library is compiled for 1 to ");
        emulsion_append_number(instance, info->batch);
        return EMULSION_INVALID_ARGUMENT;
    }
    int status = check_ports(instance, "input", info->inputs, info->input_count, call->inputs);
    if (status == EMULSION_OK) {
        status = check_ports(instance, "output", info->outputs, info->output_count,
                             (const void* const*)call->outputs);
    }
    return status == EMULSION_OK ? check_labels(instance, call) : status;
}

int emulsion_check_rate(emulsion_instance* instance, float learning_rate) {
    uint32_t bits;
    memcpy(&bits, &learning_rate, sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "the learning rate is not finite");
}
