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

static const emulsion_plan* select_plan(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_plan* plan = instance->variant->plans;
    while (plan->batch < call->samples) plan++;
    instance->samples = call->samples;
    if (instance->device != NULL) return plan; /* inputs and outputs have slots */
    for (int i = 0; i < plan->input_count; i++) {
        instance->descriptors[plan->inputs[i].buffer].host =
            (void*)(uintptr_t)call->inputs[plan->inputs[i].port];
    }
    for (int i = 0; i < plan->output_count; i++) {
        instance->descriptors[plan->outputs[i].buffer].host = call->outputs[plan->outputs[i].port];
    }
    return plan;
}

/* On a device; on a processor kernels read and write the caller's memory. */
static int upload_inputs(emulsion_instance* instance, const emulsion_call* call) {
    if (instance->device == NULL) return EMULSION_OK;
    return emulsion_device_upload_inputs(instance, call);
}

static int download_outputs(emulsion_instance* instance, const emulsion_call* call) {
    int status = EMULSION_OK;
    if (instance->device == NULL) return status;
    for (int i = 0; i < instance->library->info->output_count && status == EMULSION_OK; i++)
        status = emulsion_device_download_output(instance, call, i);
    return status;
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

static int fail_loss(emulsion_instance* instance, const emulsion_call* call, uint32_t bits) {
    clear_outputs(instance, call);
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the loss of step ");
    emulsion_append_number(instance, (int64_t)state_of(instance)[1]);
    emulsion_append(instance, (bits & 0x7fffffu) != 0 ? " is NaN" : " is infinite");
    emulsion_append(instance,
                    ": this step has changed nothing, but an earlier one may have made parameters "
                    "that are not finite");
    return EMULSION_NOT_FINITE;
}

static int fail_gradient(emulsion_instance* instance, int tensor) {
    emulsion_fail(instance, EMULSION_NOT_FINITE, "the gradient of ");
    emulsion_append(instance, instance->library->info->tensors[tensor].name);
    emulsion_append(instance, " is not finite at step ");
    emulsion_append_number(instance, (int64_t)state_of(instance)[1]);
    emulsion_append(instance,
                    ": parameters and the optimiser's state are unchanged, running statistics have "
                    "taken the samples in");
    return EMULSION_NOT_FINITE;
}

static uint32_t loss_bits(const emulsion_instance* instance, const emulsion_call* call) {
    uint32_t bits;
    memcpy(&bits, call->outputs[instance->library->loss_output], sizeof bits);
    return bits;
}

static int test_loss(emulsion_instance* instance, const emulsion_call* call) {
    if (instance->device != NULL) return emulsion_device_test_loss(instance);
    if (instance->library->loss_output < 0) return EMULSION_OK;
    const uint32_t bits = loss_bits(instance, call);
    return emulsion_is_finite(bits) ? EMULSION_OK : fail_loss(instance, call, bits);
}

static int test_gradients(emulsion_instance* instance) {
    if (updates_at_once(instance->library)) return EMULSION_OK;
    if (instance->device != NULL) return emulsion_device_test_gradients(instance);
    const int tensor = emulsion_find_bad_gradient(instance);
    return tensor < 0 ? EMULSION_OK : fail_gradient(instance, tensor);
}

/* On a device the tests are launched like kernels: `judge` waits for what they find. */
static int run_gradients(emulsion_instance* instance, const emulsion_call* call) {
    load_state(instance);
    instance->gradients = EMULSION_NOT_READY;
    const emulsion_plan* plan = select_plan(instance, call);
    int status = upload_inputs(instance, call);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->forward);
    if (status == EMULSION_OK) status = test_loss(instance, call);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->backward);
    return status == EMULSION_OK ? emulsion_check_pool(instance, test_gradients(instance)) : status;
}

static int run_update(emulsion_instance* instance, float learning_rate) {
    load_state(instance);
    instance->learning_rate = learning_rate;
    instance->gradients = EMULSION_NOT_READY;
    return emulsion_run_sequence(instance, &instance->variant->update);
}

/* Of a call on a device: brings the outputs, and says what its tests have found. */
static int judge(emulsion_instance* instance, const emulsion_call* call) {
    int bad;
    int status = download_outputs(instance, call);
    if (status == EMULSION_OK) status = emulsion_device_take_record(instance, &bad);
    if (status != EMULSION_OK || bad == 0) return status;
    return bad < 0 ? fail_loss(instance, call, loss_bits(instance, call))
                   : fail_gradient(instance, bad - 1);
}

/* What became of the gradients of the state as it is. */
static void keep_gradients(emulsion_instance* instance, int status) {
    if (status != EMULSION_OK && status != EMULSION_NOT_FINITE) return;
    instance->gradients = status;
    instance->gradient_seed = state_of(instance)[0];
    instance->gradient_step = state_of(instance)[1];
}

static void count_step(emulsion_instance* instance) {
    ((uint64_t*)instance->block[EMULSION_STATE])[1]++;
    instance->device_step++;
    instance->gradients = EMULSION_NOT_READY;
}

/* A device keeps the old values where one of the tests has found something, so that it is not asked
 * between gradients and update. */
static int run_step(emulsion_instance* instance, const emulsion_call* call, float learning_rate) {
    const int is_device = instance->device != NULL;
    int status = run_gradients(instance, call);
    if (!is_device) keep_gradients(instance, status);
    if (status == EMULSION_OK) status = run_update(instance, learning_rate);
    if (is_device && status == EMULSION_OK) {
        status = judge(instance, call);
        keep_gradients(instance, status);
    }
    if (status == EMULSION_OK) count_step(instance);
    return status;
}

static int forward_backward(emulsion_instance* instance, const emulsion_call* call) {
    int status = check_values(instance);
    if (status == EMULSION_OK) status = emulsion_check_call(instance, call);
    if (status == EMULSION_OK) status = emulsion_call_begin(instance);
    if (status != EMULSION_OK) return status;
    status = run_gradients(instance, call);
    if (instance->device != NULL && status == EMULSION_OK) status = judge(instance, call);
    keep_gradients(instance, status);
    emulsion_call_end(instance);
    return status;
}

static int update(emulsion_instance* instance, float learning_rate) {
    int status = check_gradients(instance);
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
    int status = emulsion_call_begin(instance);
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
    const emulsion_plan* plan = select_plan(instance, call);
    status = upload_inputs(instance, call);
    if (status == EMULSION_OK) status = emulsion_run_sequence(instance, &plan->forward);
    if (status == EMULSION_OK) status = download_outputs(instance, call);
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
