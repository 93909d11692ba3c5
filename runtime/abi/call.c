/* Calls: check the arguments, point the inputs' and outputs' descriptors at the caller's memory,
 * run the kernels in order, and between forward and backward test the bits of the loss. */
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

static emulsion_instance* bound_to(const emulsion_library* library, void* block) {
    emulsion_instance* instance = emulsion_bound(block);
    return instance != NULL && instance->library == library ? instance : NULL;
}

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
    const int status =
        check_ports(instance, "input", info->inputs, info->input_count, call->inputs);
    if (status != EMULSION_OK) return status;
    return check_ports(instance, "output", info->outputs, info->output_count,
                       (const void* const*)call->outputs);
}

static int check_rate(emulsion_instance* instance, float learning_rate) {
    uint32_t bits;
    memcpy(&bits, &learning_rate, sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "the learning rate is not finite");
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
    const uint64_t* state = (const uint64_t*)instance->block[EMULSION_STATE];
    instance->seed_low = (uint32_t)state[0];
    instance->seed_high = (uint32_t)(state[0] >> 32);
    instance->step_low = (uint32_t)state[1];
    instance->step_high = (uint32_t)(state[1] >> 32);
}

static int test_loss(emulsion_instance* instance, const emulsion_call* call) {
    instance->loss_status = EMULSION_OK;
    if (instance->library->loss_output < 0) return EMULSION_OK;
    uint32_t bits;
    memcpy(&bits, call->outputs[instance->library->loss_output], sizeof bits);
    if (emulsion_is_finite(bits)) return EMULSION_OK;
    instance->loss_status = EMULSION_NOT_FINITE;
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the loss of step ");
    emulsion_append_number(instance,
                           (int64_t)((uint64_t)instance->step_high << 32 | instance->step_low));
    emulsion_append(instance, (bits & 0x7fffffu) != 0 ? " is NaN" : " is infinite");
    emulsion_append(instance, ": parameters and state are unchanged");
    return EMULSION_NOT_FINITE;
}

static int run_gradients(emulsion_instance* instance, const emulsion_call* call) {
    load_state(instance);
    const emulsion_plan* plan = select_plan(instance, call);
    int status = run_sequence(instance, &plan->forward);
    if (status == EMULSION_OK) status = test_loss(instance, call);
    if (status == EMULSION_OK) status = run_sequence(instance, &plan->backward);
    return status;
}

static int run_update(emulsion_instance* instance, float learning_rate) {
    load_state(instance);
    instance->learning_rate = learning_rate;
    const int status = run_sequence(instance, &instance->variant->update);
    if (status == EMULSION_OK) ((uint64_t*)instance->block[EMULSION_STATE])[1]++;
    return status;
}

int emulsion_library_forward_backward(const emulsion_library* library, void* block,
                                      const emulsion_call* call) {
    emulsion_instance* instance = bound_to(library, block);
    if (instance == NULL) return EMULSION_NOT_BOUND;
    int status = check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_gradients(instance, call);
    emulsion_call_end(instance);
    return status;
}

int emulsion_library_update(const emulsion_library* library, void* block, float learning_rate) {
    emulsion_instance* instance = bound_to(library, block);
    if (instance == NULL) return EMULSION_NOT_BOUND;
    if (instance->loss_status != EMULSION_OK) {
        return emulsion_fail(instance, EMULSION_NOT_FINITE,
                             "there is no gradient: the last loss was not finite");
    }
    int status = check_rate(instance, learning_rate);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_update(instance, learning_rate);
    emulsion_call_end(instance);
    return status;
}

int emulsion_library_step(const emulsion_library* library, void* block, const emulsion_call* call,
                          float learning_rate) {
    emulsion_instance* instance = bound_to(library, block);
    if (instance == NULL) return EMULSION_NOT_BOUND;
    int status = check_call(instance, call);
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

int emulsion_library_prepare(const emulsion_library* library, void* block) {
    emulsion_instance* instance = bound_to(library, block);
    if (instance == NULL) return EMULSION_NOT_BOUND;
    int status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_sequence(instance, &instance->variant->prepare);
    emulsion_call_end(instance);
    return status;
}

int emulsion_library_run(const emulsion_library* library, void* block, const emulsion_call* call) {
    emulsion_instance* instance = bound_to(library, block);
    if (instance == NULL) return EMULSION_NOT_BOUND;
    int status = check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_sequence(instance, &select_plan(instance, call)->forward);
    emulsion_call_end(instance);
    return status;
}
