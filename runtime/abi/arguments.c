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

/* "input 'mask' of sample 3", and where it is a map ", row 0, column 17", of a volume ", plane 2"
 * in front. `place` counts the rows of channels, a sample's one after another. */
static void name_place(emulsion_instance* instance, const emulsion_port* port, int64_t place) {
    const int64_t width = port->rank > 1 ? port->shape[port->rank - 1] : 1;
    const int64_t plane = port->rank > 2 ? width * port->shape[port->rank - 2] : width;
    const int64_t each = port->rank > 3 ? plane * port->shape[port->rank - 3] : plane;
    emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "input '");
    emulsion_append(instance, port->name);
    emulsion_append(instance, "' of sample ");
    emulsion_append_number(instance, place / each);
    if (port->rank > 3) {
        emulsion_append(instance, ", plane ");
        emulsion_append_number(instance, place % each / plane);
    }
    if (port->rank > 2) {
        emulsion_append(instance, ", row ");
        emulsion_append_number(instance, place % plane / width);
    }
    if (port->rank > 1) {
        emulsion_append(instance, ", column ");
        emulsion_append_number(instance, place % width);
    }
}

/* The same for value `k` of an input of indices, (L) or (R, L): "input 'edges' of sample 3, row 1,
 * place 17". */
static void name_index(emulsion_instance* instance, const emulsion_port* port, int64_t k) {
    const int64_t each = (int64_t)(port->bytes / sizeof(int32_t));
    const int64_t rows = port->rank > 1 ? port->shape[0] : 1;
    emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "input '");
    emulsion_append(instance, port->name);
    emulsion_append(instance, "' of sample ");
    emulsion_append_number(instance, k / each);
    if (port->rank > 1) {
        emulsion_append(instance, ", row ");
        emulsion_append_number(instance, k % rows);
    }
    emulsion_append(instance, ", place ");
    emulsion_append_number(instance, k % each / rows);
}

/* An input of class indices holds classes, one of indices what they count, or what says that it
 * does not count. */
static int check_labels(emulsion_instance* instance, const emulsion_port* port,
                        const int32_t* labels, int64_t samples) {
    const int64_t count = samples * (int64_t)(port->bytes / sizeof(int32_t));
    for (int64_t k = 0; k < count; k++) {
        if (labels[k] >= 0 && labels[k] < port->classes) continue;
        if (port->ignored != 0 && labels[k] == port->ignored) continue;
        /* (1, L) are the classes of a line. */
        const int is_index = port->rank == 1 || (port->rank == 2 && port->shape[0] > 1);
        (is_index ? name_index : name_place)(instance, port, k);
        emulsion_append(instance, " is ");
        emulsion_append_number(instance, labels[k]);
        emulsion_append(
            instance, is_index ? ", but must be an index: 0 to " : ", but must be a class: 0 to ");
        emulsion_append_number(instance, port->classes - 1);
        if (port->ignored != 0) {
            emulsion_append(instance, ", or ");
            emulsion_append_number(instance, port->ignored);
            emulsion_append(instance, " for what does not count");
        }
        return EMULSION_INVALID_ARGUMENT;
    }
    return EMULSION_OK;
}

/* Each row of channels is a distribution. A NaN fails every comparison. */
static int check_distributions(emulsion_instance* instance, const emulsion_port* port,
                               const float* values, int64_t samples) {
    const int64_t classes = port->shape[0];
    const int64_t rows = samples * (int64_t)(port->bytes / sizeof(float)) / classes;
    for (int64_t row = 0; row < rows; row++) {
        double sum = 0;
        int64_t bad = -1;
        for (int64_t c = 0; c < classes; c++) {
            const float value = values[row * classes + c];
            if (!(value >= 0) && bad < 0) bad = c;
            sum += value;
        }
        if (bad < 0 && sum >= 0.999 && sum <= 1.001) continue;
        name_place(instance, port, row);
        if (bad >= 0) {
            emulsion_append(instance, " is negative or no number at class ");
            emulsion_append_number(instance, bad);
        } else if (sum < 1e6) {
            emulsion_append(instance, " sums to ");
            emulsion_append_number(instance, (int64_t)(sum * 1000));
            emulsion_append(instance, " thousandths");
        } else {
            emulsion_append(instance, " sums to a million or more");
        }
        emulsion_append(instance,
                        ", but must be a distribution: values of 0 or more that sum to 1");
        return EMULSION_INVALID_ARGUMENT;
    }
    return EMULSION_OK;
}

/* Inputs hold what the network reads them as. */
static int check_contents(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    int status = EMULSION_OK;
    for (int i = 0; i < info->input_count && status == EMULSION_OK; i++) {
        const emulsion_port* port = &info->inputs[i];
        if (port->classes != 0 && port->type == EMULSION_I32)
            status = check_labels(instance, port, call->inputs[i], call->samples);
        if (port->distribution != 0 && port->type == EMULSION_F32)
            status = check_distributions(instance, port, call->inputs[i], call->samples);
    }
    return status;
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
    return status == EMULSION_OK ? check_contents(instance, call) : status;
}

int emulsion_check_rate(emulsion_instance* instance, float learning_rate) {
    uint32_t bits;
    memcpy(&bits, &learning_rate, sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "the learning rate is not finite");
}
