// What a library says of a device's speed, on a fake that takes as long as its rates say: the rates
// come out, with the blocks that it has room for, and whatever fails is told in words.
#include <gtest/gtest.h>

#include "tests/runtime/abi_device_support.h"

namespace emulsion::testing {
namespace {

constexpr double kPeak = 1e12, kRead = 80e9, kWrite = 40e9;

class AbiSpeed : public ::testing::Test {
  protected:
    AbiSpeed() {
        emulsion_device_facts& facts = fake_devices().facts;
        facts.memory_bytes = facts.largest_bytes = facts.view_bytes = 24 << 20;
        fake_devices().peak = kPeak;
        fake_devices().read = kRead;
        fake_devices().write = kWrite;
    }
    int measure(int index = 0) { return emulsion_library_speed(&fake_.library, index, &speed_); }
    std::string problem() const { return speed_.problem; }

    FakeDeviceLibrary fake_;
    emulsion_device_speed speed_;
};

// Waits end late, never early.
void expect_rate(double measured, double rate) {
    EXPECT_LE(measured, 1.001 * rate);
    EXPECT_GE(measured, 0.5 * rate);
}

TEST_F(AbiSpeed, IsThatOfTheDevice) {
    ASSERT_EQ(measure(1), EMULSION_OK) << problem();
    EXPECT_EQ(problem(), "");
    expect_rate(speed_.peak, kPeak);
    EXPECT_GT(speed_.launch, 0);
    EXPECT_LT(speed_.launch, 1e-3);
    ASSERT_EQ(speed_.bandwidth_count, 2);
    uint64_t bytes = 4 << 20;
    for (int i = 0; i < speed_.bandwidth_count; i++) {
        EXPECT_EQ(speed_.bandwidth[i].bytes, bytes);
        expect_rate(speed_.bandwidth[i].read, kRead);
        expect_rate(speed_.bandwidth[i].write, kWrite);
        bytes *= 4;
    }
    EXPECT_EQ(fake_devices().open, 0);
}

// Too little memory is known before, or told by the driver.
TEST_F(AbiSpeed, TakesTheBlocksThatThereIsRoomFor) {
    fake_devices().peak = fake_devices().read = fake_devices().write = 1e15;
    emulsion_device_facts& facts = fake_devices().facts;
    facts.memory_bytes = facts.largest_bytes = uint64_t{1} << 30;
    facts.view_bytes = 100 << 20;
    ASSERT_EQ(measure(), EMULSION_OK) << problem();
    EXPECT_EQ(speed_.bandwidth_count, 3);
    EXPECT_EQ(speed_.bandwidth[2].bytes, 64u << 20);
    fake_devices().failing = "allocate";
    fake_devices().failures = 1;
    ASSERT_EQ(measure(), EMULSION_OK) << problem();
    EXPECT_EQ(speed_.bandwidth_count, 2);
    EXPECT_EQ(problem(), "");
    fake_devices().failures = 100;
    EXPECT_EQ(measure(), EMULSION_DEVICE_ERROR);
    EXPECT_EQ(problem(), "the fake's allocate fails");
    EXPECT_EQ(fake_devices().open, 0);
}

TEST_F(AbiSpeed, FaultsAreTold) {
    for (const char* function : {"facts", "open", "probe", "finish"}) {
        fake_devices().failing = function;
        fake_devices().passing = 0;
        EXPECT_EQ(measure(), EMULSION_DEVICE_ERROR) << function;
        EXPECT_EQ(problem(), std::string("the fake's ") + function + " fails");
        EXPECT_EQ(speed_.bandwidth_count, 0);
        EXPECT_EQ(fake_devices().open, 0);
    }
}

TEST_F(AbiSpeed, OfNoDevice) {
    EXPECT_EQ(measure(2), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(problem(), "there are no more devices");
    EXPECT_EQ(emulsion_library_speed(&fake_.library, 0, nullptr), EMULSION_INVALID_ARGUMENT);
    FakeLibrary processors;
    EXPECT_EQ(emulsion_library_speed(&processors.library, 0, &speed_), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(problem(), "the library has no variant for devices");
}

}  // namespace
}  // namespace emulsion::testing
