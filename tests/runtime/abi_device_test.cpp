// Variants for devices, on a device that is memory of this process: which device options name, and
// what bind allocates and refuses.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "tests/runtime/abi_device_support.h"

namespace emulsion::testing {
namespace {

// ---- Which device ----

struct Choice {
    const char* word;
    int status;
    const char* text;  // of error
};

// The devices that words name, where there are `count`: the index, or a sentence.
void expect_choices(int count, const std::vector<Choice>& choices) {
    for (const Choice& choice : choices) {
        DeviceNetwork network(choice.word);
        fake_devices().count = count;
        SCOPED_TRACE(choice.word);
        EXPECT_EQ(network.bind(), choice.status);
        if (choice.status != EMULSION_OK) {
            EXPECT_EQ(network.error(), choice.text);
            continue;
        }
        const emulsion_device* device = network.instance()->device;
        EXPECT_EQ(device == nullptr ? -1 : network.instance()->device_index,
                  std::atoi(choice.text));
        EXPECT_EQ(fake_devices().open, device == nullptr ? 0 : 1);
    }
    EXPECT_EQ(fake_devices().open, 0);
}

TEST(AbiDevice, WordsNameDevices) {
    const int unsupported = EMULSION_UNSUPPORTED_DEVICE, invalid = EMULSION_INVALID_ARGUMENT;
    expect_choices(
        2, {{nullptr, 0, "-1"},
            {"cpu", 0, "-1"},
            {"gpu", 0, "0"},
            {"auto", 0, "0"},
            {"fake", 0, "0"},
            {"fake:0", 0, "0"},
            {"fake:1", 0, "1"},
            {"fake:2", unsupported, "options.device is 'fake:2', but there are 2 devices of fake"},
            {"fake:", invalid,
             "options.device is 'fake:', but a device is named by a number behind the colon, as in "
             "fake:0"},
            {"fake:1x", invalid,
             "options.device is 'fake:1x', but a device is named by a number behind the colon, as "
             "in fake:0"},
            {"fake:-1", invalid,
             "options.device is 'fake:-1', but a device is named by a number behind the colon, as "
             "in fake:0"},
            {"fake:4294967296", invalid,
             "options.device is 'fake:4294967296', but a device is named by a number behind the "
             "colon, as in fake:0"},
            {"", unsupported, "options.device is '', but the library runs on: cpu, fake"},
            {"fak", unsupported, "options.device is 'fak', but the library runs on: cpu, fake"},
            {"faker:0", unsupported,
             "options.device is 'faker:0', but the library runs on: cpu, fake"},
            {"GPU", unsupported, "options.device is 'GPU', but the library runs on: cpu, fake"}});
    expect_choices(
        1, {{"fake:1", unsupported, "options.device is 'fake:1', but there is 1 device of fake"}});
}

TEST(AbiDevice, WithoutADriverThereIsAReason) {
    expect_choices(0, {{"cpu", 0, "-1"},
                       {"auto", 0, "-1"},
                       {"gpu", EMULSION_UNSUPPORTED_DEVICE,
                        "options.device is 'gpu', but there is none: no fake is plugged in"},
                       {"fake", EMULSION_UNSUPPORTED_DEVICE,
                        "options.device is 'fake', but there are 0 devices of fake: no fake is "
                        "plugged in"}});
}

// auto leaves software to the processor; gpu takes it where nothing else is.
TEST(AbiDevice, SoftwareIsChosenLast) {
    emulsion_device_api spare = {};  // an interface with one device, a GPU
    spare.name = "spare";
    spare.count = [](char*) { return 1; };
    spare.facts = [](int, emulsion_device_facts* facts, char*) {
        *facts = fake_devices().facts;
        return 0;
    };
    spare.open = [](int, void*, char* text) -> emulsion_device* {
        std::strcpy(text, "it is open elsewhere");
        return nullptr;
    };
    // Of a library with so many variants, where so many fakes are software; -1: none tells.
    const auto choose = [&](const char* word, int variants, int software) {
        DeviceNetwork network(word);
        network.fake.variants[2] = network.fake.variants[1];
        network.fake.variants[2].device = &spare;
        network.fake.library.variant_count = network.fake.info.variant_count = variants;
        fake_devices().software = software;
        if (software < 0) fake_devices().failing = "facts";
        if (network.bind() != EMULSION_OK) return network.error();
        return network.instance()->device == nullptr
                   ? std::string("cpu")
                   : "fake:" + std::to_string(network.instance()->device_index);
    };
    const std::string is_spare = "device spare:0: it is open elsewhere";
    for (const char* word : {"auto", "gpu"}) {
        EXPECT_EQ(choose(word, 2, 1), "fake:1");
        EXPECT_EQ(choose(word, 3, 1), "fake:1");
        EXPECT_EQ(choose(word, 3, 2), is_spare);
        EXPECT_EQ(choose(word, 3, -1), is_spare);
    }
    EXPECT_EQ(choose("auto", 2, 2), "cpu");
    EXPECT_EQ(choose("gpu", 2, 2), "fake:0");
    EXPECT_EQ(choose("fake", 2, 1), "fake:0");
    EXPECT_EQ(choose("auto", 2, -1), "cpu");
    EXPECT_EQ(choose("gpu", 2, -1), "device fake:0: the fake's facts fails");
}

// A library on two kinds of devices tells of each why it has none, and of one reason once.
TEST(AbiDevice, EachInterfaceHasItsReason) {
    static const char* spare_reason;
    emulsion_device_api spare = {};
    spare.name = "spare";
    spare.count = [](char text[EMULSION_DEVICE_TEXT]) {
        std::strcpy(text, spare_reason);
        return 0;
    };
    DeviceNetwork network("gpu");
    FakeDeviceLibrary& fake = network.fake;
    fake.variants[2] = fake.variants[1];
    fake.variants[2].device = &spare;
    fake.library.variant_count = fake.info.variant_count = 3;
    emulsion_device_description description;
    spare_reason = "no spare is left";
    EXPECT_EQ(emulsion_library_device(&fake.library, 2, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(description.problem, spare_reason);
    fake_devices().count = 0;
    const std::string both = "no fake is plugged in; no spare is left";
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(description.problem, both);
    EXPECT_EQ(network.bind(), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(network.error(), "options.device is 'gpu', but there is none: " + both);
    spare_reason = "no fake is plugged in";
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(description.problem, spare_reason);
    const std::string endless(EMULSION_DEVICE_TEXT - 1, '.');
    spare_reason = endless.c_str();
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(description.problem,
              ("no fake is plugged in; " + endless).substr(0, EMULSION_DEVICE_TEXT - 1));
}

TEST(AbiDevice, ALibraryOfProcessorsHasNone) {
    FakeLibrary fake;
    for (const auto& [word, status] :
         {std::pair{"cpu", EMULSION_OK}, std::pair{"auto", EMULSION_OK},
          std::pair{"gpu", EMULSION_UNSUPPORTED_DEVICE},
          std::pair{"fake", EMULSION_UNSUPPORTED_DEVICE}}) {
        emulsion_options options = {};
        options.device = word;
        const FakeNetwork network(fake, 1, &options);
        EXPECT_EQ(network.status, status) << word;
        if (status == EMULSION_OK) continue;
        EXPECT_EQ(std::string(network.error()),
                  std::string("options.device is '") + word + "', but the library runs on: cpu");
    }
    emulsion_device_description description;
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(description.problem, "the library has no variant for devices");
}

TEST(AbiDevice, DevicesAreListed) {
    FakeDeviceLibrary fake;
    fake_devices().facts.memory_bytes = 12345;
    emulsion_device_description description;
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, nullptr), EMULSION_INVALID_ARGUMENT);
    fake_devices().software = 1;
    for (int index : {0, 1}) {
        ASSERT_EQ(emulsion_library_device(&fake.library, index, &description), EMULSION_OK);
        EXPECT_EQ(description.is_software, index == 0);
        EXPECT_STREQ(description.interface, "fake");
        EXPECT_EQ(description.index, index);
        EXPECT_STREQ(description.name, "a fake");
        EXPECT_EQ(description.memory_bytes, 12345u);
        EXPECT_STREQ(description.problem, "");
    }
    for (int index : {2, -1, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
        EXPECT_EQ(emulsion_library_device(&fake.library, index, &description),
                  EMULSION_INVALID_ARGUMENT);
        EXPECT_STREQ(description.problem, "there are no more devices") << index;
    }
    fake_devices().failing = "facts";
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_DEVICE_ERROR);
    EXPECT_STREQ(description.problem, "the fake's facts fails");
    fake_devices().count = 0;
    EXPECT_EQ(emulsion_library_device(&fake.library, 0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(description.problem, "no fake is plugged in");
}

// sizes state the most of all interfaces, a description what its own takes.
TEST(AbiDevice, DescriptionsStateWhatBindAllocates) {
    FakeDeviceLibrary fake;
    fake.variants[2] = fake.variants[1];
    fake.variants[2].activation_bytes = 4000;
    fake.library.variant_count = fake.info.variant_count = 3;
    emulsion_sizes sizes;
    ASSERT_EQ(emulsion_library_sizes(&fake.library, 1, &sizes), EMULSION_OK);
    EXPECT_EQ(sizes.device_bytes[EMULSION_WORKSPACE], 4096u + 2 * 4 * 512);
    for (int index : {0, 2}) {
        emulsion_device_description description;
        ASSERT_EQ(emulsion_library_device(&fake.library, index, &description), EMULSION_OK);
        EXPECT_EQ(description.device_bytes[EMULSION_WORKSPACE],
                  (index == 0 ? 1024u : 4096u) + 2 * 4 * 512);
        EXPECT_EQ(description.device_bytes[EMULSION_GRADIENTS], 64u);
    }
}

TEST(AbiDevice, AVariantIsOfProcessors) {
    DeviceNetwork network("cpu");
    network.options.variant = 1;
    EXPECT_EQ(network.bind(), EMULSION_OK);
    network.options.variant = 2;
    EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(network.error(),
              "options.variant is that of devices, fake: name it in options.device instead");
    network.options.variant = 1;
    network.options.device = "fake";
    EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(network.error(), "options.variant must be 0 where options.device is no processor");
    EXPECT_EQ(emulsion_choose_variant(&network.fake.library, UINT32_MAX, 0), 0);
    EXPECT_EQ(emulsion_choose_variant(&network.fake.library, UINT32_MAX, 2), -1);
}

// ---- Memory ----

TEST(AbiDevice, SizesStateWhatBindAllocates) {
    DeviceNetwork network;
    const emulsion_sizes& sizes = network.memory.sizes;
    const std::uint64_t expected[EMULSION_CLASSES] = {64, 64, 64, 0, 1024 + 2 * 4 * 512, 0};
    EXPECT_EQ(std::memcmp(sizes.device_bytes, expected, sizeof expected), 0)
        << sizes.device_bytes[EMULSION_WORKSPACE];
    network.begin();
    EXPECT_EQ(network.device().allocated_bytes, 3u * 64 + 5120);
    EXPECT_EQ(network.device().allocations, 4u);

    emulsion_sizes one;
    ASSERT_EQ(emulsion_variant_sizes(&network.fake.library, 1, 5, &one), EMULSION_OK);
    EXPECT_EQ(one.bytes[EMULSION_GRADIENTS], 0u);
    EXPECT_EQ(one.bytes[EMULSION_PREPARED], 0u);
    EXPECT_EQ(one.bytes[EMULSION_WORKSPACE], 0u);
    EXPECT_EQ(one.bytes[EMULSION_INSTANCE], emulsion_instance_bytes(6, 1));
    ASSERT_EQ(emulsion_variant_sizes(&network.fake.library, 0, 5, &one), EMULSION_OK);
    EXPECT_EQ(one.device_bytes[EMULSION_WORKSPACE], 0u);
}

// Of the host's blocks a device needs parameters, state and instance.
TEST(AbiDevice, OtherBlocksMayBeMissing) {
    DeviceNetwork network;
    ASSERT_EQ(emulsion_library_sizes(&network.fake.library, 1, &network.memory.sizes), EMULSION_OK);
    for (int which : {EMULSION_GRADIENTS, EMULSION_PREPARED, EMULSION_WORKSPACE}) {
        network.memory.block[which] = nullptr;
        network.memory.sizes.bytes[which] = 0;
    }
    network.begin();
    EXPECT_EQ(network.step(), EMULSION_OK) << network.error();
    EXPECT_EQ(network.download(EMULSION_GRADIENTS), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(network.error(), "bind was given no block for the gradients");
    network.options.device = "cpu";
    EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
    network.options.device = "fake";
    network.memory.block[EMULSION_STATE] = nullptr;
    EXPECT_EQ(network.bind(), EMULSION_INVALID_ARGUMENT);
    EXPECT_EQ(network.error(), "the memory block of class state is null");
}

TEST(AbiDevice, TooLittleMemoryIsRefusedBeforeTheFirstAllocation) {
    DeviceNetwork network;
    fake_devices().failing = "open";  // which is not reached
    fake_devices().facts.memory_bytes = 5311;
    EXPECT_EQ(network.bind(), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(network.error(),
              "device fake:0 (a fake) has 5311 bytes of memory, but the network needs 5312, and no "
              "batch is small enough");
    fake_devices().facts.memory_bytes = 5312;
    fake_devices().facts.largest_bytes = 5119;
    EXPECT_EQ(network.bind(), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(network.error(),
              "device fake:0 (a fake) gives at most 5119 bytes at once, but the network needs 5120 "
              "for the workspace, and no batch is small enough");
    fake_devices().facts.largest_bytes = 5120;
    fake_devices().facts.alignment = 1024;
    EXPECT_EQ(network.bind(), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(network.error(), "device fake:0 aligns to 1024 bytes, but the library to 512");
    fake_devices().facts.alignment = 512;
    fake_devices().failing = "";
    EXPECT_EQ(network.bind(), EMULSION_OK) << network.error();
}

// Wherever bind fails, nothing stays open, the driver's words are told, and the processor works.
TEST(AbiDevice, ABindThatFailsLeavesNothingOpen) {
    struct Fault {
        const char* function;
        int passing;
        const char* text;
    };
    for (const Fault& fault :
         std::vector<Fault>{{"facts", 0, "device fake:0: the fake's facts fails"},
                            {"open", 0, "device fake:0: the fake's open fails"},
                            {"allocate", 0, "device fake:0: the fake's allocate fails"},
                            {"allocate", 2, "device fake:0: the fake's allocate fails"},
                            {"adopt", 0, "device fake:0: the fake's adopt fails"},
                            {"view", 0, "device fake:0: the fake's view fails"},
                            {"view", 5, "device fake:0: the fake's view fails"},
                            {"launch", 0, "kernel 3 (prepare): the fake's launch fails"},
                            {"launch", 2, "kernel 0 (forward): the fake's launch fails"},
                            {"test", 0, "device fake:0: the fake's test fails"},
                            {"mark", 1, "device fake:0: the fake's mark fails"}}) {
        SCOPED_TRACE(fault.function);
        DeviceNetwork network;
        const Block state(64);
        emulsion_device_memory given = {};
        given.block[EMULSION_STATE] = reinterpret_cast<std::uint64_t>(state.get());
        given.bytes[EMULSION_STATE] = 64;
        network.options.device_memory = &given;
        fake_devices().failing = fault.function;
        fake_devices().passing = fault.passing;
        EXPECT_EQ(network.bind(), EMULSION_DEVICE_ERROR);
        EXPECT_EQ(network.error(), fault.text);
        EXPECT_EQ(fake_devices().open, 0);
        EXPECT_EQ(network.step(), EMULSION_NOT_BOUND);
        EXPECT_EQ(network.unbind(), EMULSION_NOT_BOUND);
        network.options.device = "cpu";
        network.options.device_memory = nullptr;
        EXPECT_EQ(network.init(), EMULSION_OK);
        EXPECT_EQ(network.bind(), EMULSION_OK);
        EXPECT_EQ(network.step(), EMULSION_OK);
    }
}

TEST(AbiDevice, BindAndUnbindCloseTheDevice) {
    {
        DeviceNetwork network;
        network.begin();
        EXPECT_EQ(network.bind(), EMULSION_OK);
        EXPECT_EQ(fake_devices().open, 1);
        EXPECT_EQ(network.step(), EMULSION_NOT_READY) << "a device that has been opened anew";
        EXPECT_EQ(network.unbind(), EMULSION_OK);
        EXPECT_EQ(fake_devices().open, 0);
        EXPECT_EQ(network.bind(), EMULSION_OK);
    }
    EXPECT_EQ(fake_devices().open, 0);
}

}  // namespace
}  // namespace emulsion::testing
