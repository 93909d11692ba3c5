// Devices of Vulkan: memory, launches, programs, the test for values that are not finite.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <numeric>
#include <thread>

#include "compiler/support/process.h"
#include "tests/runtime/vulkan_support.h"
#include "tests/support/test_folder.h"

namespace emulsion::test {
namespace {

using Vulkan = VulkanTest;

TEST_F(Vulkan, DevicesHaveFacts) {
    char text[EMULSION_DEVICE_TEXT];
    const int count = emulsion_vulkan.count(text);
    for (int i = 0; i < count; i++) {
        emulsion_device_facts facts{}, again{};
        ASSERT_EQ(emulsion_vulkan.facts(i, &facts, text), 0) << text;
        ASSERT_EQ(emulsion_vulkan.facts(i, &again, text), 0) << text;
        EXPECT_STRNE(facts.name, "");
        EXPECT_STREQ(facts.name, again.name);
        EXPECT_GT(facts.memory_bytes, 1u << 20);
        EXPECT_GT(facts.largest_bytes, 1u << 20);
        EXPECT_EQ(EMULSION_DEVICE_ALIGNMENT % facts.alignment, 0u);
    }
}

TEST_F(Vulkan, WhatIsUploadedIsDownloaded) {
    OpenDevice device(emulsion_vulkan);
    const emulsion_device_api& api = device.api();
    ASSERT_EQ(api.allocate(device.get(), EMULSION_PARAMETERS, 4095), 0);
    ASSERT_EQ(api.allocate(device.get(), EMULSION_STATE, 512), 0);
    std::vector<uint8_t> bytes(4095, 1), expected(4095, 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4095,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected) << "arenas begin as zeros";
    for (size_t i = 0; i < 1001; i++) expected[101 + i] = static_cast<uint8_t>(i * 7 + 1);
    ASSERT_EQ(api.upload(device.get(), EMULSION_PARAMETERS, 101, expected.data() + 101, 1001), 0);
    ASSERT_EQ(api.upload(device.get(), EMULSION_PARAMETERS, 4095, nullptr, 0), 0);
    ASSERT_EQ(api.download(device.get(), EMULSION_PARAMETERS, 0, bytes.data(), 4095,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_EQ(bytes, expected);
    EXPECT_EQ(device->uploads, 1u);
    EXPECT_EQ(device->uploaded_bytes, 1001u);
    EXPECT_EQ(device->downloads, 2u);
    EXPECT_EQ(device->downloaded_bytes, 8190u);
    EXPECT_EQ(device->allocations, 2u);
    EXPECT_EQ(device->allocated_bytes, 4095u + 512);
}

// More bytes than are on their way at once, with others behind them.
TEST_F(Vulkan, ManyBytesGoInParts) {
    OpenDevice device(emulsion_vulkan);
    const emulsion_device_api& api = device.api();
    std::vector<uint32_t> values((uint64_t{9} << 20) / 4 + 3), again(values.size());
    std::iota(values.begin(), values.end(), 1000);
    const uint64_t bytes = values.size() * 4;
    ASSERT_EQ(api.allocate(device.get(), EMULSION_WORKSPACE, bytes), 0) << device->text;
    ASSERT_EQ(api.upload(device.get(), EMULSION_WORKSPACE, 0, values.data(), bytes), 0);
    for (size_t i = 0; i < 300; i++) {
        values[7000 * i] = static_cast<uint32_t>(i);
        ASSERT_EQ(api.upload(device.get(), EMULSION_WORKSPACE, 4 * 7000 * i, &values[7000 * i], 4),
                  0);
    }
    ASSERT_EQ(api.download(device.get(), EMULSION_WORKSPACE, 0, again.data(), bytes,
                           EMULSION_ALL_LAUNCHES),
              0);
    EXPECT_TRUE(again == values);
}

// Views are made once, and kernels see an arena through them.
TEST_F(Vulkan, ViewsAreOfTheArena) {
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    OpenDevice& device = scaled.device();
    const auto view = [&](uint64_t offset, uint64_t bytes) {
        return device.api().view(device.get(), EMULSION_WORKSPACE, offset, bytes);
    };
    EXPECT_NE(view(512, 4), 0u);
    EXPECT_EQ(view(512, 4), view(512, 4));
    EXPECT_NE(view(512, 4), view(512, 8));
    EXPECT_NE(view(512, 4), view(1024, 4));
    EXPECT_NE(view(VulkanScaled::kArenaBytes - 512, 512), 0u);
    scaled.upload(3);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, 6));
    EXPECT_EQ(device->error, 0) << device->text;
}

TEST_F(Vulkan, ProbesDoWhatTheySay) { expect_probes(emulsion_vulkan, /*steps=*/16); }

// More launches than are recorded together, each behind the one before it, with scalars of its own.
TEST_F(Vulkan, LaunchesKeepTheirOrder) {
    VulkanProgram program = {
        .text = vulkan_module({kernel_of("scale", "OpFMul %float %former %factor"),
                               kernel_of("add", "OpFAdd %float %former %factor")}),
        .name = "scale"};
    VulkanScaled scaled(program);
    float expected = 1;
    scaled.upload(expected);
    for (int i = 0; i < 300; i++) {
        program.name = i % 2 == 0 ? "scale" : "add";
        const float factor = i % 2 == 0 ? 0.5F : static_cast<float>(i);
        ASSERT_EQ(scaled.scale(factor), 0) << scaled.device()->text;
        expected = i % 2 == 0 ? expected * factor : expected + factor;
    }
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, expected));
    EXPECT_EQ(scaled.device()->launches, 300u);
    EXPECT_EQ(scaled.device()->kernels, 2u);
}

int submissions;

// The device computes while the process gets the next call ready.
TEST_F(Vulkan, AMarkHandsOverWhatIsLaunched) {
    VulkanStandIn stand_in;
    stand_in.driver.vkQueueSubmit = [](VkQueue queue, uint32_t count, const VkSubmitInfo* infos,
                                       VkFence fence) {
        submissions++;
        return VulkanStandIn::real().vkQueueSubmit(queue, count, infos, fence);
    };
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    scaled.upload(1);
    EXPECT_EQ(scaled.scale(2), 0);
    submissions = 0;
    for (int mark = 0; mark < EMULSION_DEVICE_MARKS; mark++) {
        EXPECT_EQ(scaled.device().api().mark(scaled.device().get(), mark, 0, 0), 0);
        EXPECT_EQ(submissions, 1) << "nothing is recorded behind the first mark";
    }
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, 2));
}

// Waits for a frame, and those among them for the one that is submitted last.
int waits, waits_for_last;
VkFence last_fence;

// A download at a mark is of the values as they were there, and leaves the launches behind it
// alone, be they a few or more than are on their way at once.
TEST_F(Vulkan, AMarkIsWaitedForAlone) {
    VulkanStandIn stand_in;
    stand_in.driver.vkQueueSubmit = [](VkQueue queue, uint32_t count, const VkSubmitInfo* infos,
                                       VkFence fence) {
        last_fence = fence;
        return VulkanStandIn::real().vkQueueSubmit(queue, count, infos, fence);
    };
    stand_in.driver.vkWaitForFences = [](VkDevice device, uint32_t count, const VkFence* fences,
                                         VkBool32 all, uint64_t limit) {
        waits++;
        if (*fences == last_fence) waits_for_last++;
        return VulkanStandIn::real().vkWaitForFences(device, count, fences, all, limit);
    };
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    emulsion_device* device = scaled.device().get();
    const emulsion_device_api& api = scaled.device().api();
    device->dry = 1;
    for (int mark = 0; mark < EMULSION_DEVICE_MARKS; mark++)
        EXPECT_EQ(api.mark(device, mark, 512, 1024), 0);
    device->dry = 0;
    stand_in.driver.vkAllocateMemory = nullptr;  // is called no more
    for (const int launches : {1, 5 * 32}) {
        scaled.upload(1);
        for (int step = 0; step < 6; step++) {
            EXPECT_EQ(scaled.scale(2), 0);
            for (int i = 1; i < launches; i++) EXPECT_EQ(scaled.scale(1), 0);
            EXPECT_EQ(api.mark(device, step % 2, 512, 1024), 0);
            if (step == 0) continue;
            waits = waits_for_last = 0;
            for (const uint64_t offset : {512, 1020, 1532}) {
                float value = 0;
                EXPECT_EQ(api.download(device, EMULSION_WORKSPACE, offset, &value, sizeof value,
                                       1 - step % 2),
                          0);
                EXPECT_EQ(value, std::exp2f(static_cast<float>(step))) << launches;
            }
            EXPECT_LE(waits, 1);
            EXPECT_EQ(waits_for_last, 0);
        }
        float value = 0;
        EXPECT_EQ(api.download(device, EMULSION_WORKSPACE, 508, &value, sizeof value, 0), 0);
        EXPECT_EQ(value, 64) << "the mark did not name it: it is as all launches leave it";
    }
}

TEST_F(Vulkan, ADryRunMakesEverythingReady) {
    VulkanStandIn stand_in;
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    scaled.upload(1);
    scaled.device()->dry = 1;
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.device()->launches, 0u);
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, 1));
    scaled.device()->dry = 0;
    // None of these is called any more.
    stand_in.driver.vkAllocateMemory = nullptr;
    stand_in.driver.vkCreateShaderModule = nullptr;
    stand_in.driver.vkCreateComputePipelines = nullptr;
    stand_in.driver.vkCreateDescriptorPool = nullptr;
    stand_in.driver.vkAllocateDescriptorSets = nullptr;
    stand_in.driver.vkUpdateDescriptorSets = nullptr;
    for (int run = 0; run < 3; run++) {
        EXPECT_EQ(scaled.scale(2), 0);
        EXPECT_EQ(scaled.device()->programs, 1u);
        EXPECT_EQ(scaled.device()->kernels, 1u);
        EXPECT_EQ(scaled.device()->allocations, 1u);
        EXPECT_EQ(scaled.device()->launches, static_cast<uint64_t>(run) + 1);
    }
    EXPECT_EQ(scaled.download(), std::vector<float>(VulkanScaled::kCount, 8));
}

// Two programs whose kernels have one name, and two kernels of one program.
TEST_F(Vulkan, ProgramsAndKernelsKeepApart) {
    VulkanProgram program = vulkan_scaling();
    VulkanProgram other = {
        .text = vulkan_module({kernel_of("negate", "OpFSub %float %factor %former"),
                               kernel_of("scale", "OpFAdd %float %former %factor")}),
        .name = "scale"};
    VulkanScaled scaled(program);
    scaled.upload(3);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 6);
    std::swap(program, other);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 8);
    program.name = "negate";
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], -6);
    EXPECT_EQ(scaled.device()->programs, 2u);
    EXPECT_EQ(scaled.device()->kernels, 3u);
}

// Instances that share a kernel object, and with it the variable that it hands to each.
TEST_F(Vulkan, InstancesInThreadsShareAKernelObject) {
    VulkanProgram program = vulkan_scaling();
    constexpr int kThreads = 4, kRuns = 25;
    std::vector<std::thread> threads;
    std::vector<std::vector<float>> results(kThreads);
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&program, &results, t] {
            VulkanScaled scaled(program);
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
                  std::vector<float>(VulkanScaled::kCount, 2 * static_cast<float>(t + 1)));
    }
}

// As EMULSION_FORKED tells it to: the driver's threads stay with the parent.
TEST_F(Vulkan, AForkedChildOpensItsOwn) {
    VulkanProgram program = vulkan_scaling();
    VulkanScaled scaled(program);
    scaled.upload(1);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 2);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        bool works = false;
        {
            VulkanScaled own(program);
            own.upload(3);
            works = own.scale(2) == 0 && own.download()[7] == 6;
        }
        _exit(works ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.download()[7], 4);
}

// ---- Values that are not finite ----

class VulkanNotFinite : public VulkanTest {
  protected:
    static constexpr uint64_t kCount = 70000;  // more than one launch has threads
    static constexpr uint64_t kRecord = 512;   // in the workspace

    void SetUp() override {
        VulkanTest::SetUp();
        if (IsSkipped()) return;
        device_ = std::make_unique<OpenDevice>(emulsion_vulkan);
        api().allocate(device(), EMULSION_GRADIENTS, kCount * 4);
        api().allocate(device(), EMULSION_STATE, 512);
        api().allocate(device(), EMULSION_WORKSPACE, 1024);
    }
    emulsion_device* device() { return device_->get(); }
    const emulsion_device_api& api() { return device_->api(); }

    void put(uint64_t index, float value) {
        api().upload(device(), EMULSION_GRADIENTS, index * 4, &value, 4);
    }
    void clear_flag() {
        const uint32_t none = 0;
        api().upload(device(), EMULSION_STATE, 0, &none, sizeof none);
    }
    void test(uint64_t begin, uint64_t count, uint32_t number, int begins = 0) {
        const emulsion_device_test test = {
            EMULSION_GRADIENTS, begins, begin * 4, count, kRecord, number};
        EXPECT_EQ(api().test(device(), &test), 0) << device()->text;
    }
    std::pair<uint32_t, int64_t> found() {
        emulsion_device_record record{};
        uint32_t flag = 0;
        api().download(device(), EMULSION_WORKSPACE, kRecord, &record, sizeof record,
                       EMULSION_ALL_LAUNCHES);
        api().download(device(), EMULSION_STATE, 0, &flag, sizeof flag, EMULSION_ALL_LAUNCHES);
        if (record.number != 0) {
            EXPECT_EQ(flag, record.number);
        }
        return {record.number, record.number == 0 ? -1 : int64_t{UINT32_MAX - record.before}};
    }
    // Of a first test.
    int64_t first(uint64_t begin, uint64_t count) {
        clear_flag();
        const emulsion_device_record none{};
        api().upload(device(), EMULSION_WORKSPACE, kRecord, &none, sizeof none);
        test(begin, count, 17);
        return found().second;
    }

    std::unique_ptr<OpenDevice> device_;
};

TEST_F(VulkanNotFinite, TheFirstOfAllIsFound) {
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
    for (uint64_t index : {69000, 32769, 32768, 32767, 129, 128, 127, 1, 0}) {
        put(index, nan);
        EXPECT_EQ(first(0, kCount), static_cast<int64_t>(index));
    }
}

TEST_F(VulkanNotFinite, OnlyWhatIsAskedForCounts) {
    put(256, std::numeric_limits<float>::infinity());
    EXPECT_EQ(first(0, 256), -1);
    EXPECT_EQ(first(0, 257), 256);
    EXPECT_EQ(first(256, 1), 0);
    EXPECT_EQ(first(128, 200), 128);
    EXPECT_EQ(first(384, kCount - 384), -1);
}

TEST_F(VulkanNotFinite, MoreThanAViewIsTestedInParts) {
    VulkanStandIn stand_in;
    stand_in.set_properties([](VkPhysicalDeviceProperties& properties) {
        properties.limits.maxStorageBufferRange = 4500;
    });
    device_.reset();
    SetUp();
    const uint64_t launches = device()->launches;
    EXPECT_EQ(first(128, 8000), -1);
    EXPECT_EQ(device()->launches, launches + 8);
    for (uint64_t index : {7999, 6000, 1152, 1151, 128}) {
        put(index, std::numeric_limits<float>::infinity());
        EXPECT_EQ(first(128, 8000), static_cast<int64_t>(index) - 128);
    }
    device_.reset();
}

// The record is that of the first test that finds something, until flag and record are cleared.
TEST_F(VulkanNotFinite, TheFirstTestIsKept) {
    using Found = std::pair<uint32_t, int64_t>;
    put(0, std::numeric_limits<float>::infinity());
    put(60000, std::numeric_limits<float>::quiet_NaN());
    test(128, 1, 1, /*begins=*/1);
    EXPECT_EQ(found(), Found(0, -1));
    test(128, kCount - 128, 2);
    for (uint32_t number : {3, 4, 1}) test(0, kCount, number);
    EXPECT_EQ(found(), Found(2, 60000 - 128));
    test(0, 1, 5, /*begins=*/1);
    EXPECT_EQ(found(), Found(0, -1)) << "the flag is set";
    clear_flag();
    test(0, 1, 5, /*begins=*/1);
    EXPECT_EQ(found(), Found(5, 0));
}

TEST_F(VulkanNotFinite, ADryDeviceOnlyGetsReady) {
    device()->dry = 1;
    test(0, 10, 1);
    EXPECT_EQ(device()->launches, 0u);
    EXPECT_EQ(device()->kernels, 1u);
    device()->dry = 0;
    put(0, std::numeric_limits<float>::infinity());
    test(0, 10, 1);
    EXPECT_EQ(found().first, 1u);
    EXPECT_EQ(device()->kernels, 1u);
    EXPECT_EQ(device()->allocations, 3u);
}

std::string test_words;

TEST_F(VulkanNotFinite, TheKernelIsValid) {
    VulkanStandIn stand_in;
    stand_in.driver.vkCreateShaderModule = [](VkDevice made, const VkShaderModuleCreateInfo* info,
                                              const VkAllocationCallbacks* callbacks,
                                              VkShaderModule* module) {
        test_words.assign(reinterpret_cast<const char*>(info->pCode), info->codeSize);
        return VulkanStandIn::real().vkCreateShaderModule(made, info, callbacks, module);
    };
    device_.reset();
    SetUp();
    test(0, 1, 1);
    device_.reset();
    ASSERT_FALSE(test_words.empty());
    TestFolder folder;
    std::ofstream(folder / "test.spv") << test_words;
    std::string output;
    EXPECT_EQ(run_program({"spirv-val", "--target-env", "vulkan1.2", folder / "test.spv"},
                          {.output = &output, .temporary = {}}),
              0)
        << output;
}

}  // namespace
}  // namespace emulsion::test
