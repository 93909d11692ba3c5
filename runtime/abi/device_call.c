/* What a call carries to a device and back: inputs, outputs, and what the tests for values that are
 * not finite have found. */
#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

int emulsion_device_upload_inputs(emulsion_instance* instance, const emulsion_call* call) {
    const emulsion_info* info = instance->library->info;
    for (int i = 0; i < info->input_count; i++) {
        const uint64_t samples = info->inputs[i].batched ? (uint64_t)call->samples : 1;
        instance->device->api->upload(instance->device, EMULSION_WORKSPACE,
                                      emulsion_device_slot(instance->library, instance->variant, i),
                                      call->inputs[i], info->inputs[i].bytes * samples);
    }
    return emulsion_device_check(instance, -1);
}

int emulsion_device_download_output(emulsion_instance* instance, const emulsion_call* call,
                                    int output) {
    const emulsion_info* info = instance->library->info;
    const emulsion_port* port = &info->outputs[output];
    const uint64_t samples = port->batched ? (uint64_t)call->samples : 1;
    const uint64_t slot =
        emulsion_device_slot(instance->library, instance->variant, info->input_count + output);
    instance->device->api->download(instance->device, EMULSION_WORKSPACE, slot,
                                    call->outputs[output], port->bytes * samples);
    return emulsion_device_check(instance, -1);
}

/* Numbers of tests: that of the loss, then those of the parts of the gradients in order. */
enum { kLossTest = 1, kGradientTests = 2 };

static uint64_t record_of(const emulsion_instance* instance) {
    const emulsion_info* info = instance->library->info;
    return emulsion_device_slot(instance->library, instance->variant,
                                info->input_count + info->output_count);
}

int emulsion_device_test_loss(emulsion_instance* instance) {
    const emulsion_library* library = instance->library;
    const int slot = library->info->input_count + library->loss_output;
    const emulsion_device_test test = {EMULSION_WORKSPACE,
                                       /*begins=*/1,
                                       emulsion_device_slot(library, instance->variant, slot),
                                       1,
                                       record_of(instance),
                                       kLossTest};
    instance->device->api->test(instance->device, &test);
    return emulsion_device_check(instance, -1);
}

int emulsion_device_test_gradients(emulsion_instance* instance) {
    const uint64_t count = instance->library->bytes[EMULSION_GRADIENTS] / sizeof(float);
    emulsion_device_test test = {EMULSION_GRADIENTS, 0, 0, 0, record_of(instance), kGradientTests};
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

int emulsion_device_take_record(emulsion_instance* instance, int* bad) {
    static const uint32_t down;
    const emulsion_device_api* api = instance->device->api;
    emulsion_device_record record = {0, 0};
    *bad = 0;
    api->download(instance->device, EMULSION_WORKSPACE, record_of(instance), &record,
                  sizeof record);
    if (record.number == 0) return emulsion_device_check(instance, -1);
    if (record.number == kLossTest) {
        *bad = -1;
    } else {
        const uint64_t part = (uint64_t)(record.number - kGradientTests) * EMULSION_DEVICE_TESTED;
        *bad = 1 + tensor_of(instance->library->info, part + (UINT32_MAX - record.before));
    }
    api->upload(instance->device, EMULSION_STATE, 0, &down, sizeof down);
    return emulsion_device_check(instance, -1);
}
