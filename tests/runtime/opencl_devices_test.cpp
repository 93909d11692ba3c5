// Which devices of OpenCL there are, and which are refused: without a driver, without devices, with
// those that libraries cannot use.
#include <cstring>

#include "runtime/abi/device_base.h"
#include "tests/runtime/opencl_support.h"

namespace emulsion::test {
namespace {

std::string open_failure(int index = 0) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = emulsion_opencl.open(index, nullptr, text);
    if (device == nullptr) return text;
    emulsion_opencl.close(device);
    return "";
}

// ---- No driver ----

// Of the driver that `library` has, or why it has none; the same when it is asked again.
std::string driver_failure(const char* library, const char* function) {
    const char* const names[] = {function};
    void* functions[1] = {};
    emulsion_driver driver = EMULSION_DRIVER("Toy", library, names, functions);
    char text[EMULSION_DEVICE_TEXT] = "", again[EMULSION_DEVICE_TEXT] = "";
    const int is_found = emulsion_driver_find(&driver, text);
    EXPECT_EQ(emulsion_driver_find(&driver, again), is_found);
    EXPECT_STREQ(text, again);
    EXPECT_EQ(functions[0] != nullptr, is_found == 1);
    return text;
}

TEST(DeviceDriver, AMissingOneIsNamed) {
    EXPECT_EQ(driver_failure("libm.so.6", "cos"), "");
    EXPECT_EQ(driver_failure("libNoDriver.so.1", "cos"),
              "no driver of Toy: libNoDriver.so.1: cannot open shared object file");
    EXPECT_EQ(driver_failure("libm.so.6", "toyInit"),
              "the driver of Toy is too old: libm.so.6 has no toyInit");
}

TEST(OpenClDriver, TheEnvironmentTurnsDevicesOff) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device_facts facts{};
    setenv("EMULSION_NO_DEVICE", "1", 1);
    EXPECT_EQ(emulsion_opencl.count(text), 0);
    EXPECT_STREQ(text, "EMULSION_NO_DEVICE is set");
    EXPECT_NE(emulsion_opencl.facts(0, &facts, text), 0);
    EXPECT_EQ(open_failure(), "EMULSION_NO_DEVICE is set");
    for (const char* value : {"", "0"}) {
        setenv("EMULSION_NO_DEVICE", value, 1);
        EXPECT_EQ(emulsion_devices_are_off(text), 0);
    }
    unsetenv("EMULSION_NO_DEVICE");
}

TEST(OpenClDriver, CodesHaveNames) {
    EXPECT_STREQ(emulsion_opencl_error_name(-1), "CL_DEVICE_NOT_FOUND");
    EXPECT_STREQ(emulsion_opencl_error_name(-5), "CL_OUT_OF_RESOURCES");
    EXPECT_STREQ(emulsion_opencl_error_name(-19), "CL_KERNEL_ARG_INFO_NOT_AVAILABLE");
    EXPECT_STREQ(emulsion_opencl_error_name(-20), "error");
    EXPECT_STREQ(emulsion_opencl_error_name(-30), "CL_INVALID_VALUE");
    EXPECT_STREQ(emulsion_opencl_error_name(-54), "CL_INVALID_WORK_GROUP_SIZE");
    EXPECT_STREQ(emulsion_opencl_error_name(-63), "CL_INVALID_GLOBAL_WORK_SIZE");
    EXPECT_STREQ(emulsion_opencl_error_name(-64), "error");
    EXPECT_STREQ(emulsion_opencl_error_name(-1001), "CL_PLATFORM_NOT_FOUND_KHR");
    EXPECT_STREQ(emulsion_opencl_error_name(INT32_MIN), "error");
}

using OpenClDevices = OpenClTest;

TEST_F(OpenClDevices, ALoaderWithoutDriversOrDevices) {
    StandIn stand_in;
    stand_in.driver.clGetPlatformIDs = [](uint32_t, void**, uint32_t*) { return -1001; };
    char text[EMULSION_DEVICE_TEXT] = "";
    EXPECT_EQ(emulsion_opencl.count(text), 0);
    EXPECT_STREQ(text,
                 "no driver of OpenCL: clGetPlatformIDs answers CL_PLATFORM_NOT_FOUND_KHR "
                 "(-1001)");
    stand_in.driver.clGetPlatformIDs = StandIn::real().clGetPlatformIDs;
    stand_in.driver.clGetDeviceIDs = [](void*, uint64_t, uint32_t, void**, uint32_t*) {
        return -1;
    };
    EXPECT_EQ(open_failure(), "the drivers of OpenCL offer no device");
}

TEST_F(OpenClDevices, AnIndexThatIsNotThere) {
    StandIn stand_in;
    char text[EMULSION_DEVICE_TEXT] = "";
    const std::string count = std::to_string(emulsion_opencl.count(text));
    EXPECT_EQ(open_failure(99), "there is no device opencl:99: there are " + count);
    EXPECT_EQ(open_failure(-1), "there is no device opencl:-1: there are " + count);
}

// GPUs come first, whatever the order of the drivers.
TEST_F(OpenClDevices, GpusComeFirst) {
    StandIn stand_in;
    static char processor, gpu;
    stand_in.driver.clGetPlatformIDs = [](uint32_t, void** platforms, uint32_t* count) {
        platforms[0] = &processor;
        platforms[1] = &gpu;
        *count = 2;
        return 0;
    };
    stand_in.driver.clGetDeviceIDs = [](void* platform, uint64_t type, uint32_t most,
                                        void** devices, uint32_t* count) {
        const bool is_gpu = platform == &gpu;
        if (((type & CL_DEVICE_TYPE_GPU) != 0) != is_gpu || most == 0) return -1;
        devices[0] = platform;
        *count = 1;
        return 0;
    };
    stand_in.driver.clGetDeviceInfo = [](void* device, uint32_t name, size_t bytes, void* value,
                                         size_t*) {
        if (name == CL_DEVICE_NAME)
            std::strncpy(static_cast<char*>(value), device == &gpu ? "gpu" : "cpu", bytes);
        if (name == CL_DEVICE_TYPE)
            *static_cast<uint64_t*>(value) =
                device == &gpu ? CL_DEVICE_TYPE_GPU : CL_DEVICE_TYPE_CPU;
        return 0;
    };
    emulsion_device_facts facts{};
    char text[EMULSION_DEVICE_TEXT] = "";
    EXPECT_EQ(emulsion_opencl.count(text), 2);
    EXPECT_EQ(emulsion_opencl.facts(0, &facts, text), 0);
    EXPECT_STREQ(facts.name, "gpu");
    EXPECT_EQ(facts.is_software, 0u);
    EXPECT_EQ(emulsion_opencl.facts(1, &facts, text), 0);
    EXPECT_STREQ(facts.name, "cpu");
    EXPECT_EQ(facts.is_software, 1u);
}

// ---- Devices that cannot be opened ----

std::string open_failure_with(uint32_t name, const std::string& bytes) {
    StandIn stand_in;
    stand_in.driver.clGetDeviceInfo = changed_info;
    changed_facts = {{name, bytes}, {CL_DEVICE_NAME, std::string("toy", 4)}};
    std::string result = open_failure();
    changed_facts.clear();
    return result;
}

TEST_F(OpenClDevices, WhatLibrariesCannotUseIsRefused) {
    EXPECT_EQ(open_failure_with(CL_DEVICE_MEM_BASE_ADDR_ALIGN, bytes_of_fact(uint32_t{4096})), "");
    EXPECT_EQ(open_failure_with(CL_DEVICE_MEM_BASE_ADDR_ALIGN, bytes_of_fact(uint32_t{8192})),
              "'toy' asks for views at multiples of 1024 bytes, but libraries place tensors at "
              "multiples of 512");
    EXPECT_EQ(open_failure_with(CL_DEVICE_AVAILABLE, bytes_of_fact(uint32_t{0})),
              "'toy' is not available");
    EXPECT_EQ(open_failure_with(CL_DEVICE_COMPILER_AVAILABLE, bytes_of_fact(uint32_t{0})),
              "'toy' has no compiler");
    EXPECT_EQ(open_failure_with(CL_DEVICE_VERSION, std::string("OpenCL 1.1 toys", 16)),
              "'toy' speaks OpenCL 1.1, but OpenCL 1.2 is needed");
}

TEST_F(OpenClDevices, ADriverThatMakesNoContextOrQueue) {
    StandIn stand_in;
    stand_in.driver.clCreateContext = [](const intptr_t*, uint32_t, void* const*, void*, void*,
                                         int* error) -> void* {
        *error = -6;
        return nullptr;
    };
    EXPECT_EQ(open_failure(),
              "clCreateContext answers CL_OUT_OF_HOST_MEMORY (-6) to a context on '" +
                  device_name() + "'");
    stand_in.driver.clCreateContext = StandIn::real().clCreateContext;
    stand_in.driver.clCreateCommandQueue = [](void*, void*, uint64_t, int* error) -> void* {
        *error = -35;
        return nullptr;
    };
    EXPECT_EQ(open_failure(),
              "clCreateCommandQueue answers CL_INVALID_QUEUE_PROPERTIES (-35) to a queue on '" +
                  device_name() + "'");
}

// ---- Tables ----

TEST(DeviceTable, KeepsWhatItIsGiven) {
    static int cleared;
    static uint64_t handles[1000];
    emulsion_table table{};
    EXPECT_EQ(emulsion_table_find(&table, 0, 0), nullptr);
    for (uint64_t i = 0; i < 1000; i++) {
        EXPECT_EQ(emulsion_table_find(&table, i / 10 * 512, i % 10), nullptr);
        ASSERT_EQ(emulsion_table_add(&table, i / 10 * 512, i % 10, &handles[i]), 1);
    }
    EXPECT_EQ(table.count, 1000u);
    for (uint64_t i = 0; i < 1000; i++)
        EXPECT_EQ(emulsion_table_find(&table, i / 10 * 512, i % 10), &handles[i]);
    EXPECT_EQ(emulsion_table_find(&table, 1, 0), nullptr);
    EXPECT_EQ(emulsion_table_find_least(&table, 512, 9), &handles[19]);
    EXPECT_EQ(emulsion_table_find_least(&table, 512, 10), nullptr);
    emulsion_table_clear(&table, [](void* handle) {
        (*static_cast<uint64_t*>(handle))++;
        cleared++;
        return 0;
    });
    EXPECT_EQ(cleared, 1000);
    for (uint64_t times : handles) EXPECT_EQ(times, 1u);
    EXPECT_EQ(emulsion_table_find(&table, 0, 0), nullptr);
}

}  // namespace
}  // namespace emulsion::test
