// See cuda_stand_in.h.
#include "tests/support/cuda_stand_in.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <regex>

namespace emulsion::test {

namespace {

CudaStandIn* stand_in;

char context_mark;

const char* name_of(int error) {
    switch (error) {
        case 1:
            return "CUDA_ERROR_INVALID_VALUE";
        case 2:
            return "CUDA_ERROR_OUT_OF_MEMORY";
        case 100:
            return "CUDA_ERROR_NO_DEVICE";
        case 218:
            return "CUDA_ERROR_INVALID_PTX";
        case 500:
            return "CUDA_ERROR_NOT_FOUND";
        case 719:
            return "CUDA_ERROR_LAUNCH_FAILED";
        default:
            return nullptr;
    }
}

std::byte* bytes_at(uint64_t address, size_t bytes) { return stand_in->bytes_at(address, bytes); }

// The bytes of a kernel's parameters, from the program's text.
std::vector<int> parameters_of(const std::string& program, const std::string& kernel) {
    const size_t begin = program.find(".entry " + kernel + "(");
    if (begin == std::string::npos) return {};
    const std::string text = program.substr(begin, program.find(')', begin) - begin);
    static const std::regex parameter(R"(\.param (?:\.align \d+ )?\.[a-z](\d+))");
    std::vector<int> bytes;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), parameter);
         it != std::sregex_iterator(); it++)
        bytes.push_back(std::stoi((*it)[1]) / 8);
    return bytes;
}

// Modules and functions are the texts and names that they come from.
struct Module {
    const void* text;
};

void set_devices(emulsion_cuda_driver& driver) {
    driver.init = [](unsigned) { return stand_in->answer("cuInit", false); };
    driver.error_name = [](int error, const char** name) {
        *name = name_of(error);
        return *name == nullptr ? 1 : 0;
    };
    driver.error_text = [](int error, const char** text) {
        *text = error == 2     ? "out of memory"
                : error == 100 ? "no CUDA-capable device is detected"
                : error == 719 ? "unspecified launch failure"
                               : nullptr;
        return *text == nullptr ? 1 : 0;
    };
    driver.device_count = [](int* count) {
        *count = stand_in->devices;
        return stand_in->answer("cuDeviceGetCount", false);
    };
    driver.device_get = [](int* device, int index) {
        *device = index;
        return stand_in->answer("cuDeviceGet", false);
    };
    driver.device_name = [](char* name, int bytes, int) {
        std::strncpy(name, stand_in->name.c_str(), static_cast<size_t>(bytes));
        return stand_in->answer("cuDeviceGetName", false);
    };
    driver.device_memory = [](size_t* bytes, int) {
        *bytes = stand_in->memory;
        return stand_in->answer("cuDeviceTotalMem", false);
    };
    driver.device_attribute = [](int* value, int name, int) {
        *value = name == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? stand_in->capability / 10
                                                                      : stand_in->capability % 10;
        return stand_in->answer("cuDeviceGetAttribute", false);
    };
    driver.context_retain = [](void** context, int) {
        const int answer = stand_in->answer("cuDevicePrimaryCtxRetain", false);
        *context = &context_mark;
        stand_in->live += answer == 0 ? 1 : 0;
        return answer;
    };
    driver.context_release = [](int) {
        stand_in->live--;
        return stand_in->answer("cuDevicePrimaryCtxRelease", false);
    };
    driver.context_push = [](void* context) {
        EXPECT_EQ(context, &context_mark);
        const int answer = stand_in->answer("cuCtxPushCurrent", false);
        stand_in->contexts_pushed += answer == 0 ? 1 : 0;
        return answer;
    };
    driver.context_pop = [](void** context) {
        *context = &context_mark;
        stand_in->contexts_pushed--;
        return stand_in->answer("cuCtxPopCurrent", false);
    };
    driver.stream_create = [](void** stream, unsigned flags) {
        EXPECT_EQ(flags, 1u);  // does not wait for the null stream
        const int answer = stand_in->answer("cuStreamCreate");
        if (answer == 0) *stream = stand_in->make_handle();
        return answer;
    };
    driver.stream_destroy = [](void* stream) {
        stand_in->drop_handle(stream);
        return stand_in->answer("cuStreamDestroy");
    };
    driver.stream_wait = [](void* stream) {
        EXPECT_TRUE(stand_in->has_handle(stream));
        return stand_in->answer("cuStreamSynchronize");
    };
    driver.event_create = [](void** event, unsigned flags) {
        EXPECT_EQ(flags, 2u);  // no times
        const int answer = stand_in->answer("cuEventCreate");
        if (answer == 0) *event = stand_in->make_handle();
        return answer;
    };
    driver.event_destroy = [](void* event) {
        stand_in->drop_handle(event);
        return stand_in->answer("cuEventDestroy");
    };
    driver.event_record = [](void* event, void* stream) {
        EXPECT_TRUE(stand_in->has_handle(event) && stand_in->has_handle(stream));
        return stand_in->answer("cuEventRecord");
    };
    driver.stream_wait_event = [](void* stream, void* event, unsigned flags) {
        EXPECT_TRUE(stand_in->has_handle(event) && stand_in->has_handle(stream));
        EXPECT_EQ(flags, 0u);
        return stand_in->answer("cuStreamWaitEvent");
    };
}

void set_memory(emulsion_cuda_driver& driver) {
    driver.memory_info = [](size_t* left, size_t* all) {
        *left = *all = stand_in->memory;
        for (const auto& [address, block] : stand_in->blocks) *left -= block.size();
        return stand_in->answer("cuMemGetInfo");
    };
    driver.memory_allocate = [](uint64_t* address, size_t bytes) {
        const int answer = stand_in->answer("cuMemAlloc");
        if (answer == 0) *address = stand_in->make_block(bytes);
        return answer;
    };
    driver.memory_free = [](uint64_t address) {
        stand_in->drop_block(address);
        return stand_in->answer("cuMemFree");
    };
    driver.memory_range = [](uint64_t* base, size_t* bytes, uint64_t address) {
        auto block = stand_in->blocks.upper_bound(address);
        if (bytes_at(address, 1) == nullptr) return 1;
        block--;
        *base = block->first;
        *bytes = block->second.size();
        return stand_in->answer("cuMemGetAddressRange");
    };
    driver.pointer_attribute = [](void* value, int name, uint64_t address) {
        if (bytes_at(address, 1) == nullptr) return 1;
        const void* source = name == CU_POINTER_ATTRIBUTE_MEMORY_TYPE
                                 ? static_cast<const void*>(&stand_in->memory_kind)
                             : name == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
                                 ? static_cast<const void*>(&stand_in->memory_device)
                                 : &stand_in->memory_context;
        std::memcpy(value, source, name == CU_POINTER_ATTRIBUTE_CONTEXT ? sizeof(void*) : 4);
        return stand_in->answer("cuPointerGetAttribute");
    };
    driver.memory_set = [](uint64_t address, unsigned char value, size_t bytes, void* stream) {
        EXPECT_TRUE(stand_in->has_handle(stream));
        std::byte* place = bytes_at(address, bytes);
        EXPECT_NE(place, nullptr);
        if (place != nullptr) std::memset(place, value, bytes);
        return stand_in->answer("cuMemsetD8Async");
    };
    driver.copy_in = [](uint64_t address, const void* host, size_t bytes, void* stream) {
        EXPECT_TRUE(stand_in->has_handle(stream));
        std::byte* place = bytes_at(address, bytes);
        EXPECT_NE(place, nullptr);
        if (place != nullptr) std::memcpy(place, host, bytes);
        return stand_in->answer("cuMemcpyHtoDAsync");
    };
    driver.copy_out = [](void* host, uint64_t address, size_t bytes, void* stream) {
        EXPECT_TRUE(stand_in->has_handle(stream));
        const std::byte* place = bytes_at(address, bytes);
        EXPECT_NE(place, nullptr);
        if (place != nullptr) std::memcpy(host, place, bytes);
        return stand_in->answer("cuMemcpyDtoHAsync");
    };
}

int launch(void* function, unsigned bx, unsigned by, unsigned bz, unsigned tx, unsigned ty,
           unsigned tz, unsigned shared, void* stream, void** arguments, void** extra) {
    EXPECT_EQ(extra, nullptr);
    const int answer = stand_in->answer("cuLaunchKernel");
    if (answer != 0) return answer;
    const char* name = static_cast<const char*>(function);
    std::vector<uint64_t> addresses;
    const std::vector<int>& parameters = stand_in->parameters.at(function);
    for (size_t i = 0; i < parameters.size(); i++) {
        if (parameters[i] != 8) continue;
        std::memcpy(&addresses.emplace_back(), arguments[i], 8);
    }
    stand_in->launches.push_back({name, {bx, by, bz}, {tx, ty, tz}, shared, stream, addresses});
    if (stand_in->on_launch) stand_in->on_launch(stand_in->launches.back(), arguments);
    auto kernel = stand_in->kernels.find(name);
    if (kernel != stand_in->kernels.end()) kernel->second(arguments);
    return 0;
}

void set_kernels(emulsion_cuda_driver& driver) {
    driver.module_load = [](void** module, const void* text, unsigned count, int* options,
                            void** values) {
        EXPECT_EQ(count, 2u);
        EXPECT_EQ(options[0], CU_JIT_ERROR_LOG_BUFFER);
        EXPECT_EQ(options[1], CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
        const int answer = stand_in->answer("cuModuleLoadDataEx");
        const auto bytes = reinterpret_cast<size_t>(values[1]);
        if (answer != 0) {
            std::strncpy(static_cast<char*>(values[0]), stand_in->log.c_str(), bytes);
            return answer;
        }
        *module = new Module{text};
        stand_in->programs.emplace_back(static_cast<const char*>(text));
        stand_in->live++;
        return 0;
    };
    driver.module_unload = [](void* module) {
        delete static_cast<Module*>(module);
        stand_in->live--;
        return stand_in->answer("cuModuleUnload");
    };
    driver.module_function = [](void** function, void* module, const char* name) {
        const char* text = static_cast<const char*>(static_cast<Module*>(module)->text);
        const std::string entry = std::string(".entry ") + name;
        if (std::strstr(text, entry.c_str()) == nullptr) return 500;
        *function = const_cast<char*>(name);
        stand_in->parameters[*function] = parameters_of(text, name);
        return stand_in->answer("cuModuleGetFunction");
    };
    driver.function_attribute = [](int* value, int name, void*) {
        EXPECT_EQ(name, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
        *value = stand_in->most_threads;
        return stand_in->answer("cuFuncGetAttribute");
    };
    driver.function_set = [](void* function, int name, int value) {
        EXPECT_EQ(name, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
        stand_in->shared_limits[function] = value;
        return stand_in->answer("cuFuncSetAttribute");
    };
    driver.launch = launch;
}

// The kernel of emulsion_cuda_test on the processor.
void test_finite(void** arguments) {
    uint64_t addresses[3];  // of the floats, the flag, the record
    uint32_t numbers[3];    // count, number of the test, whether the record begins
    for (int i = 0; i < 3; i++) {
        std::memcpy(&addresses[i], arguments[i == 0 ? 0 : i + 3], 8);
        std::memcpy(&numbers[i], arguments[i + 1], 4);
    }
    const auto [count, number, begins] = numbers;
    const std::byte* values = bytes_at(addresses[0], uint64_t{count} * 4);
    std::byte* flag = bytes_at(addresses[1], 4);
    std::byte* record = bytes_at(addresses[2], sizeof(emulsion_device_record));
    ASSERT_TRUE(values != nullptr && flag != nullptr && record != nullptr);
    if (begins != 0) std::memset(record, 0, sizeof(emulsion_device_record));
    uint32_t taken;
    std::memcpy(&taken, flag, 4);
    for (uint32_t i = 0; i < count && taken == 0; i++) {
        uint32_t bits;
        std::memcpy(&bits, values + uint64_t{4} * i, 4);
        if ((bits & 0x7f800000u) != 0x7f800000u) continue;
        const emulsion_device_record found = {number, UINT32_MAX - i};
        std::memcpy(record, &found, sizeof found);
        std::memcpy(flag, &number, sizeof number);
        return;
    }
}

// The kernel of emulsion_cuda_probe on the processor.
void probe(void** arguments) {
    uint64_t addresses[2];  // of what is touched, and of what is found
    uint32_t numbers[3];    // kind, bits, rounds
    float value;
    for (int i = 0; i < 2; i++) std::memcpy(&addresses[i], arguments[i], 8);
    for (int i = 0; i < 3; i++) std::memcpy(&numbers[i], arguments[i + 2], 4);
    std::memcpy(&value, arguments[5], 4);
    const auto [kind, bits, rounds] = numbers;
    const uint64_t count = uint64_t{4} << bits;
    auto* values = reinterpret_cast<float*>(bytes_at(addresses[0], 4 * count));
    auto* found = reinterpret_cast<float*>(bytes_at(addresses[1], EMULSION_PROBE_THREADS * 4));
    ASSERT_TRUE(values != nullptr && found != nullptr);
    if (kind == EMULSION_PROBE_WRITES) std::fill_n(values, count, value);
    if (kind == EMULSION_PROBE_READS) std::fill_n(found, EMULSION_PROBE_THREADS, 0.0f);
    for (uint64_t i = 0; kind == EMULSION_PROBE_READS && i < count; i++)
        found[i / 4 % EMULSION_PROBE_THREADS] += static_cast<float>(rounds) * values[i];
    for (int t = 0; kind == EMULSION_PROBE_MULTIPLY_ADDS && t < EMULSION_PROBE_THREADS; t++) {
        found[t] = t < 16 ? 0 : found[t - 16];
        for (int chain = 0; t < 16 && chain < 8; chain++) {
            float x = 2 + 65536 * static_cast<float>(t + chain);
            for (uint32_t step = 0; step < 16 * rounds; step++) x = x * value + (value + value);
            found[t] += x;
        }
    }
}

}  // namespace

CudaStandIn::CudaStandIn() {
    stand_in = this;
    set_devices(driver);
    set_memory(driver);
    set_kernels(driver);
    kernels["test_finite"] = test_finite;
    kernels["probe"] = probe;
    emulsion_cuda_stand_in = &driver;
}

void* CudaStandIn::make_handle() {
    handles.push_back(std::make_unique<int>());
    live++;
    return handles.back().get();
}

bool CudaStandIn::has_handle(void* handle) const {
    return std::any_of(handles.begin(), handles.end(),
                       [&](const auto& one) { return one.get() == handle; });
}

void CudaStandIn::drop_handle(void* handle) {
    EXPECT_EQ(std::erase_if(handles, [&](const auto& one) { return one.get() == handle; }), 1u);
    live--;
}

CudaStandIn::~CudaStandIn() {
    EXPECT_EQ(live, 0) << "what was made is given back";
    EXPECT_EQ(contexts_pushed, 0) << "the thread has its own context again";
    emulsion_cuda_stand_in = nullptr;
    stand_in = nullptr;
}

uint64_t CudaStandIn::make_block(size_t bytes) {
    Bytes block(bytes, std::byte{0x7E});
    const auto address = reinterpret_cast<uint64_t>(block.data());
    blocks.emplace(address, std::move(block));
    live++;
    return address;
}

void CudaStandIn::drop_block(uint64_t address) {
    EXPECT_EQ(blocks.erase(address), 1u);
    live--;
}

std::byte* CudaStandIn::bytes_at(uint64_t address, size_t bytes) {
    auto block = blocks.upper_bound(address);
    if (block == blocks.begin()) return nullptr;
    block--;
    const size_t offset = address - block->first;
    return offset + bytes <= block->second.size() ? block->second.data() + offset : nullptr;
}

int CudaStandIn::answer(const char* symbol, bool needs_context) {
    calls[symbol]++;
    sequence.emplace_back(symbol);
    EXPECT_TRUE(!needs_context || contexts_pushed > 0) << symbol << " has no context";
    auto found = failing.find(symbol);
    return found == failing.end() ? 0 : found->second;
}

}  // namespace emulsion::test
