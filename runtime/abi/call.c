/* Calls: check their order and arguments, point the inputs' and outputs' descriptors at the
 * caller's memory, run the kernels in order, test the bits of the loss between forward and backward
 * and those of the gradients behind it. */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/abi/internal.h"

/* Begin and end. */

int emulsion_call_begin(emulsion_instance* instance) {
    if (instance->pid != 0 && instance->pid != (int32_t)getpid()) {
        emulsion_fail(instance, EMULSION_FORKED, emulsion_status_text(EMULSION_FORKED));
        emulsion_append(instance, ": bind again in the child");
        return EMULSION_FORKED;
    }
    instance->status = EMULSION_OK;
    instance->calls++;
    instance->caller_mode = emulsion_set_kernel_mode();
    if (instance->crew.started > 0) emulsion_crew_wake(instance);
    return EMULSION_OK;
}

void emulsion_call_end(emulsion_instance* instance) {
    if (instance->crew.started > 0) emulsion_crew_rest(instance);
    emulsion_set_mode(instance->caller_mode);
}

/* Checks. */

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

static int check_call(emulsion_instance* instance, const emulsion_call* call) {
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

static int check_rate(emulsion_instance* instance, float learning_rate) {
    uint32_t bits;
    memcpy(&bits, &learning_rate, sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "the learning rate is not finite");
}

/* Order. */

static const uint64_t* state_of(const emulsion_instance* instance) {
    return (const uint64_t*)instance->block[EMULSION_STATE];
}

static int check_state(emulsion_instance* instance) {
    if (state_of(instance)[2] == EMULSION_STATE_MARK) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_NOT_READY,
                         "parameters and state have no values: call init, or load a checkpoint");
}

static int check_prepared(emulsion_instance* instance) {
    if (instance->prepared == EMULSION_OK) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_NOT_READY,
                         "the weights are not prepared: call prepare after bind");
}

/* There are gradients, of the state as it is now. */
static int check_gradients(emulsion_instance* instance) {
    const uint64_t* state = state_of(instance);
    if (instance->gradients == EMULSION_NOT_FINITE) {
        return emulsion_fail(instance, EMULSION_NOT_FINITE,
                             "there are no gradients: the last loss or a gradient was not finite");
    }
    if (instance->gradients != EMULSION_OK) {
        return emulsion_fail(instance, EMULSION_NOT_READY,
                             "there are no gradients: call forward_backward before each update");
    }
    if (instance->gradient_seed == state[0] && instance->gradient_step == state[1])
        return EMULSION_OK;
    emulsion_fail(instance, EMULSION_NOT_READY, "the gradients are those of step ");
    emulsion_append_number(instance, (int64_t)instance->gradient_step);
    emulsion_append(instance, " before init or a checkpoint: call forward_backward again");
    return EMULSION_NOT_READY;
}

/* Kernels. */

static int fail_kernel(emulsion_instance* instance, int kernel, int error) {
    const emulsion_info* info = instance->library->info;
    emulsion_fail(instance, error, "kernel ");
    emulsion_append_number(instance, kernel);
    if (kernel < info->kernel_count) {
        emulsion_append(instance, " (");
        emulsion_append(instance, info->kernels[kernel]);
        emulsion_append(instance, ")");
    }
    emulsion_append(instance, " failed a check with Halide's error ");
    emulsion_append_number(instance, error);
    return error;
}

static double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int run_profiled(emulsion_instance* instance, const emulsion_sequence* sequence) {
    for (int i = 0; i < sequence->count; i++) {
        const double start = seconds_now();
        const int error = sequence->kernels[i](instance);
        const double seconds = seconds_now() - start;
        if (error != 0) return fail_kernel(instance, sequence->first + i, error);
        instance->profile(instance->profile_self, sequence->first + i, seconds);
    }
    return EMULSION_OK;
}

static int run_sequence(emulsion_instance* instance, const emulsion_sequence* sequence) {
    if (instance->profile != NULL) return run_profiled(instance, sequence);
    for (int i = 0; i < sequence->count; i++) {
        const int error = sequence->kernels[i](instance);
        if (__builtin_expect(error != 0, 0))
            return fail_kernel(instance, sequence->first + i, error);
    }
    return EMULSION_OK;
}

/* A pool that broke its contract has left work undone. */
static int check_pool(emulsion_instance* instance, int status) {
    if (__atomic_exchange_n(&instance->pool_fault, 0, __ATOMIC_RELAXED) == 0) return status;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                         "options.pool.parallel_for returned before each index was done once, by a "
                         "worker of 0 to threads - 1");
}

static const emulsion_plan* select_plan(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_plan* plan = instance->variant->plans;
    while (plan->batch < call->samples) plan++;
    for (int i = 0; i < plan->input_count; i++) {
        instance->descriptors[plan->inputs[i].buffer].host =
            (void*)(uintptr_t)call->inputs[plan->inputs[i].port];
    }
    for (int i = 0; i < plan->output_count; i++) {
        instance->descriptors[plan->outputs[i].buffer].host = call->outputs[plan->outputs[i].port];
    }
    instance->samples = call->samples;
    return plan;
}

/* Training. */

/* The first 16 bytes of the state: seed and step. */
static void load_state(emulsion_instance* instance) {
    const uint64_t* state = state_of(instance);
    instance->seed_low = (uint32_t)state[0];
    instance->seed_high = (uint32_t)(state[0] >> 32);
    instance->step_low = (uint32_t)state[1];
    instance->step_high = (uint32_t)(state[1] >> 32);
}

static int updates_at_once(const emulsion_library* library) {
    return library->bytes[EMULSION_GRADIENTS] == 0;
}

/* Values that no program should add up: a score that is NaN may count as the best. */
static void clear_outputs(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->output_count; i++) {
        const emulsion_port* port = &info->outputs[i];
        if (i == instance->library->loss_output) continue;
        memset(call->outputs[i], 0, port->bytes * (uint64_t)(port->batched ? call->samples : 1));
    }
}

static int test_loss(emulsion_instance* instance, const emulsion_call* call) {
    if (instance->library->loss_output < 0) return EMULSION_OK;
    uint32_t bits;
    memcpy(&bits, call->outputs[instance->library->loss_output], sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    clear_outputs(instance, call);
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the loss of step ");
    emulsion_append_number(instance, (int64_t)state_of(instance)[1]);
    emulsion_append(instance, (bits & 0x7fffffu) != 0 ? " is NaN" : " is infinite");
    emulsion_append(instance,
                    ": this step has changed nothing, but an earlier one may have made parameters "
                    "that are not finite");
    return EMULSION_NOT_FINITE;
}

static int test_gradients(emulsion_instance* instance) {
    if (updates_at_once(instance->library)) return EMULSION_OK;
    const int tensor = emulsion_find_bad_gradient(instance);
    if (tensor < 0) return EMULSION_OK;
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the gradient of ");
    emulsion_append(instance, instance->library->info->tensors[tensor].name);
    emulsion_append(instance, " is not finite at step ");
    emulsion_append_number(instance, (int64_t)state_of(instance)[1]);
    emulsion_append(instance,
                    ": parameters and the optimiser's state are unchanged, running statistics have "
                    "taken the samples in");
    return EMULSION_NOT_FINITE;
}

static int run_gradients(emulsion_instance* instance, const emulsion_call* call) {
    load_state(instance);
    instance->gradients = EMULSION_NOT_READY;
    const emulsion_plan* plan = select_plan(instance, call);
    int status = check_pool(instance, run_sequence(instance, &plan->forward));
    if (status == EMULSION_OK) status = test_loss(instance, call);
    if (status == EMULSION_OK)
        status = check_pool(instance, run_sequence(instance, &plan->backward));
    if (status == EMULSION_OK) status = check_pool(instance, test_gradients(instance));
    if (status != EMULSION_OK && status != EMULSION_NOT_FINITE) return status;
    instance->gradients = status;
    instance->gradient_seed = state_of(instance)[0];
    instance->gradient_step = state_of(instance)[1];
    return status;
}

static int run_update(emulsion_instance* instance, float learning_rate) {
    load_state(instance);
    instance->learning_rate = learning_rate;
    instance->gradients = EMULSION_NOT_READY;
    const int status = check_pool(instance, run_sequence(instance, &instance->variant->update));
    if (status == EMULSION_OK) ((uint64_t*)instance->block[EMULSION_STATE])[1]++;
    return status;
}

static int forward_backward(emulsion_instance* instance, const emulsion_call* call) {
    int status = check_state(instance);
    if (status == EMULSION_OK) status = check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_gradients(instance, call);
    emulsion_call_end(instance);
    return status;
}

static int update(emulsion_instance* instance, float learning_rate) {
    int status = check_gradients(instance);
    if (status == EMULSION_OK) status = check_rate(instance, learning_rate);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_update(instance, learning_rate);
    emulsion_call_end(instance);
    return status;
}

static int step(emulsion_instance* instance, const emulsion_call* call, float learning_rate) {
    int status = check_state(instance);
    if (status == EMULSION_OK) status = check_call(instance, call);
    if (status == EMULSION_OK) status = check_rate(instance, learning_rate);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    instance->learning_rate = learning_rate; /* updates at once run among the gradients */
    status = run_gradients(instance, call);
    if (status == EMULSION_OK) status = run_update(instance, learning_rate);
    emulsion_call_end(instance);
    return status;
}

/* Inference. */

static int prepare(emulsion_instance* instance) {
    int status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    instance->prepared = EMULSION_NOT_READY;
    status = check_pool(instance, run_sequence(instance, &instance->variant->prepare));
    if (status == EMULSION_OK) instance->prepared = EMULSION_OK;
    emulsion_call_end(instance);
    return status;
}

static int run(emulsion_instance* instance, const emulsion_call* call) {
    int status = check_prepared(instance);
    if (status == EMULSION_OK) status = check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    const emulsion_plan* plan = select_plan(instance, call);
    status = check_pool(instance, run_sequence(instance, &plan->forward));
    emulsion_call_end(instance);
    return status;
}

/* The exported functions: one at a time on an instance. */

int emulsion_library_forward_backward(const emulsion_library* library, void* block,
                                      const emulsion_call* call) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, forward_backward(instance, call));
}

int emulsion_library_update(const emulsion_library* library, void* block, float learning_rate) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, update(instance, learning_rate));
}

int emulsion_library_step(const emulsion_library* library, void* block, const emulsion_call* call,
                          float learning_rate) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, step(instance, call, learning_rate));
}

int emulsion_library_prepare(const emulsion_library* library, void* block) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, prepare(instance));
}

int emulsion_library_run(const emulsion_library* library, void* block, const emulsion_call* call) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, run(instance, call));
}
