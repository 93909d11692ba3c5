/* Calls: check their order, point the inputs' and outputs' descriptors at the caller's memory, run
 * the kernels in order, test the bits of the loss between forward and backward and those of the
 * gradients behind it. */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

/* Begin and end. */

int emulsion_check_alive(emulsion_instance* instance) {
    if (instance->pid != 0 && instance->pid != (int32_t)getpid()) {
        emulsion_fail(instance, EMULSION_FORKED, emulsion_status_text(EMULSION_FORKED));
        emulsion_append(instance, ": bind again in the child");
        return EMULSION_FORKED;
    }
    return instance->device == NULL ? EMULSION_OK : emulsion_device_check(instance, -1);
}

int emulsion_call_begin(emulsion_instance* instance) {
    const int status = emulsion_check_alive(instance);
    if (status != EMULSION_OK) return status;
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

/* Order. */

static const uint64_t* state_of(const emulsion_instance* instance) {
    return (const uint64_t*)instance->block[EMULSION_STATE];
}

int emulsion_check_state(emulsion_instance* instance) {
    if (state_of(instance)[2] == EMULSION_STATE_MARK) return EMULSION_OK;
    return emulsion_fail(instance, EMULSION_NOT_READY,
                         "parameters and state have no values: call init, or load a checkpoint");
}

/* There are values, where the kernels read them. */
static int check_values(emulsion_instance* instance) {
    const int status = emulsion_check_state(instance);
    if (status != EMULSION_OK || instance->device == NULL) return status;
    return emulsion_device_check_uploaded(instance);
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

/* The plan of a call, with its inputs and outputs in place: the caller's memory, on a device a set
 * of slots, to which the inputs go. */
static int begin_plan(emulsion_instance* instance, const emulsion_call* call, int set,
                      const emulsion_plan** found) {
    const emulsion_plan* plan = instance->variant->plans;
    while (plan->batch < call->samples) plan++;
    *found = plan;
    instance->samples = call->samples;
    if (instance->device != NULL) {
        const int status = emulsion_device_use_set(instance, plan, set);
        return status == EMULSION_OK ? emulsion_device_upload_inputs(instance, call, set) : status;
    }
    for (int i = 0; i < plan->input_count; i++) {
        instance->descriptors[plan->inputs[i].buffer].host =
            (void*)(uintptr_t)call->inputs[plan->inputs[i].port];
    }
    for (int i = 0; i < plan->output_count; i++) {
        instance->descriptors[plan->outputs[i].buffer].host = call->outputs[plan->outputs[i].port];
    }
    return EMULSION_OK;
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

static int test_loss(emulsion_instance* instance, const emulsion_call* call, int set) {
    uint32_t bits;
    if (instance->device != NULL) return emulsion_device_test_loss(instance, set);
    if (instance->library->loss_output < 0) return EMULSION_OK;
    memcpy(&bits, call->outputs[instance->library->loss_output], sizeof bits);
    return emulsion_is_finite(bits)
               ? EMULSION_OK
               : emulsion_fail_loss(instance, call->outputs, call->samples, state_of(instance)[1]);
}

static int test_gradients(emulsion_instance* instance, int set) {
    if (updates_at_once(instance->library)) return EMULSION_OK;
    if (instance->device != NULL) return emulsion_device_test_gradients(instance, set);
    const int tensor = emulsion_find_bad_gradient(instance);
    return tensor < 0 ? EMULSION_OK
                      : emulsion_fail_gradient(instance, tensor, state_of(instance)[1]);
}

/* On a device the tests are launched like kernels, and judged at the call's end. */
static int run_gradients(emulsion_instance* instance, const emulsion_call* call, int set) {
    const emulsion_plan* plan;
    load_state(instance);
    instance->gradients = EMULSION_NOT_READY;
    int status = begin_plan(instance, call, set, &plan);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->forward);
    if (status == EMULSION_OK) status = test_loss(instance, call, set);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->backward);
    if (status == EMULSION_OK)
        status = emulsion_check_pool(instance, test_gradients(instance, set));
    if (instance->device == NULL)
        emulsion_keep_gradients(instance, status, state_of(instance)[0], state_of(instance)[1]);
    return status;
}

static int run_update(emulsion_instance* instance, float learning_rate) {
    load_state(instance);
    instance->learning_rate = learning_rate;
    instance->gradients = EMULSION_NOT_READY;
    return emulsion_run_sequence(instance, &instance->variant->update);
}

void emulsion_keep_gradients(emulsion_instance* instance, int status, uint64_t seed,
                             uint64_t step) {
    if (status != EMULSION_OK && status != EMULSION_NOT_FINITE) return;
    instance->gradients = status;
    instance->gradient_seed = seed;
    instance->gradient_step = step;
}

static void count_step(emulsion_instance* instance) {
    ((uint64_t*)instance->block[EMULSION_STATE])[1]++;
    instance->device_step++;
}

/* A device keeps the old values where one of the tests has found something, so that it is not asked
 * between gradients and update. */
static int run_step(emulsion_instance* instance, const emulsion_call* call, float learning_rate) {
    const int set = emulsion_device_free_set(instance);
    int status = run_gradients(instance, call, set);
    if (status == EMULSION_OK) status = run_update(instance, learning_rate);
    if (status != EMULSION_OK) return status;
    if (instance->device != NULL)
        return emulsion_device_call_end(instance, call, set, EMULSION_STEP);
    count_step(instance);
    return EMULSION_OK;
}

static int run_forward_backward(emulsion_instance* instance, const emulsion_call* call) {
    const int set = emulsion_device_free_set(instance);
    const int status = run_gradients(instance, call, set);
    if (status != EMULSION_OK || instance->device == NULL) return status;
    return emulsion_device_call_end(instance, call, set, EMULSION_FORWARD_BACKWARD);
}

/* The gradients of a call under way count only once it is through. */
static int settle(emulsion_instance* instance) {
    if (instance->device == NULL) return EMULSION_OK;
    const int status = emulsion_check_alive(instance);
    return status == EMULSION_OK ? emulsion_device_settle(instance) : status;
}

static int forward_backward(emulsion_instance* instance, const emulsion_call* call) {
    int status = check_values(instance);
    if (status == EMULSION_OK) status = emulsion_check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_forward_backward(instance, call);
    emulsion_call_end(instance);
    return status;
}

static int update(emulsion_instance* instance, float learning_rate) {
    int status = settle(instance);
    if (status == EMULSION_OK) status = check_gradients(instance);
    if (status == EMULSION_OK) status = emulsion_check_rate(instance, learning_rate);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_update(instance, learning_rate);
    if (status == EMULSION_OK) count_step(instance);
    emulsion_call_end(instance);
    return status;
}

static int step(emulsion_instance* instance, const emulsion_call* call, float learning_rate) {
    int status = check_values(instance);
    if (status == EMULSION_OK) status = emulsion_check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_check_rate(instance, learning_rate);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    instance->learning_rate = learning_rate; /* updates at once run among the gradients */
    status = run_step(instance, call, learning_rate);
    emulsion_call_end(instance);
    return status;
}

/* Inference. */

static int prepare(emulsion_instance* instance) {
    int status = settle(instance);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    instance->prepared = EMULSION_NOT_READY;
    if (instance->device != NULL) {
        status = emulsion_device_upload(instance, EMULSION_PARAMETERS);
        if (status == EMULSION_OK) status = emulsion_device_upload(instance, EMULSION_STATE);
    }
    if (status == EMULSION_OK)
        status = emulsion_run_sequence(instance, &instance->variant->prepare);
    if (status == EMULSION_OK && instance->device != NULL)
        status = emulsion_device_finish(instance);
    if (status == EMULSION_OK) instance->prepared = EMULSION_OK;
    emulsion_call_end(instance);
    return status;
}

static int run(emulsion_instance* instance, const emulsion_call* call) {
    int status = check_prepared(instance);
    if (status == EMULSION_OK) status = emulsion_check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    const int set = emulsion_device_free_set(instance);
    const emulsion_plan* plan;
    status = begin_plan(instance, call, set, &plan);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->forward);
    if (status == EMULSION_OK && instance->device != NULL)
        status = emulsion_device_call_end(instance, call, set, EMULSION_RUN);
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
