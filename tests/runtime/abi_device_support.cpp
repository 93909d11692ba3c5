// See abi_device_support.h.
#include "tests/runtime/abi_device_support.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <set>
#include <thread>

namespace emulsion::testing {

namespace {

struct FakeDevice {
    emulsion_device head{};
    std::vector<Block> blocks;  // of its own
    struct Arena {
        char* begin;
        std::uint64_t bytes;
    };
    std::array<Arena, EMULSION_CLASSES> arenas{};
    // What dry runs have launched, a kernel or a test, and its places.
    std::set<std::vector<std::uint64_t>> ready;
    // What downloads at each mark are from: offset and bytes, as a dry mark has said.
    std::array<std::pair<std::uint64_t, std::uint64_t>, EMULSION_DEVICE_MARKS> brought{};
    double busy = 0;  // seconds, until the next finish
};

FakeDevice* of(emulsion_device* device) { return reinterpret_cast<FakeDevice*>(device); }

// Whether this call of a function is the one to fail.
bool fails(const char* function) {
    FakeDevices& devices = fake_devices();
    return devices.failing == function && devices.passing-- <= 0 && devices.failures-- > 0;
}

void say(char text[EMULSION_DEVICE_TEXT], const char* function) {
    std::snprintf(text, EMULSION_DEVICE_TEXT, "the fake's %s fails", function);
}

// What a function answers: the first fault stays.
int answer(emulsion_device* device, const char* function) {
    if (device->error != 0) return device->error;
    if (!fails(function)) return 0;
    say(device->text, function);
    return device->error = -5;
}

// Whether a launch runs: one on places that no dry run has seen is refused.
bool launches(emulsion_device* device, const std::vector<std::uint64_t>& launch) {
    if (device->dry != 0) {
        of(device)->ready.insert(launch);
        return false;
    }
    if (of(device)->ready.count(launch) == 1) {
        device->launches++;
        return true;
    }
    std::strcpy(device->text, "a launch is not made ready");
    device->error = EMULSION_DEVICE_REFUSED;
    return false;
}

int count(char text[EMULSION_DEVICE_TEXT]) {
    if (fake_devices().count == 0) std::strcpy(text, "no fake is plugged in");
    return fake_devices().count;
}

int facts(int index, emulsion_device_facts* facts, char text[EMULSION_DEVICE_TEXT]) {
    *facts = fake_devices().facts;
    facts->is_software = index < fake_devices().software;
    if (!fails("facts")) return 0;
    say(text, "facts");
    return -5;
}

emulsion_device* open(int, void* context, char text[EMULSION_DEVICE_TEXT]);

void close(emulsion_device* device) {
    fake_devices().open--;
    delete of(device);
}

void begin_arena(emulsion_device* device, int memory_class, char* begin, std::uint64_t bytes) {
    FakeDevice::Arena& arena = of(device)->arenas[static_cast<std::size_t>(memory_class)];
    EXPECT_EQ(arena.begin, nullptr) << "a class has two arenas";
    arena = {begin, bytes};
    std::memset(begin, 0, bytes);
}

int adopt(emulsion_device* device, int memory_class, std::uint64_t block, std::uint64_t bytes) {
    if (const int error = answer(device, "adopt")) return error;
    begin_arena(device, memory_class, reinterpret_cast<char*>(block), bytes);
    return 0;
}

int allocate(emulsion_device* device, int memory_class, std::uint64_t bytes) {
    if (const int error = answer(device, "allocate")) return error;
    const Block& block = of(device)->blocks.emplace_back(bytes);
    begin_arena(device, memory_class, static_cast<char*>(block.get()), bytes);
    device->allocations++;
    device->allocated_bytes += bytes;
    return 0;
}

char* place(emulsion_device* device, int memory_class, std::uint64_t offset, std::uint64_t bytes) {
    const FakeDevice::Arena& arena = of(device)->arenas[static_cast<std::size_t>(memory_class)];
    EXPECT_LE(offset + bytes, arena.bytes) << "outside the arena of class " << memory_class;
    return arena.begin + offset;
}

std::uint64_t view(emulsion_device* device, int memory_class, std::uint64_t offset,
                   std::uint64_t bytes) {
    if (answer(device, "view") != 0) return 0;
    EXPECT_EQ(offset % EMULSION_DEVICE_ALIGNMENT, 0u);
    EXPECT_GT(bytes, 0u);
    return reinterpret_cast<std::uint64_t>(place(device, memory_class, offset, bytes));
}

int upload(emulsion_device* device, int memory_class, std::uint64_t offset, const void* host,
           std::uint64_t bytes) {
    if (const int error = answer(device, "upload")) return error;
    std::memcpy(place(device, memory_class, offset, bytes), host, bytes);
    device->uploads++;
    device->uploaded_bytes += bytes;
    return 0;
}

int download(emulsion_device* device, int memory_class, std::uint64_t offset, void* host,
             std::uint64_t bytes, int mark) {
    if (const int error = answer(device, "download")) return error;
    EXPECT_GE(mark, EMULSION_ALL_LAUNCHES);
    EXPECT_LT(mark, EMULSION_DEVICE_MARKS);
    fake_devices().waited.push_back(mark);
    if (mark >= 0) {
        const auto [begin, size] = of(device)->brought[static_cast<std::size_t>(mark)];
        EXPECT_EQ(memory_class, EMULSION_WORKSPACE);
        EXPECT_GE(offset, begin);
        EXPECT_LE(offset + bytes, begin + size);
    }
    std::memcpy(host, place(device, memory_class, offset, bytes), bytes);
    device->downloads++;
    device->downloaded_bytes += bytes;
    return 0;
}

int set_mark(emulsion_device* device, int mark, std::uint64_t offset, std::uint64_t bytes) {
    if (const int error = answer(device, "mark")) return error;
    place(device, EMULSION_WORKSPACE, offset, bytes);
    auto& brought = of(device)->brought[static_cast<std::size_t>(mark)];
    if (device->dry != 0) {
        brought = {offset, bytes};
        return 0;
    }
    EXPECT_EQ(brought, std::pair(offset, bytes)) << "a mark that is not made ready";
    fake_devices().marked.push_back(mark);
    return 0;
}

int finish(emulsion_device* device) {
    fake_devices().finishes++;
    std::this_thread::sleep_for(std::chrono::duration<double>(of(device)->busy));
    of(device)->busy = 0;
    return answer(device, "finish");
}

std::uint32_t& flag_of(emulsion_device* device) {
    return *reinterpret_cast<std::uint32_t*>(
        place(device, EMULSION_STATE, 0, sizeof(std::uint32_t)));
}

int test(emulsion_device* device, const emulsion_device_test* test) {
    if (const int error = answer(device, "test")) return error;
    const auto* values = reinterpret_cast<const float*>(
        place(device, test->memory_class, test->offset, 4 * test->count));
    auto& record = *reinterpret_cast<emulsion_device_record*>(
        place(device, EMULSION_WORKSPACE, test->record, sizeof(emulsion_device_record)));
    EXPECT_GE(test->count, 1u);
    EXPECT_TRUE(test->begins == 0 || test->count == 1);
    if (!launches(device, {reinterpret_cast<std::uint64_t>(values), test->count,
                           reinterpret_cast<std::uint64_t>(&record)}))
        return device->error;
    if (test->begins != 0) record = {0, 0};
    for (std::uint64_t i = 0; i < test->count && flag_of(device) == 0; i++) {
        if (std::isfinite(values[i])) continue;
        record = {test->number, UINT32_MAX - static_cast<std::uint32_t>(i)};
        flag_of(device) = test->number;
    }
    return 0;
}

int probe(emulsion_device* device, const emulsion_device_probe* probe) {
    if (const int error = answer(device, "probe")) return error;
    constexpr double kOperations = 2.0 * int{EMULSION_PROBE_ADDS} * int{EMULSION_PROBE_THREADS};
    const double bytes = std::ldexp(16.0 * probe->rounds, static_cast<int>(probe->bits));
    place(device, EMULSION_WORKSPACE, 0, std::uint64_t{16} << probe->bits);
    place(device, EMULSION_STATE, 0, EMULSION_PROBE_THREADS * sizeof(float));
    if (device->dry != 0) return 0;
    device->launches++;
    const FakeDevices& fake = fake_devices();
    if (probe->kind == EMULSION_PROBE_MULTIPLY_ADDS)
        of(device)->busy += kOperations * probe->rounds / fake.peak;
    if (probe->kind == EMULSION_PROBE_READS) of(device)->busy += bytes / fake.read;
    if (probe->kind == EMULSION_PROBE_WRITES) of(device)->busy += bytes / fake.write;
    return 0;
}

const emulsion_device_api kApi = {.name = "fake",
                                  .count = count,
                                  .facts = facts,
                                  .open = open,
                                  .close = close,
                                  .allocate = allocate,
                                  .adopt = adopt,
                                  .view = view,
                                  .upload = upload,
                                  .download = download,
                                  .mark = set_mark,
                                  .finish = finish,
                                  .test = test,
                                  .probe = probe,
                                  .needs_context = 0};

emulsion_device* open(int, void* context, char text[EMULSION_DEVICE_TEXT]) {
    fake_devices().context = context;
    if (fails("open")) {
        say(text, "open");
        return nullptr;
    }
    auto* device = new FakeDevice;
    device->head.api = &kApi;
    fake_devices().open++;
    return &device->head;
}

// ---- Kernels ----

float* at(const emulsion_instance* instance, Buffer buffer) {
    EXPECT_EQ(instance->descriptors[buffer].host, nullptr);
    return reinterpret_cast<float*>(instance->descriptors[buffer].device);
}

// Whether a launch of a kernel on these buffers runs.
bool launches(const emulsion_instance* instance, emulsion_kernel kernel,
              const std::vector<Buffer>& buffers) {
    EXPECT_EQ(instance->workers->instance, instance);
    if (answer(instance->device, "launch") != 0) return false;
    std::vector<std::uint64_t> launch{reinterpret_cast<std::uint64_t>(kernel)};
    for (Buffer buffer : buffers)
        launch.push_back(reinterpret_cast<std::uint64_t>(at(instance, buffer)));
    return launches(instance->device, launch);
}

int forward(emulsion_instance* instance) {
    if (!launches(instance, forward, {kX, kW, kY, kLoss})) return 0;
    float all = 0;
    for (int n = 0; n < instance->samples; n++) {
        float sum = 0;
        for (int c = 0; c < kWidth; c++)
            sum += at(instance, kX)[n * kWidth + c] * at(instance, kW)[c];
        all += at(instance, kY)[n] = sum;
    }
    *at(instance, kLoss) = all / static_cast<float>(instance->samples);
    return 0;
}

int backward(emulsion_instance* instance) {
    if (!launches(instance, backward, {kX, kGradient})) return 0;
    for (int c = 0; c < kWidth; c++) {
        float sum = 0;
        for (int n = 0; n < instance->samples; n++) sum += at(instance, kX)[n * kWidth + c];
        at(instance, kGradient)[c] = sum / static_cast<float>(instance->samples);
    }
    return 0;
}

int update(emulsion_instance* instance) {
    if (!launches(instance, update, {kW, kGradient}) || flag_of(instance->device) != 0) return 0;
    for (int c = 0; c < kWidth; c++)
        at(instance, kW)[c] -= instance->learning_rate * at(instance, kGradient)[c];
    return 0;
}

int prepare(emulsion_instance* instance) {
    launches(instance, prepare, {});
    return 0;
}

}  // namespace

FakeDevices& fake_devices() {
    static FakeDevices devices;
    return devices;
}

FakeDeviceLibrary::FakeDeviceLibrary()
    : kernels{testing::forward, testing::backward, testing::update, testing::prepare},
      device_plan(plan) {
    fake_devices() = {};
    device_plan.forward.kernels = &kernels[0];
    device_plan.backward.kernels = &kernels[1];
    buffers[kActivations].offset = 0;  // as a plan for devices aligns
    variants[1] = variants[0];
    variants[1].cpu = UINT32_MAX;
    variants[1].activation_bytes = 1000;
    variants[1].slab0_bytes = variants[1].slab_bytes = 0;
    variants[1].plans = &device_plan;
    variants[1].update = {&kernels[2], 1, 2};
    variants[1].prepare = {&kernels[3], 1, 3};
    variants[1].device = &kApi;
    variant_names[1] = "fake";
    info.variant_count = library.variant_count = 2;
}

DeviceNetwork::DeviceNetwork(const char* device)
    : x_(kBatch * kWidth * sizeof(float)),
      y_(kBatch * sizeof(float)),
      loss_(sizeof(float)),
      call_inputs_{x_.get()},
      call_outputs_{y_.get(), loss_.get()} {
    emulsion_library_sizes(&fake.library, 1, &memory.sizes);
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        blocks_.emplace_back(memory.sizes.bytes[i]);
        memory.block[i] = blocks_.back().get();
    }
    options.threads = 1;
    options.device = device;
    for (int i = 0; i < kBatch * kWidth; i++) inputs()[i] = 0.1f * static_cast<float>(i % 23) - 1;
}

DeviceNetwork::~DeviceNetwork() { unbind(); }

int DeviceNetwork::init(std::uint64_t seed) {
    return emulsion_library_init(&fake.library, seed, &memory);
}
int DeviceNetwork::bind() {
    return emulsion_library_bind(&fake.library, instance(), &memory, &options);
}
int DeviceNetwork::upload() {
    const int status = upload(EMULSION_PARAMETERS);
    return status == EMULSION_OK ? upload(EMULSION_STATE) : status;
}
int DeviceNetwork::upload(int memory_class) {
    return emulsion_library_upload(&fake.library, instance(), memory_class);
}
int DeviceNetwork::download(int memory_class) {
    return emulsion_library_download(&fake.library, instance(), memory_class);
}
int DeviceNetwork::prepare() { return emulsion_library_prepare(&fake.library, instance()); }
int DeviceNetwork::step(int samples) {
    const emulsion_call call = call_of(samples);
    return emulsion_library_step(&fake.library, instance(), &call, 0.1f);
}
int DeviceNetwork::forward_backward(int samples) {
    const emulsion_call call = call_of(samples);
    return emulsion_library_forward_backward(&fake.library, instance(), &call);
}
int DeviceNetwork::update() { return emulsion_library_update(&fake.library, instance(), 0.1f); }
int DeviceNetwork::run(int samples) {
    const emulsion_call call = call_of(samples);
    return emulsion_library_run(&fake.library, instance(), &call);
}
int DeviceNetwork::wait() { return emulsion_library_wait(&fake.library, instance()); }
int DeviceNetwork::unbind() { return emulsion_library_unbind(&fake.library, instance()); }

void DeviceNetwork::begin() {
    ASSERT_EQ(init(), EMULSION_OK);
    ASSERT_EQ(bind(), EMULSION_OK) << error();
    ASSERT_EQ(upload(), EMULSION_OK) << error();
}

std::string DeviceNetwork::error() const {
    return emulsion_library_error(&fake.library, instance());
}
emulsion_instance* DeviceNetwork::instance() const {
    return static_cast<emulsion_instance*>(memory.block[EMULSION_INSTANCE]);
}

}  // namespace emulsion::testing
