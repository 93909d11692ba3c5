// See device_harness.h.
#include "tests/support/device_harness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "compiler/graph/layout.h"
#include "tests/support/kernel_harness.h"

// What the kernels call.
extern "C" {
int halide_copy_to_device(void*, void*, const void*);
int halide_cuda_initialize_kernels(void*, void**, const char*, int);
int halide_cuda_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                    int8_t*);
void halide_cuda_finalize_kernels(void*, void*);
const void* halide_cuda_device_interface(void);
int halide_opencl_initialize_kernels(void*, void**, const char*, int);
int halide_opencl_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                      int8_t*);
void halide_opencl_finalize_kernels(void*, void*);
const void* halide_opencl_device_interface(void);
int halide_vulkan_initialize_kernels(void*, void**, const char*, int);
int halide_vulkan_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                      int8_t*);
void halide_vulkan_finalize_kernels(void*, void*);
const void* halide_vulkan_device_interface(void);
}

namespace emulsion::test {

namespace {

constexpr int kPattern = 0x7E;  // floats of these bytes are huge
constexpr size_t kGap = EMULSION_DEVICE_ALIGNMENT;

template <class F>
void* address_of(F* function) {
    return reinterpret_cast<void*>(function);
}

std::map<std::string, void*> runtime_symbols() {
    return {
        {"halide_copy_to_device", address_of(halide_copy_to_device)},
        {"halide_cuda_initialize_kernels", address_of(halide_cuda_initialize_kernels)},
        {"halide_cuda_run", address_of(halide_cuda_run)},
        {"halide_cuda_finalize_kernels", address_of(halide_cuda_finalize_kernels)},
        {"halide_cuda_device_interface", address_of(halide_cuda_device_interface)},
        {"halide_opencl_initialize_kernels", address_of(halide_opencl_initialize_kernels)},
        {"halide_opencl_run", address_of(halide_opencl_run)},
        {"halide_opencl_finalize_kernels", address_of(halide_opencl_finalize_kernels)},
        {"halide_opencl_device_interface", address_of(halide_opencl_device_interface)},
        {"halide_vulkan_initialize_kernels", address_of(halide_vulkan_initialize_kernels)},
        {"halide_vulkan_run", address_of(halide_vulkan_run)},
        {"halide_vulkan_finalize_kernels", address_of(halide_vulkan_finalize_kernels)},
        {"halide_vulkan_device_interface", address_of(halide_vulkan_device_interface)},
    };
}

std::vector<emulsion_dimension> shape_of(const std::vector<Dimension>& dimensions) {
    std::vector<emulsion_dimension> shape;
    for (const auto& [extent, stride] : dimensions)
        shape.push_back({0, static_cast<int32_t>(extent), static_cast<int32_t>(stride), 0});
    return shape;
}

}  // namespace

int64_t first_not_finite(emulsion_device* device, int memory_class, uint64_t begin,
                         uint64_t count) {
    const emulsion_device_api& api = *device->api;
    const uint32_t down = 0;
    emulsion_device_record record{};
    api.upload(device, EMULSION_STATE, 0, &down, sizeof down);
    api.upload(device, EMULSION_WORKSPACE, 0, &record, sizeof record);
    const emulsion_device_test test = {memory_class, 0, begin * 4, count, 0, 17};
    EXPECT_EQ(api.test(device, &test), 0) << device->text;
    api.download(device, EMULSION_WORKSPACE, 0, &record, sizeof record, EMULSION_ALL_LAUNCHES);
    if (record.number == 0) return -1;
    EXPECT_EQ(record.number, test.number);
    return UINT32_MAX - record.before;
}

namespace {

// A device with arenas of the probe, its answers checked.
class Probed {
  public:
    explicit Probed(const emulsion_device_api& api) : device_(api) {
        allocate(EMULSION_STATE, EMULSION_PROBE_THREADS * sizeof(float));
        allocate(EMULSION_WORKSPACE, kValues * sizeof(float));
    }

    // What the threads have found.
    std::vector<float> run(int kind, uint32_t rounds, float value) {
        const emulsion_device_probe probe = {kind, kBits, rounds, value};
        EXPECT_EQ(device_.api().probe(device_.get(), &probe), 0) << device_->text;
        return floats(EMULSION_STATE, EMULSION_PROBE_THREADS);
    }
    std::vector<float> values() { return floats(EMULSION_WORKSPACE, kValues); }
    void set_values(const std::vector<float>& values) {
        device_.api().upload(device_.get(), EMULSION_WORKSPACE, 0, values.data(),
                             kValues * sizeof(float));
    }
    OpenDevice& device() { return device_; }

    static constexpr uint32_t kBits = 19;
    static constexpr size_t kValues = size_t{4} << kBits;

  private:
    void allocate(int memory_class, uint64_t bytes) {
        EXPECT_EQ(device_.api().allocate(device_.get(), memory_class, bytes), 0) << device_->text;
    }
    std::vector<float> floats(int memory_class, size_t count) {
        std::vector<float> values(count);
        device_.api().download(device_.get(), memory_class, 0, values.data(), count * sizeof(float),
                               EMULSION_ALL_LAUNCHES);
        return values;
    }

    OpenDevice device_;
};

// Chain k of thread t begins at 2 + 65536 (t % 16 + k), and each step halves what is above 2.
float sum_of_chains(int thread, int chains, int steps) {
    const int above = chains * (thread % 16) + chains * (chains - 1) / 2;
    return 2.0f * static_cast<float>(chains) + std::ldexp(static_cast<float>(above), 16 - steps);
}

}  // namespace

void expect_probes(const emulsion_device_api& api, int steps) {
    Probed probed(api);
    const int chains = EMULSION_PROBE_ADDS / steps;
    for (int all_steps : {16, 32}) {
        const std::vector<float> found = probed.run(EMULSION_PROBE_MULTIPLY_ADDS,
                                                    static_cast<uint32_t>(all_steps / steps), 0.5f);
        int wrong = 0;
        for (int t = 0; t < EMULSION_PROBE_THREADS; t++)
            wrong += found[static_cast<size_t>(t)] != sum_of_chains(t, chains, all_steps);
        EXPECT_EQ(wrong, 0) << "of so many steps: " << all_steps;
    }
    const std::vector<float> before = probed.run(EMULSION_PROBE_WRITES, 1, 1.5f);
    EXPECT_EQ(probed.values(), std::vector<float>(Probed::kValues, 1.5f));
    EXPECT_EQ(probed.run(EMULSION_PROBE_NOTHING, 3, 7), before);
    EXPECT_EQ(probed.values(), std::vector<float>(Probed::kValues, 1.5f));
    std::vector<float> values(Probed::kValues);
    for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<float>(i % 61);
    probed.set_values(values);
    const std::vector<float> found = probed.run(EMULSION_PROBE_READS, 3, 0);
    EXPECT_EQ(std::accumulate(found.begin(), found.end(), 0.0),
              3 * std::accumulate(values.begin(), values.end(), 0.0));
    OpenDevice& device = probed.device();
    EXPECT_EQ(device->programs + device->kernels, api.name == std::string("vulkan") ? 1u : 2u);
    EXPECT_EQ(device->launches, 5u);
    const emulsion_device_probe beyond = {EMULSION_PROBE_READS, Probed::kBits, 2049, 0};
    EXPECT_EQ(api.probe(device.get(), &beyond), EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(device->text,
                 "a probe of 2049 rounds over 2^19 values is asked for, but it is of at most 2^30 "
                 "in all");
}

bool has_device(const emulsion_device_api& api) {
    char text[EMULSION_DEVICE_TEXT];
    return api.count(text) > 0;
}

DeviceKernel::DeviceKernel(const Group& group, const CompiledKernel& compiled)
    : group_(group),
      object_(std::make_unique<LoadedObject>(compiled.object, runtime_symbols())),
      function_(object_->find(compiled.symbol)),
      types_(group.buffer_types()),
      scratch_(compiled.scratch) {
    if (function_ == nullptr)
        throw std::runtime_error("the object of a kernel lacks the symbol " + compiled.symbol);
}

OpenDevice::OpenDevice(const emulsion_device_api& api, int index, void* context)
    : instance_(std::make_unique<emulsion_instance>()) {
    char text[EMULSION_DEVICE_TEXT] = "";
    device_ = api.open(index, context, text);
    if (device_ == nullptr) throw std::runtime_error(text);
    instance_->device = device_;
    worker_.instance = instance_.get();
}

DeviceRun::DeviceRun(const DeviceKernel& kernel, const emulsion_device_api& api, int index)
    : kernel_(kernel), device_(api, index) {
    const auto add = [&](int64_t bytes, const std::vector<Dimension>& dimensions, uint32_t type) {
        offsets_.push_back(arena_bytes_);
        bytes_.push_back(static_cast<size_t>(bytes));
        arena_bytes_ += (bytes_.back() + 2 * kGap - 1) / kGap * kGap;  // with a gap behind it
        shapes_.push_back(shape_of(dimensions));
        emulsion_descriptor& descriptor = descriptors_.emplace_back();
        descriptor.type = type;
        descriptor.rank = static_cast<int32_t>(dimensions.size());
    };
    const Group& group = kernel.group();
    for (const TensorType& type : kernel.types())
        add(span_bytes(type, group.batch, 0), memory_dimensions(type, group.batch, 0),
            type_word(type.element));
    for (const Scratch& scratch : kernel.scratch())
        add(4 * scratch.elements(), dense_dimensions(scratch.extents), type_word(ElementType::f32));
    api.allocate(device_.get(), EMULSION_WORKSPACE, arena_bytes_);
    for (size_t i = 0; i < descriptors_.size(); i++) {
        descriptors_[i].dimensions = shapes_[i].data();
        descriptors_[i].device =
            api.view(device_.get(), EMULSION_WORKSPACE, offsets_[i], bytes_[i]);
    }
    check();
}

void DeviceRun::check() const {
    if (device_->error != 0) throw std::runtime_error(device_->text);
}

int DeviceRun::call(const reference::Sources& sources, int64_t samples) {
    std::vector<uint64_t> words = {reinterpret_cast<uint64_t>(device_.worker()),
                                   static_cast<uint64_t>(samples)};
    std::vector<float> numbers;
    for (const Node& node : kernel_.group().body.nodes()) {
        if (node.op->kind() != "scalar") continue;
        const double value = sources.at(node.name).values[0];
        if (node.types[0].element == ElementType::f32) {
            numbers.push_back(static_cast<float>(value));
        } else {
            words.push_back(static_cast<uint32_t>(static_cast<int64_t>(value)));
        }
    }
    for (emulsion_descriptor& descriptor : descriptors_)
        words.push_back(reinterpret_cast<uint64_t>(&descriptor));
    return call_kernel(kernel_.function(), std::move(words), std::move(numbers));
}

void DeviceRun::upload(const reference::Sources& sources) {
    std::vector<std::byte> arena(arena_bytes_, std::byte{kPattern});
    size_t i = 0;
    for (const Node& node : kernel_.group().body.nodes()) {
        if (node.op->kind() != "input") continue;
        const std::vector<std::byte> bytes = reference::pack(sources.at(node.name));
        std::memcpy(arena.data() + offsets_[i++], bytes.data(), bytes.size());
    }
    device_.api().upload(device_.get(), EMULSION_WORKSPACE, 0, arena.data(), arena_bytes_);
}

std::vector<std::vector<std::byte>> DeviceRun::run(const reference::Sources& sources,
                                                   int64_t samples) {
    upload(sources);
    call(sources, samples);
    std::vector<std::byte> arena(arena_bytes_);
    device_.api().download(device_.get(), EMULSION_WORKSPACE, 0, arena.data(), arena_bytes_,
                           EMULSION_ALL_LAUNCHES);
    check();
    const std::vector<TensorType>& types = kernel_.types();
    const size_t results = kernel_.group().body.results().size();
    std::vector<std::vector<std::byte>> values;
    for (size_t i = 0; i < descriptors_.size(); i++) {
        const std::byte* begin = arena.data() + offsets_[i];
        const bool is_result = i < types.size() && i >= types.size() - results;
        const size_t written =
            is_result ? static_cast<size_t>(memory_bytes(types[i], samples)) : bytes_[i];
        if (is_result) values.emplace_back(begin, begin + written);
        const std::byte* end =
            arena.data() + (i + 1 < offsets_.size() ? offsets_[i + 1] : arena_bytes_);
        EXPECT_TRUE(std::all_of(begin + written, end,
                                [](std::byte value) { return value == std::byte{kPattern}; }))
            << "something was written behind buffer " << i;
    }
    return values;
}

}  // namespace emulsion::test
