// The devices of the library written by hand: memory of their own, which the host sees by upload
// and download alone, and faults to order.
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "tests/support/fake_memory.h"

namespace emulsion {

namespace {

constexpr uint64_t kHeaderBytes = 64;  // of the state, which stay the host's
constexpr uint32_t kBoth = 1u << EMULSION_PARAMETERS | 1u << EMULSION_STATE;

void copy_text(char* to, const std::string& text) { std::strncpy(to, text.c_str(), 255); }

int lose(FakeInstance* instance) {
    instance->error = "device opencl:0 (Fake): clFinish: the fake device is lost";
    return EMULSION_DEVICE_ERROR;
}

}  // namespace

int fake_device(int index, const emulsion_sizes& sizes, emulsion_device_description* description) {
    const FakeNetwork& network = fake().network;
    const auto count = static_cast<int>(network.devices.size());
    *description = {};
    if (!network.has_device_variant) {
        copy_text(description->problem, "the library has no variant for devices");
        return EMULSION_INVALID_ARGUMENT;
    }
    const char* hidden = std::getenv("EMULSION_NO_DEVICE");
    if (hidden != nullptr && *hidden != '\0') {
        copy_text(description->problem, "EMULSION_NO_DEVICE is set");
        return EMULSION_INVALID_ARGUMENT;
    }
    if (index >= count) {
        copy_text(description->problem,
                  count > 0 ? "there are no more devices" : "the fake has no driver");
        return EMULSION_INVALID_ARGUMENT;
    }
    description->interface = "opencl";
    description->index = index;
    description->is_software = index < network.software_devices;
    description->memory_bytes = network.device_bytes;
    description->largest_batch = network.largest_batch;
    std::memcpy(description->device_bytes, sizes.device_bytes, sizeof sizes.device_bytes);
    description->device_bytes[EMULSION_WORKSPACE] -= network.elsewhere_bytes;
    copy_text(description->name, network.devices[static_cast<size_t>(index)]);
    return EMULSION_OK;
}

int fake_speed(int index, emulsion_device_speed* speed) {
    *speed = {};
    if (fake().hooks.has_no_speed) {
        copy_text(speed->problem, "the fake has no room");
        return EMULSION_DEVICE_ERROR;
    }
    speed->peak = 1e12 * (index + 1);
    speed->launch = 5e-6;
    speed->bandwidth_count = 2;
    speed->bandwidth[0] = {4 << 20, 3e12, 2e12};
    speed->bandwidth[1] = {16 << 20, 4e11, 3e11};
    return EMULSION_OK;
}

int open_fake_device(FakeInstance* instance, const emulsion_sizes& sizes, const char* device) {
    instance->uploaded = 0;
    instance->is_under_way = false;
    instance->is_on_device = device != nullptr && std::string_view(device) != "cpu";
    if (!instance->is_on_device) return EMULSION_OK;
    for (int c : {EMULSION_GRADIENTS, EMULSION_PREPARED, EMULSION_WORKSPACE}) {
        if (instance->host.block[c] == nullptr) continue;
        instance->error = "the fake was given memory of the host that a device leaves alone";
        return EMULSION_INVALID_ARGUMENT;
    }
    for (int c = 0; c < EMULSION_INSTANCE; c++)
        instance->memory.block[c] = std::calloc(1, sizes.device_bytes[c] + 1);
    return EMULSION_OK;
}

void close_fake_device(FakeInstance* instance) {
    if (!instance->is_on_device) return;
    for (int c = 0; c < EMULSION_INSTANCE; c++) std::free(instance->memory.block[c]);
    instance->is_on_device = false;
}

int check_fake_device(FakeInstance* instance) {
    if (!instance->is_on_device) return EMULSION_OK;
    const auto* counts = static_cast<const uint64_t*>(instance->host.block[EMULSION_STATE]);
    if (static_cast<int64_t>(counts[1]) + 1 == fake().hooks.lost_step) return lose(instance);
    if (instance->uploaded == kBoth) return EMULSION_OK;
    instance->error = "the fake device lacks parameters or state";
    return EMULSION_NOT_READY;
}

void keep_fake_outputs(FakeInstance* instance, const emulsion_call& call) {
    for (int i = 0; i < fake().train.output_count; i++)
        instance->outputs_before[i] = *static_cast<const float*>(call.outputs[i]);
}

int end_fake_step(FakeInstance* instance, const emulsion_call& call, int status) {
    const bool has_ended = status == EMULSION_OK || status == EMULSION_NOT_FINITE;
    if (!instance->is_on_device || call.later == 0 || !has_ended) return status;
    instance->is_under_way = true;
    instance->later_status = status;
    instance->outputs = call.outputs;
    for (int i = 0; i < fake().train.output_count; i++) {
        auto* output = static_cast<float*>(call.outputs[i]);
        instance->later_outputs[i] = *output;
        *output = instance->outputs_before[i];
    }
    return EMULSION_OK;
}

int fake_wait(void* block) {
    auto* instance = static_cast<FakeInstance*>(block);
    if (!instance->is_under_way) return EMULSION_OK;
    instance->is_under_way = false;
    for (int i = 0; i < fake().train.output_count; i++)
        *static_cast<float*>(instance->outputs[i]) = instance->later_outputs[i];
    return instance->later_status;
}

int fake_upload(void* block, int memory_class) {
    auto* instance = static_cast<FakeInstance*>(block);
    if (!instance->is_on_device) return EMULSION_OK;
    instance->uploaded |= 1u << memory_class;
    std::memcpy(instance->memory.block[memory_class], instance->host.block[memory_class],
                instance->host.sizes.bytes[memory_class]);
    return EMULSION_OK;
}

int fake_download(void* block, int memory_class) {
    auto* instance = static_cast<FakeInstance*>(block);
    if (!instance->is_on_device) return EMULSION_OK;
    if (const int status = fake_wait(block); status != EMULSION_OK) return status;
    if (++fake().downloads == fake().hooks.lost_download) return lose(instance);
    const uint64_t head = memory_class == EMULSION_STATE ? kHeaderBytes : 0;
    std::memcpy(static_cast<char*>(instance->host.block[memory_class]) + head,
                static_cast<const char*>(instance->memory.block[memory_class]) + head,
                instance->host.sizes.bytes[memory_class] - head);
    return EMULSION_OK;
}

}  // namespace emulsion
