// Devices of OpenCL: memory, launches, programs, the test for values that are not finite.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "tests/runtime/opencl_support.h"
#include "tests/support/opencl_memory.h"

namespace emulsion::test {
namespace {

using OpenCl = OpenClTest;

TEST_F(OpenCl, DevicesHaveFacts) {
    char text[EMULSION_DEVICE_TEXT];
    const int count = emulsion_opencl.count(text);
    for (int i = 0; i < count; i++) {
        emulsion_device_facts facts{}, again{};
        ASSERT_EQ(emulsion_opencl.facts(i, &facts, text), 0) << text;
        ASSERT_EQ(emulsion_opencl.facts(i, &again, text), 0) << text;
        EXPECT_STRNE(facts.name, "");
        EXPECT_STREQ(facts.name, again.name);
        EXPECT_GT(facts.memory_bytes, 1u << 20);
        EXPECT_GT(facts.largest_bytes, 1u << 20);
        EXPECT_EQ(EMULSION_DEVICE_ALIGNMENT % facts.alignment, 0u);
    }
}

TEST_F(OpenCl, WhatIsUploadedIsDownloaded) {
    OpenDevice device(emulsion_opencl);
    const emulsion_device_api& api = device.api();
    ASSERT_EQ(api.allocate(device.get(), EMULSION_PARAMETERS, 4096), 0);
    ASSERT_EQ(api.allocate(device.get(), EMULSION_STATE, 512), 0);
    std::vector<uint8_t> bytes(4096, 1), expected(4096, 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4096,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected) << "arenas begin as zeros";
    for (size_t i = 0; i < 1000; i++) expected[100 + i] = static_cast<uint8_t>(i * 7 + 1);
    ASSERT_EQ(api.upload(device.get(), EMULSION_PARAMETERS, 100, expected.data() + 100, 1000), 0);
    ASSERT_EQ(api.upload(device.get(), EMULSION_PARAMETERS, 4096, nullptr, 0), 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4096,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected);
    EXPECT_EQ(device->uploads, 1u);
    EXPECT_EQ(device->uploaded_bytes, 1000u);
    EXPECT_EQ(device->downloads, 2u);
    EXPECT_EQ(device->downloaded_bytes, 8192u);
    EXPECT_EQ(device->allocations, 2u);
    EXPECT_EQ(device->allocated_bytes, 4096u + 512);
}

TEST_F(OpenCl, ABufferOfTheCallerIsAnArena) {
    OpenClMemory memory(opencl_device(0));
    void* buffer = memory.buffer(4096 + 512);
    const std::vector<uint8_t> pattern(512, OpenClMemory::kPattern);
    std::vector<uint8_t> expected(4096, 0);
    const auto same = [&] {
        const std::vector<uint8_t> bytes = memory.read(buffer, 4096 + 512);
        return std::equal(expected.begin(), expected.end(), bytes.begin()) &&
               std::equal(pattern.begin(), pattern.end(), bytes.begin() + 4096);
    };
    {
        OpenDevice device(emulsion_opencl, 0, memory.context());
        const emulsion_device_api& api = device.api();
        const auto block = reinterpret_cast<uint64_t>(buffer);
        ASSERT_EQ(api.adopt(device.get(), EMULSION_GRADIENTS, block, 4096), 0) << device->text;
        EXPECT_TRUE(same()) << "its bytes begin as zeros, those behind stay";
        for (int memory_class : {EMULSION_STATE, EMULSION_WORKSPACE})
            ASSERT_EQ(api.allocate(device.get(), memory_class, 512), 0);
        EXPECT_EQ(device->allocations, 2u);
        EXPECT_EQ(device->allocated_bytes, 1024u);
        const float value = std::numeric_limits<float>::infinity();
        api.upload(device.get(), EMULSION_GRADIENTS, 4 * 700, &value, sizeof value);
        EXPECT_EQ(first_not_finite(device.get(), EMULSION_GRADIENTS, 0, 1024), 700);
        std::memcpy(expected.data() + 4 * 700, &value, sizeof value);
        EXPECT_EQ(api.allocate(device.get(), EMULSION_GRADIENTS, 512), EMULSION_DEVICE_REFUSED);
    }
    EXPECT_TRUE(same()) << "closing leaves it";
}

// Views are made once, and kernels see an arena through them.
TEST_F(OpenCl, ViewsAreOfTheArena) {
    TextProgram program = scaling_program();
    Scaled scaled(program);
    OpenDevice& device = scaled.device();
    const auto view = [&](uint64_t offset, uint64_t bytes) {
        return device.api().view(device.get(), EMULSION_WORKSPACE, offset, bytes);
    };
    EXPECT_NE(view(512, 4), 0u);
    EXPECT_EQ(view(512, 4), view(512, 4));
    EXPECT_NE(view(512, 4), view(512, 8));
    EXPECT_NE(view(512, 4), view(1024, 4));
    EXPECT_NE(view(Scaled::kArenaBytes - 512, 512), 0u);
    scaled.upload(3);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download(), std::vector<float>(Scaled::kCount, 6));
    EXPECT_EQ(device->error, 0) << device->text;
}

int sub_buffers;

// A call of fewer samples than the one before it makes nothing.
TEST_F(OpenCl, CopiesShareViews) {
    StandIn stand_in;
    stand_in.driver.clCreateSubBuffer = [](void* buffer, uint64_t flags, uint32_t type,
                                           const void* region, int* error) {
        sub_buffers++;
        return StandIn::real().clCreateSubBuffer(buffer, flags, type, region, error);
    };
    OpenDevice device(emulsion_opencl);
    const emulsion_device_api& api = device.api();
    ASSERT_EQ(api.allocate(device.get(), EMULSION_WORKSPACE, 8192), 0);
    ASSERT_NE(api.view(device.get(), EMULSION_WORKSPACE, 512, 4096), 0u);
    ASSERT_NE(api.view(device.get(), EMULSION_WORKSPACE, 4608, 512), 0u);
    sub_buffers = 0;
    std::vector<uint8_t> bytes(4096), again(4096);
    for (size_t samples = 1; samples <= 64; samples++) {
        const size_t count = 64 * samples;
        std::fill_n(bytes.begin(), count, static_cast<uint8_t>(samples));
        ASSERT_EQ(api.upload(device.get(), EMULSION_WORKSPACE, 512, bytes.data(), count), 0);
        ASSERT_EQ(api.download(device.get(), EMULSION_WORKSPACE, 512, again.data(), count,
                               EMULSION_ALL_LAUNCHES),
                  0);
        ASSERT_EQ(again, bytes);
    }
    EXPECT_EQ(sub_buffers, 0);
    ASSERT_EQ(api.upload(device.get(), EMULSION_WORKSPACE, 4608, bytes.data(), 513), 0);
    EXPECT_EQ(sub_buffers, 1) << "the view there has 512 bytes";
}

TEST_F(OpenCl, ASecondRunMakesNothing) {
    TextProgram program = scaling_program();
    Scaled scaled(program);
    scaled.upload(1);
    for (int run = 0; run < 3; run++) {
        EXPECT_EQ(scaled.scale(2), 0);
        EXPECT_EQ(scaled.device()->programs, 1u);
        EXPECT_EQ(scaled.device()->kernels, 1u);
        EXPECT_EQ(scaled.device()->allocations, 1u);
        EXPECT_EQ(scaled.device()->launches, static_cast<uint64_t>(run) + 1);
    }
    EXPECT_EQ(scaled.device().api().finish(scaled.device().get()), 0);
    EXPECT_EQ(scaled.download(), std::vector<float>(Scaled::kCount, 8));
}

TEST_F(OpenCl, ADryRunMakesEverythingReady) {
    TextProgram program = scaling_program();
    Scaled scaled(program);
    scaled.upload(1);
    scaled.device()->dry = 1;
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.device()->launches, 0u);
    EXPECT_EQ(scaled.device()->programs, 1u);
    EXPECT_EQ(scaled.device()->kernels, 1u);
    EXPECT_EQ(scaled.download(), std::vector<float>(Scaled::kCount, 1));
    scaled.device()->dry = 0;
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.device()->programs, 1u);
    EXPECT_EQ(scaled.download(), std::vector<float>(Scaled::kCount, 2));
}

// Two programs whose kernels have one name, and two kernels of one program.
TEST_F(OpenCl, ProgramsAndKernelsKeepApart) {
    TextProgram program = scaling_program(), other = scaling_program();
    other.source =
        "__kernel void scale(__global float* values, const float factor,\n"
        "                    const int count, __local int* shared) {\n"
        "    values[get_global_id(0)] = factor;\n"
        "}\n"
        "__kernel void negate(__global float* values, const float factor,\n"
        "                     const int count, __local int* shared) {\n"
        "    values[get_global_id(0)] *= -factor;\n"
        "}\n";
    Scaled scaled(program);
    scaled.upload(3);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 6);
    std::swap(program, other);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 2);
    program.name = "negate";
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], -4);
    EXPECT_EQ(scaled.device()->programs, 2u);
    EXPECT_EQ(scaled.device()->kernels, 3u);
}

// Instances that share a kernel object, and with it the variable that it hands to each.
TEST_F(OpenCl, InstancesInThreadsShareAKernelObject) {
    TextProgram program = scaling_program();
    constexpr int kThreads = 4, kRuns = 25;
    std::vector<std::thread> threads;
    std::vector<std::vector<float>> results(kThreads);
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&program, &results, t] {
            Scaled scaled(program);
            scaled.upload(static_cast<float>(t + 1));
            for (int run = 0; run < kRuns; run++) scaled.scale(run % 2 == 0 ? 2.0F : 0.5F);
            EXPECT_EQ(scaled.device()->error, 0) << scaled.device()->text;
            EXPECT_EQ(scaled.device()->programs, 1u);
            results[static_cast<size_t>(t)] = scaled.download();
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (int t = 0; t < kThreads; t++) {
        EXPECT_EQ(results[static_cast<size_t>(t)],
                  std::vector<float>(Scaled::kCount, 2 * static_cast<float>(t + 1)));
    }
}

TEST_F(OpenCl, ProbesDoWhatTheySay) { expect_probes(emulsion_opencl, /*steps=*/2); }

// ---- Values that are not finite ----

class NotFinite : public OpenClTest {
  protected:
    static constexpr uint64_t kCount = 70000;  // more than one launch has threads

    void SetUp() override {
        OpenClTest::SetUp();
        if (IsSkipped()) return;
        device_ = std::make_unique<OpenDevice>(emulsion_opencl);
        device_->api().allocate(device_->get(), EMULSION_GRADIENTS, kCount * 4);
        device_->api().allocate(device_->get(), EMULSION_STATE, 512);
        device_->api().allocate(device_->get(), EMULSION_WORKSPACE, 1024);
    }
    void put(uint64_t index, float value) {
        device_->api().upload(device_->get(), EMULSION_GRADIENTS, index * 4, &value, 4);
    }
    int64_t first(uint64_t begin, uint64_t count) {
        return first_not_finite(device_->get(), EMULSION_GRADIENTS, begin, count);
    }
    // What the record at this place of the workspace holds.
    emulsion_device_record record(uint64_t place = 0) {
        emulsion_device_record record{};
        device_->api().download(device_->get(), EMULSION_WORKSPACE, place, &record, sizeof record,
                                EMULSION_ALL_LAUNCHES);
        return record;
    }
    void test(uint64_t begin, uint64_t count, uint32_t number, uint64_t record = 0) {
        const emulsion_device_test test = {
            EMULSION_GRADIENTS, count == 1, begin * 4, count, record, number};
        device_->api().test(device_->get(), &test);
    }

    std::unique_ptr<OpenDevice> device_;
};

TEST_F(NotFinite, TheFirstOfAllIsFound) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    for (float value :
         {0.0F, -0.0F, std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
          std::numeric_limits<float>::denorm_min()}) {
        put(5, value);
        EXPECT_EQ(first(0, kCount), -1) << value;
    }
    for (float value : {nan, -nan, infinity, -infinity}) {
        put(kCount - 1, value);
        EXPECT_EQ(first(0, kCount), static_cast<int64_t>(kCount) - 1) << value;
    }
    for (uint64_t index : {69000, 16385, 16384, 16383, 65, 64, 63, 1, 0}) {
        put(index, nan);
        EXPECT_EQ(first(0, kCount), static_cast<int64_t>(index));
    }
}

TEST_F(NotFinite, OnlyWhatIsAskedForCounts) {
    put(228, std::numeric_limits<float>::infinity());
    EXPECT_EQ(first(0, 228), -1);
    EXPECT_EQ(first(0, 229), 228);
    EXPECT_EQ(first(128, 101), 100);
    EXPECT_EQ(first(128, 100), -1);
    EXPECT_EQ(first(256, kCount - 256), -1);
    EXPECT_EQ(first(128, kCount - 128), 100);
}

// Tests find nothing behind the first one that does, whose record stays until it begins anew.
TEST_F(NotFinite, TheFirstTestIsKept) {
    put(128, std::numeric_limits<float>::infinity());
    put(60000, std::numeric_limits<float>::quiet_NaN());
    test(0, 128, 1);
    EXPECT_EQ(record().number, 0u);
    test(256, kCount - 256, 2);
    for (uint32_t number : {3, 4, 1}) test(0, kCount, number, 512);
    EXPECT_EQ(record().number, 2u);
    EXPECT_EQ(UINT32_MAX - record().before, 60000u - 256);
    EXPECT_EQ(record(512).number, 0u);
    test(128, 1, 5);
    EXPECT_EQ(record().number, 0u);
    EXPECT_EQ(record().before, 0u);
    EXPECT_EQ(first(0, kCount), 128);
    test(0, 1, 5);
    EXPECT_EQ(record().number, 0u);
    const uint32_t down = 0;
    device_->api().upload(device_->get(), EMULSION_STATE, 0, &down, sizeof down);
    test(128, 1, 5);
    EXPECT_EQ(record().number, 5u);
    EXPECT_EQ(record().before, UINT32_MAX);
}

TEST_F(NotFinite, ADryDeviceOnlyGetsReady) {
    put(0, std::numeric_limits<float>::infinity());
    device_->get()->dry = 1;
    EXPECT_EQ(first(0, 10), -1);
    EXPECT_EQ(device_->get()->launches, 0u);
    EXPECT_EQ(device_->get()->kernels, 1u);
    device_->get()->dry = 0;
    EXPECT_EQ(first(0, 10), 0);
    EXPECT_EQ(device_->get()->programs, 1u);
    EXPECT_EQ(device_->get()->allocations, 3u);
}

TEST_F(NotFinite, WhatIsNoFloatOfTheArenaIsRefused) {
    const auto ask = [&](const emulsion_device_test& test, uint64_t state = 512) {
        OpenDevice device(emulsion_opencl);
        device.api().allocate(device.get(), EMULSION_GRADIENTS, 4096);
        device.api().allocate(device.get(), EMULSION_STATE, state);
        device.api().allocate(device.get(), EMULSION_WORKSPACE, 512);
        EXPECT_EQ(device.api().test(device.get(), &test), EMULSION_DEVICE_REFUSED);
        return std::string(device->text);
    };
    EXPECT_EQ(ask({EMULSION_GRADIENTS, 0, 4, 1, 0, 1}),
              "a test begins at byte 4, no multiple of 512");
    EXPECT_EQ(
        ask({EMULSION_GRADIENTS, 0, 512, 1024, 0, 1}),
        "4096 bytes from byte 512 on of class gradients are asked for, but its arena has 4096");
    EXPECT_EQ(ask({EMULSION_GRADIENTS, 0, 0, uint64_t{1} << 62, 0, 1}),
              "4611686018427387904 floats are to be tested, but a test is of 1 to 1073741824");
    EXPECT_EQ(ask({EMULSION_GRADIENTS, 0, 0, 0, 0, 1}),
              "0 floats are to be tested, but a test is of 1 to 1073741824");
    EXPECT_EQ(ask({EMULSION_GRADIENTS, 0, 0, 1024, 0, 1}, 0),
              "64 bytes from byte 0 on of class state are asked for, but its arena has 0");
    EXPECT_EQ(ask({EMULSION_GRADIENTS, 0, 0, 1024, 512, 1}),
              "8 bytes from byte 512 on of class workspace are asked for, but its arena has 512");
}

}  // namespace
}  // namespace emulsion::test
