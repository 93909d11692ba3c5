// Devices of CUDA against a stand-in for the driver: what is asked of it, and what is said when it
// is missing, refuses or fails.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "tests/support/cuda_stand_in.h"
#include "tests/support/device_harness.h"

extern "C" {
int halide_cuda_initialize_kernels(void*, void**, const char*, int);
int halide_cuda_run(void*, void*, const char*, int, int, int, int, int, int, int, size_t*, void**,
                    int8_t*);
void halide_cuda_finalize_kernels(void*, void*);
}

namespace emulsion::test {
namespace {

const char kSource[] = ".version 7.0 .entry scale() {} .entry other() {}";
const char kScale[] = "scale", kOther[] = "other", kMissing[] = "missing";

std::string open_failure(int index = 0) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = emulsion_cuda.open(index, nullptr, text);
    if (device == nullptr) return text;
    emulsion_cuda.close(device);
    return "";
}

// An arena of a kernel that multiplies floats, which the stand-in runs.
class Scaled {
  public:
    static constexpr int32_t kCount = 100;

    explicit Scaled(CudaStandIn& stand_in) : device_(emulsion_cuda) {
        stand_in.kernels["scale"] = [](void** arguments) {
            float* values = nullptr;
            float factor;
            int32_t count;
            std::memcpy(&values, arguments[0], sizeof values);
            std::memcpy(&factor, arguments[1], sizeof factor);
            std::memcpy(&count, arguments[2], sizeof count);
            for (int i = 0; i < count; i++) values[i] *= factor;
        };
        device_.api().allocate(device_.get(), EMULSION_STATE, 4096);
        descriptor_.device = device_.api().view(device_.get(), EMULSION_STATE, 512, 4 * kCount);
    }

    OpenDevice& device() { return device_; }
    emulsion_descriptor& descriptor() { return descriptor_; }
    int scale(float factor, const char* name = kScale, int shared = 0) {
        int32_t count = kCount;
        size_t sizes[] = {8, sizeof factor, sizeof count, 0};
        void* arguments[] = {&descriptor_, &factor, &count, nullptr};
        int8_t is_buffer[] = {1, 0, 0, 0};
        halide_cuda_initialize_kernels(device_.worker(), &state_, kSource, sizeof kSource);
        const int result = halide_cuda_run(device_.worker(), state_, name, 7, 2, 1, 32, 4, 1,
                                           shared, sizes, arguments, is_buffer);
        halide_cuda_finalize_kernels(device_.worker(), state_);
        return result;
    }

  private:
    OpenDevice device_;
    emulsion_descriptor descriptor_{};
    void* state_ = nullptr;
};

TEST(Cuda, DevicesAreCountedAndRefused) {
    CudaStandIn stand_in;
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device_facts facts{};
    stand_in.devices = 2;
    EXPECT_EQ(emulsion_cuda.count(text), 2);
    EXPECT_EQ(emulsion_cuda.facts(1, &facts, text), 0);
    EXPECT_STREQ(facts.name, "toy");
    EXPECT_EQ(facts.memory_bytes, uint64_t{1} << 30);
    EXPECT_EQ(open_failure(1), "");
    EXPECT_EQ(open_failure(2), "there is no device cuda:2: there are 2");
    EXPECT_EQ(open_failure(-1), "there is no device cuda:-1: there are 2");
    stand_in.capability = 75;
    EXPECT_EQ(open_failure(), "'toy' has compute capability 7.5, but kernels need 8.0");
    stand_in.devices = 0;
    EXPECT_EQ(emulsion_cuda.count(text), 0);
    EXPECT_STREQ(text, "the driver of CUDA offers no device");
    stand_in.failing["cuInit"] = 100;
    EXPECT_EQ(emulsion_cuda.count(text), 0);
    EXPECT_STREQ(text,
                 "cuInit answers CUDA_ERROR_NO_DEVICE (100: no CUDA-capable device is detected)");
    EXPECT_NE(emulsion_cuda.facts(0, &facts, text), 0);
    setenv("EMULSION_NO_DEVICE", "1", 1);
    EXPECT_EQ(emulsion_cuda.count(text), 0);
    EXPECT_STREQ(text, "EMULSION_NO_DEVICE is set");
    unsetenv("EMULSION_NO_DEVICE");
}

// Whichever step of opening fails, what was made before it is given back (CudaStandIn sees to it).
TEST(Cuda, OpeningFailsAtEachStep) {
    for (const auto& [symbol, words] : std::map<std::string, std::string>{
             {"cuDeviceGet", "cuDeviceGet answers error (7)"},
             {"cuDeviceGetName", "cuDeviceGetName answers error (7)"},
             {"cuDeviceTotalMem", "cuDeviceTotalMem answers error (7)"},
             {"cuDevicePrimaryCtxRetain",
              "cuDevicePrimaryCtxRetain answers error (7) to a context on 'toy'"},
             {"cuCtxPushCurrent",
              "cuCtxPushCurrent answers error (7) to the device's context on 'toy'"},
             {"cuStreamCreate", "cuStreamCreate answers error (7) to a stream on 'toy'"},
             {"cuEventCreate", "cuEventCreate answers error (7) to an event on 'toy'"}}) {
        CudaStandIn stand_in;
        stand_in.failing[symbol] = 7;
        EXPECT_EQ(open_failure(), words);
    }
}

TEST(Cuda, MemoryIsCopiedAndCounted) {
    CudaStandIn stand_in;
    OpenDevice device(emulsion_cuda);
    const emulsion_device_api& api = device.api();
    ASSERT_EQ(api.allocate(device.get(), EMULSION_PARAMETERS, 4096), 0);
    std::vector<uint8_t> bytes(4096, 1), expected(4096, 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4096,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected) << "arenas begin as zeros";
    std::fill_n(expected.begin() + 100, 50, uint8_t{9});
    ASSERT_EQ(api.upload(device.get(), EMULSION_PARAMETERS, 100, expected.data() + 100, 50), 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4096,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected);
    EXPECT_EQ(device->uploads, 1u);
    EXPECT_EQ(device->uploaded_bytes, 50u);
    EXPECT_EQ(device->downloads, 2u);
    EXPECT_EQ(device->downloaded_bytes, 8192u);
    EXPECT_EQ(device->allocations, 1u);
    EXPECT_EQ(device->allocated_bytes, 4096u);
    const uint64_t view = api.view(device.get(), EMULSION_PARAMETERS, 512, 8);
    EXPECT_EQ(view, api.view(device.get(), EMULSION_PARAMETERS, 0, 8) + 512);
}

TEST(Cuda, MoreMemoryThanIsLeftIsRefusedBeforeItIsAsked) {
    CudaStandIn stand_in;
    stand_in.memory = 10000;
    {
        OpenDevice device(emulsion_cuda);
        EXPECT_EQ(emulsion_cuda.allocate(device.get(), EMULSION_STATE, 10001),
                  EMULSION_DEVICE_REFUSED);
        EXPECT_STREQ(device->text,
                     "class state needs one block of 10001 bytes, but 'toy' gives "
                     "blocks of at most 10000");
    }
    OpenDevice device(emulsion_cuda);
    EXPECT_EQ(emulsion_cuda.allocate(device.get(), EMULSION_STATE, 9000), 0);
    EXPECT_EQ(emulsion_cuda.allocate(device.get(), EMULSION_WORKSPACE, 1001),
              EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(device->text,
                 "class workspace needs 1001 bytes, but 'toy' has 1000 left of its 10000");
    EXPECT_EQ(stand_in.calls["cuMemAlloc"], 1);
}

TEST(Cuda, MemoryOfTheCallerIsAnArena) {
    CudaStandIn stand_in;
    const uint64_t block = stand_in.make_block(8192);
    const std::byte* bytes = stand_in.bytes_at(block, 8192);
    {
        OpenDevice device(emulsion_cuda);
        ASSERT_EQ(emulsion_cuda.adopt(device.get(), EMULSION_STATE, block + 1024, 4096), 0)
            << device->text;
        for (int i = 0; i < 8192; i++)
            ASSERT_EQ(bytes[i], i >= 1024 && i < 5120 ? std::byte{0} : std::byte{0x7E}) << i;
        EXPECT_EQ(emulsion_cuda.view(device.get(), EMULSION_STATE, 512, 64), block + 1536);
        const uint8_t byte = 9;
        EXPECT_EQ(emulsion_cuda.upload(device.get(), EMULSION_STATE, 4095, &byte, 1), 0);
        EXPECT_EQ(emulsion_cuda.allocate(device.get(), EMULSION_STATE, 4), EMULSION_DEVICE_REFUSED);
        EXPECT_EQ(device->allocations, 0u);
    }
    EXPECT_EQ(bytes[5119], std::byte{9}) << "closing leaves it";
    EXPECT_EQ(stand_in.calls["cuMemFree"], 0);
    stand_in.drop_block(block);
}

TEST(Cuda, MemoryOfTheCallerThatIsNoArena) {
    CudaStandIn stand_in;
    const uint64_t block = stand_in.make_block(8192);
    const auto refusal = [](uint64_t address, uint64_t bytes) {
        OpenDevice device(emulsion_cuda);
        EXPECT_NE(emulsion_cuda.adopt(device.get(), EMULSION_WORKSPACE, address, bytes), 0);
        return std::string(device->text);
    };
    const std::string of_class = "the block of class workspace ";
    EXPECT_EQ(refusal(block + 4096, 4097), of_class + "has 4096 bytes, but needs 4097");
    EXPECT_EQ(refusal(block + 16, 64).rfind(of_class + "is at 0x", 0), 0u);
    EXPECT_EQ(refusal(512, 64),
              "cuPointerGetAttribute answers CUDA_ERROR_INVALID_VALUE (1) to a "
              "block of the caller's on 'toy'");
    stand_in.failing["cuMemGetAddressRange"] = 1;
    EXPECT_EQ(refusal(block, 64),
              "cuMemGetAddressRange answers CUDA_ERROR_INVALID_VALUE (1) to a "
              "block of the caller's on 'toy'");
    stand_in.failing.clear();
    stand_in.memory_context = &stand_in;
    EXPECT_EQ(refusal(block, 64), of_class + "is of another context than the device's primary one");
    stand_in.memory_device = 1;
    EXPECT_EQ(refusal(block, 64), of_class + "is of device cuda:1");
    stand_in.memory_kind = 1;
    EXPECT_EQ(refusal(block, 64), of_class + "is memory of the host");
    stand_in.memory_kind = CU_MEMORYTYPE_DEVICE;
    stand_in.memory_device = 0;
    stand_in.memory_context = nullptr;
    {
        OpenDevice device(emulsion_cuda);
        EXPECT_EQ(emulsion_cuda.adopt(device.get(), EMULSION_STATE, block + 512, 600), 0);
        EXPECT_EQ(emulsion_cuda.adopt(device.get(), EMULSION_GRADIENTS, block, 512), 0);
        EXPECT_EQ(emulsion_cuda.adopt(device.get(), EMULSION_WORKSPACE, block + 1024, 512),
                  EMULSION_DEVICE_REFUSED);
        EXPECT_EQ(device->text, of_class + "overlaps that of class state");
    }
    stand_in.drop_block(block);
}

TEST(Cuda, AKernelIsLaunchedWithAddresses) {
    CudaStandIn stand_in;
    Scaled scaled(stand_in);
    OpenDevice& device = scaled.device();
    const std::vector<float> ones(Scaled::kCount, 1);
    std::vector<float> values(Scaled::kCount);
    emulsion_cuda.upload(device.get(), EMULSION_STATE, 512, ones.data(), 4 * Scaled::kCount);
    for (int run = 0; run < 3; run++) EXPECT_EQ(scaled.scale(2), 0);
    emulsion_cuda.download(device.get(), EMULSION_STATE, 512, values.data(), 4 * Scaled::kCount,
                           EMULSION_ALL_LAUNCHES);
    EXPECT_EQ(values, std::vector<float>(Scaled::kCount, 8));
    ASSERT_EQ(stand_in.launches.size(), 3u);
    const CudaLaunch& launch = stand_in.launches[0];
    EXPECT_EQ(launch.kernel, "scale");
    EXPECT_EQ(launch.blocks[0], 7u);
    EXPECT_EQ(launch.blocks[1], 2u);
    EXPECT_EQ(launch.blocks[2], 1u);
    EXPECT_EQ(launch.threads[0], 32u);
    EXPECT_EQ(launch.threads[1], 4u);
    EXPECT_EQ(launch.threads[2], 1u);
    EXPECT_EQ(device->launches, 3u);
    EXPECT_EQ(device->programs, 1u);
    EXPECT_EQ(device->kernels, 1u);
    EXPECT_EQ(stand_in.calls["cuModuleLoadDataEx"], 1);
    EXPECT_EQ(stand_in.calls["cuModuleGetFunction"], 1);
    EXPECT_EQ(stand_in.calls["cuMemAlloc"], 1);
}

TEST(Cuda, MuchSharedMemoryIsAskedForOnce) {
    CudaStandIn stand_in;
    Scaled scaled(stand_in);
    for (int run = 0; run < 2; run++) {
        EXPECT_EQ(scaled.scale(2, kScale, 48 << 10), 0);
        EXPECT_EQ(scaled.scale(2, kOther, 64 << 10), 0);
    }
    EXPECT_EQ(stand_in.calls["cuFuncSetAttribute"], 1);
    EXPECT_EQ(stand_in.shared_limits[const_cast<char*>(kOther)], 64 << 10);
    EXPECT_EQ(stand_in.launches[1].shared, 64u << 10);
    EXPECT_EQ(scaled.device()->kernels, 2u);
}

TEST(Cuda, ADryRunMakesEverythingReady) {
    CudaStandIn stand_in;
    Scaled scaled(stand_in);
    scaled.device()->dry = 1;
    EXPECT_EQ(scaled.scale(2), 0);
    ASSERT_EQ(emulsion_cuda.allocate(scaled.device().get(), EMULSION_WORKSPACE, 512), 0);
    const emulsion_device_test test = {EMULSION_STATE, 0, 0, 1, 0, 1};
    EXPECT_EQ(emulsion_cuda.test(scaled.device().get(), &test), 0);
    EXPECT_EQ(stand_in.launches.size(), 0u);
    EXPECT_EQ(scaled.device()->programs, 2u);
    EXPECT_EQ(scaled.device()->kernels, 2u);
}

TEST(Cuda, TwoInstancesShareAKernelObject) {
    CudaStandIn stand_in;
    Scaled first(stand_in), second(stand_in);
    EXPECT_EQ(first.scale(2), 0);
    EXPECT_EQ(second.scale(2), 0);
    EXPECT_EQ(first.scale(2), 0);
    EXPECT_EQ(first.device()->programs, 1u);
    EXPECT_EQ(second.device()->programs, 1u);
    EXPECT_EQ(stand_in.calls["cuModuleLoadDataEx"], 2);
}

TEST(Cuda, TheFirstValueThatIsNotFinite) {
    CudaStandIn stand_in;
    OpenDevice device(emulsion_cuda);
    emulsion_cuda.allocate(device.get(), EMULSION_GRADIENTS, 4096);
    emulsion_cuda.allocate(device.get(), EMULSION_STATE, 512);
    emulsion_cuda.allocate(device.get(), EMULSION_WORKSPACE, 512);
    const auto put = [&](uint64_t at, float value) {
        emulsion_cuda.upload(device.get(), EMULSION_GRADIENTS, 4 * at, &value, 4);
    };
    const auto first = [&](uint64_t begin, uint64_t count) {
        return first_not_finite(device.get(), EMULSION_GRADIENTS, begin, count);
    };
    EXPECT_EQ(first(0, 1024), -1);
    EXPECT_EQ(stand_in.launches.back().blocks[0], 4u);
    EXPECT_EQ(stand_in.launches.back().threads[0], 256u);
    put(1023, -std::numeric_limits<float>::infinity());
    EXPECT_EQ(first(0, 1024), 1023);
    put(300, std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(first(0, 1024), 300);
    EXPECT_EQ(first(128, 173), 172);
    EXPECT_EQ(first(128, 172), -1);
}

// What the stand-in computes is its own; that of the kernel's text is seen on a GPU alone
// (gpu_device_check).
TEST(Cuda, ProbesAreLaunchedOnTheirArenas) {
    CudaStandIn stand_in;
    expect_probes(emulsion_cuda, /*steps=*/16);
    ASSERT_EQ(stand_in.launches.size(), 5u);
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(stand_in.launches[i].blocks[0], i == 3 ? 1u : 8192u);  // of nothing
        EXPECT_EQ(stand_in.launches[i].threads[0], 128u);
    }
}

// ---- Faults ----

TEST(CudaFaults, AProgramThatIsRefusedIsQuoted) {
    CudaStandIn stand_in;
    stand_in.failing["cuModuleLoadDataEx"] = 218;
    stand_in.log = "ptxas application ptx input, line 9; fatal\n: unknown symbol 'x'\n";
    Scaled scaled(stand_in);
    EXPECT_EQ(scaled.scale(2), 218);
    EXPECT_STREQ(scaled.device()->text,
                 "cuModuleLoadDataEx answers CUDA_ERROR_INVALID_PTX (218) to a program (...ptxas "
                 "application ptx input, line 9; fatal : unknown symbol 'x') on 'toy'");
    EXPECT_EQ(scaled.device()->programs, 0u);
}

TEST(CudaFaults, AKernelThatCannotRun) {
    {
        CudaStandIn stand_in;
        Scaled scaled(stand_in);
        EXPECT_EQ(scaled.scale(2, kMissing), 500);
        EXPECT_STREQ(
            scaled.device()->text,
            "cuModuleGetFunction answers CUDA_ERROR_NOT_FOUND (500) to 'missing' on 'toy'");
    }
    {
        CudaStandIn stand_in;
        stand_in.most_threads = 127;
        Scaled scaled(stand_in);
        EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
        EXPECT_STREQ(scaled.device()->text,
                     "'scale' needs 128 threads a block, but 'toy' runs it with 127");
    }
    CudaStandIn stand_in;
    Scaled scaled(stand_in);
    scaled.descriptor().device = 0;
    EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(scaled.device()->text, "argument 0 of 'scale' is not on the device");
}

TEST(CudaFaults, ADeviceThatIsLost) {
    CudaStandIn stand_in;
    Scaled scaled(stand_in), sound(stand_in);
    EXPECT_EQ(scaled.scale(2), 0);
    stand_in.failing["cuStreamSynchronize"] = 719;
    EXPECT_EQ(emulsion_cuda.finish(scaled.device().get()), 719);
    EXPECT_STREQ(scaled.device()->text,
                 "cuStreamSynchronize answers CUDA_ERROR_LAUNCH_FAILED "
                 "(719: unspecified launch failure) behind the launch of 'scale' on 'toy'");
    stand_in.failing.clear();
    const auto before = stand_in.calls;
    float value = 0;
    emulsion_device* device = scaled.device().get();
    EXPECT_EQ(scaled.scale(2), 719);
    EXPECT_EQ(emulsion_cuda.upload(device, EMULSION_STATE, 0, &value, 4), 719);
    EXPECT_EQ(emulsion_cuda.download(device, EMULSION_STATE, 0, &value, 4, EMULSION_ALL_LAUNCHES),
              719);
    EXPECT_EQ(emulsion_cuda.view(device, EMULSION_STATE, 0, 4), 0u);
    EXPECT_EQ(emulsion_cuda.allocate(device, EMULSION_WORKSPACE, 4), 719);
    const emulsion_device_test test = {EMULSION_STATE, 0, 0, 1, 0, 1};
    EXPECT_EQ(emulsion_cuda.test(device, &test), 719);
    EXPECT_EQ(emulsion_cuda.finish(device), 719);
    EXPECT_EQ(stand_in.calls, before) << "the driver is left alone";
    EXPECT_EQ(sound.scale(2), 0) << "another device's fault";

    stand_in.failing["cuLaunchKernel"] = 719;
    EXPECT_EQ(sound.scale(2), 719);
    EXPECT_STREQ(
        sound.device()->text,
        "cuLaunchKernel answers CUDA_ERROR_LAUNCH_FAILED (719: unspecified launch failure) to "
        "7 x 2 x 1 blocks of 32 x 4 x 1 of 'scale' on 'toy'");
}

}  // namespace
}  // namespace emulsion::test
