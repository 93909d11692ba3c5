// The runtime of devices on a real driver, for machines that have nothing else: memory, copies,
// marks, views, the test for values that are not finite, the probe, and faults. Prints what is
// wrong, one line each.
//
// Usage: gpu_device_check cuda|opencl|vulkan [INDEX]      exit code 77: there is no such device
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "runtime/abi/device.h"

namespace {

constexpr uint64_t kFloats = (uint64_t{1} << 22) + 77;  // more than one of each launched thread

int faults = 0;

void expect(bool holds, const char* what, const char* text = "") {
    if (holds) return;
    std::printf("%s%s%s\n", what, *text != '\0' ? ": " : "", text);
    faults++;
}

// Arenas begin as zeros, and keep what they are given.
void check_copies(const emulsion_device_api& api, emulsion_device* device) {
    std::vector<float> values(kFloats, 1), again(kFloats, 2);
    const uint64_t bytes = 4 * kFloats;
    expect(api.allocate(device, EMULSION_GRADIENTS, bytes) == 0, "no memory", device->text);
    expect(api.download(device, EMULSION_GRADIENTS, 0, values.data(), bytes,
                        EMULSION_ALL_LAUNCHES) == 0,
           "no download", device->text);
    expect(values == std::vector<float>(kFloats), "an arena does not begin as zeros");
    for (uint64_t i = 0; i < kFloats; i++) values[i] = std::ldexp(static_cast<float>(i), -20);
    expect(api.upload(device, EMULSION_GRADIENTS, 0, values.data(), bytes) == 0, "no upload",
           device->text);
    const float part[3] = {-1, -2, -3};
    std::memcpy(&values[4097], part, sizeof part);
    api.upload(device, EMULSION_GRADIENTS, uint64_t{4} * 4097, part, sizeof part);
    api.download(device, EMULSION_GRADIENTS, 0, again.data(), bytes, EMULSION_ALL_LAUNCHES);
    expect(again == values, "what was uploaded comes back changed");
    expect(device->allocated_bytes == bytes, "other bytes are counted");
    expect(api.view(device, EMULSION_GRADIENTS, 512, 64) != 0, "no view", device->text);
}

int64_t first_not_finite(const emulsion_device_api& api, emulsion_device* device, uint64_t begin,
                         uint64_t count) {
    const uint32_t down = 0;
    emulsion_device_record record{};
    api.upload(device, EMULSION_STATE, 0, &down, sizeof down);
    api.upload(device, EMULSION_WORKSPACE, 0, &record, sizeof record);
    for (uint32_t number : {3, 4}) {  // the second one finds the flag up, or nothing again
        const emulsion_device_test test = {EMULSION_GRADIENTS, 0, 4 * begin, count, 0, number};
        api.test(device, &test);
    }
    expect(api.mark(device, 0, 0, sizeof record) == 0, "no mark", device->text);
    api.download(device, EMULSION_WORKSPACE, 0, &record, sizeof record, 0);
    return record.number == 3 ? static_cast<int64_t>(UINT32_MAX - record.before) : -1;
}

// The arena holds finite values.
void check_not_finite(const emulsion_device_api& api, emulsion_device* device) {
    for (int memory_class : {EMULSION_STATE, EMULSION_WORKSPACE})
        expect(api.allocate(device, memory_class, 512) == 0, "no memory", device->text);
    expect(first_not_finite(api, device, 0, kFloats) == -1, "a finite value is taken for none",
           device->text);
    for (uint64_t at : {kFloats - 1, uint64_t{3000001}, uint64_t{12345}, uint64_t{0}}) {
        const float value = at % 2 == 0 ? INFINITY : NAN;
        api.upload(device, EMULSION_GRADIENTS, 4 * at, &value, sizeof value);
        for (int again = 0; again < 3; again++) {
            expect(first_not_finite(api, device, 0, kFloats) == static_cast<int64_t>(at),
                   "another value is taken for the first that is not finite");
        }
    }
    expect(first_not_finite(api, device, 128, 12345 - 128) == -1, "a value outside is tested");
    expect(first_not_finite(api, device, 128, kFloats - 128) == 12345 - 128, "a part is wrong");
    expect(api.finish(device) == 0, "launches fail", device->text);
}

// The probe writes and reads all values, and computes the same in threads that begin alike.
void check_probe(const emulsion_device_api& api, int index) {
    constexpr uint32_t kBits = 20;
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = api.open(index, nullptr, text);
    expect(device != nullptr, "it opens no second time", text);
    if (device == nullptr) return;
    std::vector<float> found(EMULSION_PROBE_THREADS), values(uint64_t{4} << kBits);
    const auto run = [&](int kind, uint32_t rounds, float value) {
        const emulsion_device_probe probe = {kind, kBits, rounds, value};
        expect(api.probe(device, &probe) == 0, "no probe", device->text);
        api.download(device, EMULSION_STATE, 0, found.data(), 4 * found.size(),
                     EMULSION_ALL_LAUNCHES);
    };
    api.allocate(device, EMULSION_STATE, 4 * found.size());
    api.allocate(device, EMULSION_WORKSPACE, 4 * values.size());
    run(EMULSION_PROBE_WRITES, 2, 0.25f);
    api.download(device, EMULSION_WORKSPACE, 0, values.data(), 4 * values.size(),
                 EMULSION_ALL_LAUNCHES);
    expect(values == std::vector<float>(values.size(), 0.25f), "the probe leaves values out");
    run(EMULSION_PROBE_READS, 3, 0);
    double sum = 0;
    for (const float each : found) sum += each;
    expect(sum == 0.75 * static_cast<double>(values.size()), "the probe reads other values");
    run(EMULSION_PROBE_MULTIPLY_ADDS, 8, 0.5f);
    for (size_t i = 0; i < found.size(); i++) {
        if (found[i] >= 16 && found[i] == found[i % 16]) continue;
        expect(false, "the probe computes something else");
        break;
    }
    api.close(device);
}

// A second device works in a part of the first one's arena, as in memory of a caller, and leaves
// it. By CUDA alone views are addresses that stand for memory.
void check_callers_memory(const emulsion_device_api& api, emulsion_device* device, int index) {
    if (std::strcmp(api.name, "cuda") != 0) return;
    char text[EMULSION_DEVICE_TEXT] = "";
    float values[3] = {1, 2, 3}, zeros[3] = {4, 5, 6};
    const uint64_t block = api.view(device, EMULSION_GRADIENTS, 1024, 4096);
    for (const uint64_t at : {uint64_t{1024}, uint64_t{1024 + 4096}})
        api.upload(device, EMULSION_GRADIENTS, at, values, sizeof values);
    for (const bool is_sound : {true, false}) {
        emulsion_device* other = api.open(index, nullptr, text);
        expect(other != nullptr, "it opens no second time", text);
        if (other == nullptr) return;
        const int answer = api.adopt(other, EMULSION_STATE, is_sound ? block : block + 16, 4096);
        expect((answer == 0) == is_sound, "memory of the caller", other->text);
        if (is_sound) api.upload(other, EMULSION_STATE, 4, values, sizeof *values);
        api.close(other);
    }
    api.download(device, EMULSION_GRADIENTS, 1024, zeros, sizeof zeros, EMULSION_ALL_LAUNCHES);
    expect(zeros[0] == 0 && zeros[1] == 1 && zeros[2] == 0, "memory of the caller is not used");
    api.download(device, EMULSION_GRADIENTS, 1024 + 4096, zeros, sizeof zeros,
                 EMULSION_ALL_LAUNCHES);
    expect(std::memcmp(zeros, values, sizeof values) == 0, "memory behind a block is touched");
}

// A device with a fault keeps it; another one is not touched.
void check_faults(const emulsion_device_api& api, int index) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = api.open(index, nullptr, text);
    expect(device != nullptr, "it opens no second time", text);
    if (device == nullptr) return;
    expect(api.allocate(device, EMULSION_WORKSPACE, uint64_t{1} << 60) != 0,
           "2^60 bytes of memory");
    expect(std::strstr(device->text, "1152921504606846976 bytes") != nullptr, "no sentence",
           device->text);
    expect(api.allocate(device, EMULSION_STATE, 64) != 0, "a fault is forgotten");
    api.close(device);
    expect(api.open(9999, nullptr, text) == nullptr, "device 9999 opens");
    expect(std::strstr(text, ":9999") != nullptr, "no sentence", text);
}

}  // namespace

int main(int argc, char** argv) {
    const emulsion_device_api* found = nullptr;
    for (const emulsion_device_api* each : {&emulsion_cuda, &emulsion_opencl, &emulsion_vulkan})
        if (argc > 1 && std::strcmp(argv[1], each->name) == 0) found = each;
    if (found == nullptr) {
        std::fprintf(stderr, "usage: gpu_device_check cuda|opencl|vulkan [INDEX]\n");
        return 2;
    }
    const emulsion_device_api& api = *found;
    const int index = argc > 2 ? std::atoi(argv[2]) : 0;
    char text[EMULSION_DEVICE_TEXT] = "";
    if (api.count(text) == 0) {
        std::printf("%s\n", text);
        return 77;
    }
    emulsion_device_facts facts{};
    expect(api.facts(index, &facts, text) == 0, "no facts", text);
    expect(facts.memory_bytes > 0 && facts.largest_bytes > 0 && facts.name[0] != '\0', "no facts");
    for (int again = 0; again < 3 && faults == 0; again++) {
        emulsion_device* device = api.open(index, nullptr, text);
        expect(device != nullptr, "it does not open", text);
        if (device == nullptr) break;
        check_copies(api, device);
        check_not_finite(api, device);
        check_callers_memory(api, device, index);
        check_faults(api, index);
        check_probe(api, index);
        expect(device->error == 0, "a fault is left", device->text);
        api.close(device);
    }
    return faults == 0 ? 0 : 1;
}
