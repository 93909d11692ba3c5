/* Calls on a device: what they carry there and back, and what their tests for values that are not
 * finite have found. A call may be under way while the next one is launched: each has a set of
 * slots of its own. */
#define _GNU_SOURCE
#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

static uint64_t slot_of(const emulsion_instance* instance, int set, int number) {
    return emulsion_device_slot(instance->library, instance->variant, set, number);
}

int emulsion_device_free_set(const emulsion_instance* instance) {
    return instance->under_way.call == EMULSION_NO_CALL ? 0 : 1 - instance->under_way.set;
}

/* Nobody uses the slots: the call that did is through. */
int emulsion_device_upload_inputs(emulsion_instance* instance, const emulsion_call* call, int set) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->input_count; i++) {
        const uint64_t samples = info->inputs[i].batched ? (uint64_t)call->samples : 1;
        instance->device->api->upload(instance->device, EMULSION_WORKSPACE,
                                      slot_of(instance, set, i), call->inputs[i],
                                      info->inputs[i].bytes * samples);
    }
    return emulsion_device_check(instance, -1);
}

/* Outputs and, in training, the record lie side by side. */
int emulsion_device_mark(emulsion_instance* instance, int set) {
    const uint64_t begin = slot_of(instance, set, instance->library->info->input_count);
    instance->device->api->mark(instance->device, set, begin,
                                slot_of(instance, set + 1, 0) - begin);
    return emulsion_device_check(instance, -1);
}

static int download_outputs(emulsion_instance* instance, const emulsion_under_way* call) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->output_count; i++) {
        const emulsion_port* port = &info->outputs[i];
        const uint64_t samples = port->batched ? (uint64_t)call->samples : 1;
        instance->device->api->download(instance->device, EMULSION_WORKSPACE,
                                        slot_of(instance, call->set, info->input_count + i),
                                        call->outputs[i], port->bytes * samples, call->set);
    }
    return emulsion_device_check(instance, -1);
}

/* Tests. */

/* Numbers of tests in a set: that of the loss, then those of the parts of the gradients in order.
 */
enum { kLossTest = 1, kGradientTests = 2, kTestsOfSet = 1 << 16 };

static uint64_t record_of(const emulsion_instance* instance, int set) {
    const emulsion_info* info = instance->library->info;
    return slot_of(instance, set, info->input_count + info->output_count);
}

int emulsion_device_test_loss(emulsion_instance* instance, int set) {
    const emulsion_library* library = instance->library;
    const int slot = library->info->input_count + library->loss_output;
    const emulsion_device_test test = {EMULSION_WORKSPACE,
                                       /*begins=*/1,
                                       slot_of(instance, set, slot),
                                       1,
                                       record_of(instance, set),
                                       (uint32_t)(set * kTestsOfSet + kLossTest)};
    instance->device->api->test(instance->device, &test);
    return emulsion_device_check(instance, -1);
}

int emulsion_device_test_gradients(emulsion_instance* instance, int set) {
    const uint64_t count = instance->library->bytes[EMULSION_GRADIENTS] / sizeof(float);
    emulsion_device_test test = {EMULSION_GRADIENTS,
                                 0,
                                 0,
                                 0,
                                 record_of(instance, set),
                                 (uint32_t)(set * kTestsOfSet + kGradientTests)};
    for (uint64_t at = 0; at < count; at += test.count) {
        const uint64_t left = count - at;
        test.offset = at * sizeof(float);
        test.count = left < EMULSION_DEVICE_TESTED ? left : EMULSION_DEVICE_TESTED;
        instance->device->api->test(instance->device, &test);
        test.number++;
    }
    return emulsion_device_check(instance, -1);
}

/* The trained tensor with this float among its gradient's. */
static int tensor_of(const emulsion_info* info, uint64_t index) {
    int found = 0;
    for (int i = 0; i < info->tensor_count; i++) {
        const emulsion_tensor* tensor = &info->tensors[i];
        if (tensor->trained && index * sizeof(float) >= tensor->gradient_offset) found = i;
    }
    return found;
}

/* Lowers the flag, behind all that is launched and has changed nothing for it, and says why it was
 * up. */
static int fail(emulsion_instance* instance, const emulsion_under_way* call,
                const emulsion_device_record* record) {
    static const uint32_t down;
    const emulsion_device_api* api = instance->device->api;
    api->finish(instance->device);
    api->upload(instance->device, EMULSION_STATE, 0, &down, sizeof down);
    const int status = emulsion_device_check(instance, -1);
    if (status != EMULSION_OK) return status;
    emulsion_keep_gradients(instance, EMULSION_NOT_FINITE, call->seed, call->step);
    const uint32_t number = record->number - (uint32_t)(call->set * kTestsOfSet);
    if (number == kLossTest)
        return emulsion_fail_loss(instance, call->outputs, call->samples, call->step);
    const uint64_t part = (uint64_t)(number - kGradientTests) * EMULSION_DEVICE_TESTED;
    return emulsion_fail_gradient(
        instance, tensor_of(instance->library->info, part + (UINT32_MAX - record->before)),
        call->step);
}

/* Under way and through. */

/* A step that is not made is not counted. A state that init or a checkpoint has changed meanwhile
 * stays as it is. */
static void take_back(emulsion_instance* instance, const emulsion_under_way* call) {
    uint64_t* head = (uint64_t*)instance->block[EMULSION_STATE];
    if (call->call != EMULSION_STEP) return;
    if (head[0] == instance->device_seed && head[1] == instance->device_step) head[1]--;
    instance->device_step--;
}

static int bring(emulsion_instance* instance, const emulsion_under_way* call) {
    emulsion_device_record record = {0, 0};
    int status = download_outputs(instance, call);
    if (status != EMULSION_OK || call->call == EMULSION_RUN) return status;
    instance->device->api->download(instance->device, EMULSION_WORKSPACE,
                                    record_of(instance, call->set), &record, sizeof record,
                                    call->set);
    status = emulsion_device_check(instance, -1);
    if (status == EMULSION_OK && record.number != 0) return fail(instance, call, &record);
    if (status == EMULSION_OK && call->call == EMULSION_FORWARD_BACKWARD)
        emulsion_keep_gradients(instance, EMULSION_OK, call->seed, call->step);
    return status;
}

int emulsion_device_settle(emulsion_instance* instance) {
    const emulsion_under_way call = instance->under_way;
    if (call.call == EMULSION_NO_CALL) return EMULSION_OK;
    instance->under_way.call = EMULSION_NO_CALL;
    const int status = bring(instance, &call);
    if (status != EMULSION_OK) take_back(instance, &call);
    return status;
}

int emulsion_device_call_end(emulsion_instance* instance, const emulsion_call* call, int set,
                             int kind) {
    int status = emulsion_device_mark(instance, set);
    if (status == EMULSION_OK) status = emulsion_device_settle(instance);
    if (status != EMULSION_OK) return status;
    emulsion_under_way own = {kind, set, call->samples, 0, 0, call->outputs};
    uint64_t* head = (uint64_t*)instance->block[EMULSION_STATE];
    if (kind != EMULSION_RUN) {
        own.seed = head[0];
        own.step = head[1];
        instance->gradients = EMULSION_NOT_READY; /* those of the call before are gone */
    }
    if (kind == EMULSION_STEP) {
        head[1]++;
        instance->device_step++;
    }
    instance->under_way = own;
    return call->later ? EMULSION_OK : emulsion_device_settle(instance);
}

static int wait_for_call(emulsion_instance* instance) {
    const int status = emulsion_check_alive(instance);
    if (status != EMULSION_OK) return status;
    instance->status = EMULSION_OK;
    return instance->device == NULL ? EMULSION_OK : emulsion_device_settle(instance);
}

int emulsion_library_wait(const emulsion_library* library, void* block) {
    const int entered = emulsion_enter(library, block);
    if (entered != EMULSION_OK) return entered;
    emulsion_instance* instance = (emulsion_instance*)block;
    return emulsion_leave(instance, wait_for_call(instance));
}
