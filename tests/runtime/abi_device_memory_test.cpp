// Memory of a device that the caller of bind owns, on a device that is memory of this process.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/runtime/abi_device_support.h"

namespace emulsion::testing {
namespace {

constexpr std::uint64_t kMore = 100;  // bytes of a block behind those that are needed

// Blocks for two of the four classes that a device needs.
class GivenMemory : public DeviceNetwork {
  public:
    GivenMemory()
        : parameters(64 + kMore), workspace(memory.sizes.device_bytes[EMULSION_WORKSPACE] + kMore) {
        give(EMULSION_PARAMETERS, parameters);
        give(EMULSION_WORKSPACE, workspace);
        options.device_memory = &given;
    }
    ~GivenMemory() { unbind(); }

    // What bind says to a change of what it is given.
    std::string refusal() {
        EXPECT_EQ(bind(), EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(fake_devices().open, 0);
        return error();
    }
    // Whether the bytes behind those that are needed are as at first.
    static bool is_untouched(const Block& block) {
        const auto* end = static_cast<const std::uint8_t*>(block.get()) + block.bytes;
        return std::all_of(end - kMore, end, [](std::uint8_t byte) { return byte == 0x5a; });
    }

    emulsion_device_memory given = {};
    Block parameters, workspace;

  private:
    void give(int memory_class, const Block& block) {
        std::memset(block.get(), 0x5a, block.bytes);
        given.block[memory_class] = reinterpret_cast<std::uint64_t>(block.get());
        given.bytes[memory_class] = block.bytes;
    }
};

TEST(AbiDevice, MemoryOfTheCallerIsUsed) {
    GivenMemory network;
    std::vector<float> weights;
    {
        DeviceNetwork other;
        other.begin();
        ASSERT_EQ(other.step(), EMULSION_OK);
        ASSERT_EQ(other.download(EMULSION_PARAMETERS), EMULSION_OK);
        weights.assign(other.weights(), other.weights() + kWidth);
    }
    for (int again = 0; again < 2; again++) {  // bound anew, the blocks begin as zeros again
        network.begin();
        EXPECT_EQ(network.device().allocations, 2u);
        EXPECT_EQ(network.device().allocated_bytes, 128u) << "gradients and state";
        EXPECT_EQ(network.step(), EMULSION_OK) << network.error();
        EXPECT_EQ(std::memcmp(network.parameters.get(), weights.data(), kWidth * sizeof(float)), 0);
        EXPECT_EQ(network.unbind(), EMULSION_OK);
    }
    EXPECT_TRUE(GivenMemory::is_untouched(network.parameters));
    EXPECT_TRUE(GivenMemory::is_untouched(network.workspace));

    // A block of a class that needs none is nothing, nor are its bytes.
    network.given.block[EMULSION_PREPARED] = 1;
    network.given.block[EMULSION_INSTANCE] = 1;
    EXPECT_EQ(network.bind(), EMULSION_OK) << network.error();
}

TEST(AbiDevice, MemoryOfTheCallerIsChecked) {
    GivenMemory network;
    emulsion_device_memory& given = network.given;
    given.bytes[EMULSION_WORKSPACE] = 5119;
    EXPECT_EQ(network.refusal(),
              "options.device_memory states 5119 bytes of class workspace, but 5120 are needed: "
              "allocate what sizes.device_bytes states");
    given.bytes[EMULSION_WORKSPACE] = 5120;

    // What bind has to allocate itself is what the device must have.
    fake_devices().facts.memory_bytes = 127;
    EXPECT_EQ(network.bind(), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(network.error(),
              "device fake:0 (a fake) has 127 bytes of memory, but the network needs 128 beside "
              "what bind is given: build it for a smaller batch");
    fake_devices().facts.memory_bytes = 128;
    fake_devices().facts.largest_bytes = 64;
    EXPECT_EQ(network.bind(), EMULSION_OK) << network.error();
}

TEST(AbiDevice, MemoryOfTheCallerIsOfTheInterface) {
    GivenMemory network;
    for (const char* word : {static_cast<const char*>(nullptr), "cpu", "gpu", "auto"}) {
        network.options.device = word;
        EXPECT_EQ(network.refusal(),
                  "options.device_memory is memory of one device: name that in options.device, as "
                  "in opencl:0");
    }
    network.options.device = "fake:1";
    network.given.context = &network;
    EXPECT_EQ(network.refusal(), "options.device_memory.context must be null on fake");

    emulsion_device_api other = *network.fake.variants[1].device;
    network.fake.variants[1].device = &other;
    other.needs_context = 1;
    EXPECT_EQ(network.bind(), EMULSION_OK) << network.error();
    EXPECT_EQ(fake_devices().context, &network);
    network.unbind();
    network.given.context = nullptr;
    EXPECT_EQ(network.refusal(),
              "options.device_memory.context is null, but must be the blocks' on fake");
    other.adopt = nullptr;
    EXPECT_EQ(network.refusal(),
              "options.device_memory must be null on fake, where bind allocates all memory itself");
}

TEST(AbiDevice, TheLargestBatchThatFitsIsNamed) {
    DeviceNetwork network;
    const emulsion_smaller_batch smaller[] = {
        {1, 0, 1000, 600}, {2, 0, 2000, 1200}, {3, 0, 1999, 1500}};
    network.fake.variants[1].smaller = smaller;
    network.fake.variants[1].smaller_count = 3;
    struct Case {
        std::uint64_t memory, largest;  // of the device
        int batch;
    };
    for (const Case& each : std::vector<Case>{{5312, 5120, kBatch},
                                              {5311, 5311, 3},
                                              {5312, 5119, 3},
                                              {1999, 1999, 3},
                                              {1998, 1998, 1},
                                              {2000, 1499, 2},
                                              {1000, 600, 1},
                                              {999, 999, 0},
                                              {1000, 599, 0}}) {
        SCOPED_TRACE(each.memory);
        fake_devices().facts.memory_bytes = each.memory;
        fake_devices().facts.largest_bytes = each.largest;
        emulsion_device_description description;
        ASSERT_EQ(emulsion_library_device(&network.fake.library, 0, &description), EMULSION_OK);
        EXPECT_EQ(description.largest_batch, each.batch);
        const bool fits = each.batch == kBatch;
        EXPECT_EQ(network.bind(), fits ? EMULSION_OK : EMULSION_UNSUPPORTED_DEVICE);
        const std::string end =
            fits              ? ""
            : each.batch == 0 ? ", and no batch is small enough"
                              : ": build it for a batch of at most " + std::to_string(each.batch);
        EXPECT_TRUE(network.error().ends_with(end)) << network.error();
    }
}

}  // namespace
}  // namespace emulsion::testing
