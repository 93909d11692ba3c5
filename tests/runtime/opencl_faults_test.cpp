// What an open device of OpenCL says when its driver refuses or fails: the first fault stays, in
// words, and nothing is asked of the driver behind it.
#include "tests/runtime/opencl_support.h"
#include "tests/support/opencl_memory.h"

namespace emulsion::test {
namespace {

using OpenClFaults = OpenClTest;

// ---- Memory ----

int created_buffers;

TEST_F(OpenClFaults, MoreMemoryThanThereIsIsRefusedBeforeItIsAsked) {
    StandIn stand_in;
    stand_in.driver.clGetDeviceInfo = changed_info;
    stand_in.driver.clCreateBuffer = [](void* context, uint64_t flags, size_t bytes, void* host,
                                        int* error) {
        created_buffers++;
        return StandIn::real().clCreateBuffer(context, flags, bytes, host, error);
    };
    changed_facts = {{CL_DEVICE_NAME, std::string("toy", 4)},
                     {CL_DEVICE_GLOBAL_MEM_SIZE, bytes_of_fact(uint64_t{100000})},
                     {CL_DEVICE_MAX_MEM_ALLOC_SIZE, bytes_of_fact(uint64_t{60000})}};
    created_buffers = 0;
    const auto refusal = [](std::vector<uint64_t> sizes) {
        OpenDevice device(emulsion_opencl);
        for (size_t i = 0; i < sizes.size(); i++) {
            const int answer =
                emulsion_opencl.allocate(device.get(), static_cast<int>(i), sizes[i]);
            EXPECT_EQ(answer != 0, i + 1 == sizes.size());
        }
        return std::string(device->text);
    };
    EXPECT_EQ(refusal({60001}),
              "class parameters needs one block of 60001 bytes, but 'toy' gives "
              "blocks of at most 60000");
    EXPECT_EQ(created_buffers, 0);
    EXPECT_EQ(refusal({60000, 40001}),
              "class gradients needs 40001 bytes, but 'toy' has 40000 left of its 100000");
    EXPECT_EQ(created_buffers, 1);
    changed_facts.clear();
}

TEST_F(OpenClFaults, ADriverThatGivesNoMemory) {
    StandIn stand_in;
    OpenDevice device(emulsion_opencl);
    stand_in.driver.clCreateBuffer = [](void*, uint64_t, size_t, void*, int* error) -> void* {
        *error = -4;
        return nullptr;
    };
    EXPECT_EQ(emulsion_opencl.allocate(device.get(), EMULSION_STATE, 4096), -4);
    EXPECT_EQ(
        device->text,
        "clCreateBuffer answers CL_MEM_OBJECT_ALLOCATION_FAILURE (-4) to 4096 bytes of memory "
        "on '" +
            device_name() + "'");
    EXPECT_EQ(device->allocations, 0u);
    // Everything behind it answers the same.
    uint8_t byte = 0;
    EXPECT_EQ(emulsion_opencl.allocate(device.get(), EMULSION_PARAMETERS, 1), -4);
    EXPECT_EQ(emulsion_opencl.view(device.get(), EMULSION_STATE, 0, 1), 0u);
    EXPECT_EQ(emulsion_opencl.upload(device.get(), EMULSION_STATE, 0, &byte, 1), -4);
    EXPECT_EQ(
        emulsion_opencl.download(device.get(), EMULSION_STATE, 0, &byte, 1, EMULSION_ALL_LAUNCHES),
        -4);
    EXPECT_EQ(emulsion_opencl.finish(device.get()), -4);
    const emulsion_device_test test = {EMULSION_STATE, 0, 0, 1, 0, 1};
    EXPECT_EQ(emulsion_opencl.test(device.get(), &test), -4);
}

TEST_F(OpenClFaults, MisuseOfArenasIsRefused) {
    uint8_t byte = 0;
    const auto text_of = [](const std::function<int(emulsion_device*)>& misuse) {
        OpenDevice device(emulsion_opencl);
        emulsion_opencl.allocate(device.get(), EMULSION_WORKSPACE, 4096);
        EXPECT_NE(misuse(device.get()), 0);
        return std::string(device->text);
    };
    EXPECT_EQ(text_of([](emulsion_device* device) {
                  return emulsion_opencl.allocate(device, EMULSION_WORKSPACE, 1);
              }),
              "class workspace has an arena already");
    EXPECT_EQ(text_of([](emulsion_device* device) {
                  return emulsion_opencl.allocate(device, EMULSION_CLASSES, 1);
              }),
              "there is no class of memory 6");
    EXPECT_EQ(text_of([&](emulsion_device* device) {
                  return emulsion_opencl.upload(device, EMULSION_WORKSPACE, 4096, &byte, 1);
              }),
              "1 bytes from byte 4096 on of class workspace are asked for, but its arena has 4096");
    EXPECT_EQ(text_of([&](emulsion_device* device) {
                  return emulsion_opencl.download(device, EMULSION_STATE, 0, &byte, 1,
                                                  EMULSION_ALL_LAUNCHES);
              }),
              "1 bytes from byte 0 on of class state are asked for, but its arena has 0");
    EXPECT_EQ(
        text_of([](emulsion_device* device) {
            return emulsion_opencl.view(device, EMULSION_WORKSPACE, 4, 8) == 0;
        }),
        "clCreateSubBuffer answers CL_MISALIGNED_SUB_BUFFER_OFFSET (-13) to a view of 8 bytes "
        "from byte 4 on '" +
            device_name() + "'");
}

// What a device in the caller's context says of a block for the workspace, of which it needs 4096
// bytes.
std::string refused_block(const OpenClMemory& memory, void* block) {
    OpenDevice device(emulsion_opencl, 0, memory.context());
    EXPECT_NE(emulsion_opencl.adopt(device.get(), EMULSION_WORKSPACE,
                                    reinterpret_cast<uint64_t>(block), 4096),
              0);
    return device->text;
}

TEST_F(OpenClFaults, BuffersOfTheCallerThatAreNoArenas) {
    OpenClMemory memory(opencl_device(0)), other(opencl_device(0));
    const std::string block = "the block of class workspace ";
    EXPECT_EQ(refused_block(memory, memory.buffer(4095)), block + "has 4095 bytes, but needs 4096");
    EXPECT_EQ(refused_block(memory, other.buffer(4096)), block + "is of another context");
    EXPECT_EQ(refused_block(memory, memory.part(memory.buffer(8192), 4096)),
              block + "is a part of another buffer");
    std::vector<uint8_t> host(4096 + 1024);
    const auto address = (reinterpret_cast<uintptr_t>(host.data()) + 511) / 512 * 512;
    const uint64_t use_host = 1 << 3,
                   none[] = {CL_MEM_READ_ONLY, CL_MEM_WRITE_ONLY, CL_MEM_HOST_READ_ONLY,
                             CL_MEM_HOST_WRITE_ONLY, CL_MEM_HOST_NO_ACCESS};
    for (uint64_t flags : none) {
        void* one_way = memory.buffer(4096, flags | use_host, reinterpret_cast<void*>(address));
        EXPECT_EQ(refused_block(memory, one_way),
                  block + "is not for reading and writing by both kernels and the host");
    }
    const std::string refusal =
        refused_block(memory, memory.buffer(4096, use_host, reinterpret_cast<void*>(address + 64)));
    EXPECT_EQ(refusal.rfind(block + "is at 0x", 0), 0u) << refusal;
    EXPECT_NE(refusal.find(", no multiple of 512 bytes"), std::string::npos) << refusal;

    OpenDevice device(emulsion_opencl, 0, memory.context());
    const auto sound =
        reinterpret_cast<uint64_t>(memory.buffer(4096, use_host, reinterpret_cast<void*>(address)));
    EXPECT_EQ(emulsion_opencl.adopt(device.get(), EMULSION_STATE, sound, 4096), 0) << device->text;
    EXPECT_NE(emulsion_opencl.adopt(device.get(), EMULSION_WORKSPACE, sound, 4096), 0);
    EXPECT_EQ(device->text, block + "is that of class state too");
}

TEST_F(OpenClFaults, ADriverThatRefusesWhatTheCallerHandsIn) {
    OpenClMemory memory(opencl_device(0));
    void* buffer = memory.buffer(4096);
    char text[EMULSION_DEVICE_TEXT] = "";
    const std::string name = " on '" + device_name() + "'";
    StandIn stand_in;
    stand_in.driver.clRetainMemObject = [](void*) { return -38; };
    EXPECT_EQ(
        refused_block(memory, buffer),
        "clRetainMemObject answers CL_INVALID_MEM_OBJECT (-38) to a block of the caller's" + name);
    stand_in.driver.clGetMemObjectInfo = [](void*, uint32_t fact, size_t, void* value, size_t*) {
        if (fact == CL_MEM_SIZE) return -38;
        *static_cast<uint32_t*>(value) = CL_MEM_OBJECT_BUFFER + 1;
        return 0;
    };
    EXPECT_EQ(
        refused_block(memory, buffer),
        "clGetMemObjectInfo answers CL_INVALID_MEM_OBJECT (-38) to a block of the caller's" + name);
    stand_in.driver.clGetMemObjectInfo = [](void*, uint32_t fact, size_t, void* value, size_t*) {
        if (fact == CL_MEM_TYPE) *static_cast<uint32_t*>(value) = CL_MEM_OBJECT_BUFFER + 1;
        return 0;
    };
    EXPECT_EQ(refused_block(memory, buffer), "the block of class workspace is no buffer");

    stand_in.driver.clRetainContext = [](void*) { return -34; };
    EXPECT_EQ(emulsion_opencl.open(0, memory.context(), text), nullptr);
    EXPECT_EQ(text,
              "clRetainContext answers CL_INVALID_CONTEXT (-34) to the context of the "
              "caller's" +
                  name);
    stand_in.driver.clGetContextInfo = [](void*, uint32_t, size_t, void*, size_t*) { return -34; };
    EXPECT_EQ(emulsion_opencl.open(0, memory.context(), text), nullptr);
    EXPECT_EQ(text,
              "clGetContextInfo answers CL_INVALID_CONTEXT (-34) to the context of the "
              "caller's" +
                  name);
    stand_in.driver.clGetContextInfo = [](void*, uint32_t, size_t, void*, size_t* bytes) {
        *bytes = 0;
        return 0;
    };
    EXPECT_EQ(emulsion_opencl.open(0, memory.context(), text), nullptr);
    EXPECT_EQ(text, "the context of the caller's is none of '" + device_name() + "'");
}

// ---- Programs ----

TEST_F(OpenClFaults, AProgramThatIsRefusedIsQuoted) {
    TextProgram program = scaling_program();
    program.source = "__kernel void scale(__global float* values) { values[0] = undeclared; }";
    Scaled scaled(program);
    EXPECT_EQ(scaled.scale(2), -11);
    const std::string text = scaled.device()->text;
    EXPECT_EQ(text.rfind("clBuildProgram answers CL_BUILD_PROGRAM_FAILURE (-11) on '" +
                             device_name() + "': ...",
                         0),
              0u)
        << text;
    EXPECT_NE(text.find("undeclared"), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_EQ(scaled.device()->programs, 0u);
    EXPECT_EQ(scaled.device()->launches, 0u);
}

TEST_F(OpenClFaults, AKernelThatIsNotThere) {
    TextProgram program = scaling_program();
    program.name = "other";
    Scaled scaled(program);
    EXPECT_EQ(scaled.scale(2), -46);
    EXPECT_EQ(scaled.device()->text,
              "clCreateKernel answers CL_INVALID_KERNEL_NAME (-46) to "
              "'other' on '" +
                  device_name() + "'");
}

TEST_F(OpenClFaults, MoreThreadsThanAKernelRunsWith) {
    StandIn stand_in;
    stand_in.driver.clGetKernelWorkGroupInfo = [](void*, void*, uint32_t, size_t, void* value,
                                                  size_t*) {
        *static_cast<size_t*>(value) = 63;
        return 0;
    };
    TextProgram program = scaling_program();
    Scaled scaled(program);
    scaled.device()->dry = 1;  // it is told before anything runs
    EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
    EXPECT_EQ(scaled.device()->text,
              "'scale' needs 64 threads a block, but '" + device_name() + "' runs it with 63");
    stand_in.driver.clGetKernelWorkGroupInfo = [](void*, void*, uint32_t, size_t, void*, size_t*) {
        return -6;
    };
    Scaled untold(program);
    untold.device()->dry = 1;
    EXPECT_EQ(untold.scale(2), -6);
    EXPECT_EQ(untold.device()->text,
              "clGetKernelWorkGroupInfo answers CL_OUT_OF_HOST_MEMORY (-6) to 'scale' on '" +
                  device_name() + "'");
}

TEST_F(OpenClFaults, MoreSharedMemoryThanABlockHas) {
    StandIn stand_in;
    stand_in.driver.clGetDeviceInfo = changed_info;
    changed_facts = {{CL_DEVICE_LOCAL_MEM_SIZE, bytes_of_fact(uint64_t{1000})}};
    TextProgram program = scaling_program();
    Scaled scaled(program), fitting(program);
    changed_facts.clear();
    scaled.device()->dry = 1;
    EXPECT_EQ(scaled.scale(2, 1001), EMULSION_DEVICE_REFUSED);
    EXPECT_EQ(scaled.device()->text,
              "'scale' needs 1001 bytes of shared memory, but '" + device_name() + "' has 1000");
    EXPECT_EQ(fitting.scale(2, 1000), 0);
}

TEST_F(OpenClFaults, AnArgumentOnTheProcessor) {
    TextProgram program = scaling_program();
    Scaled scaled(program);
    scaled.forget_view();
    EXPECT_EQ(scaled.scale(2), EMULSION_DEVICE_REFUSED);
    EXPECT_STREQ(scaled.device()->text, "argument 0 of 'scale' is not on the device");
}

TEST_F(OpenClFaults, AnArgumentThatIsTooMuch) {
    TextProgram program = scaling_program();
    program.source = "__kernel void scale(__global float* values) { values[0] = 1; }";
    Scaled scaled(program);
    EXPECT_EQ(scaled.scale(2), -49);
    EXPECT_EQ(scaled.device()->text,
              "clSetKernelArg answers CL_INVALID_ARG_INDEX (-49) to argument 1 of 'scale' on '" +
                  device_name() + "'");
}

// ---- Launches ----

int launches_left;

TEST_F(OpenClFaults, ADeviceThatIsLostAtALaunch) {
    StandIn stand_in;
    TextProgram program = scaling_program();
    Scaled scaled(program), sound(program);
    scaled.upload(1);
    stand_in.driver.clEnqueueNDRangeKernel =
        [](void* queue, void* kernel, uint32_t rank, const size_t* offset, const size_t* global,
           const size_t* local, uint32_t waits, const void* wait, void* event) {
            if (launches_left-- <= 0) return -5;
            return StandIn::real().clEnqueueNDRangeKernel(queue, kernel, rank, offset, global,
                                                          local, waits, wait, event);
        };
    launches_left = 2;
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(scaled.scale(2), -5);
    EXPECT_EQ(scaled.scale(2), -5);
    EXPECT_EQ(launches_left, -1) << "the driver is left alone";
    EXPECT_EQ(scaled.device()->launches, 2u);
    EXPECT_EQ(scaled.device()->text,
              "clEnqueueNDRangeKernel answers CL_OUT_OF_RESOURCES (-5) to "
              "16 x 1 x 1 blocks of 64 x 1 x 1 of 'scale' on '" +
                  device_name() + "'");
    EXPECT_EQ(emulsion_opencl.finish(scaled.device().get()), -5);
    launches_left = 1;
    EXPECT_EQ(sound.scale(2), 0) << "another device's fault";
}

TEST_F(OpenClFaults, ADeviceThatIsLostWhileItRuns) {
    StandIn stand_in;
    TextProgram program = scaling_program();
    Scaled scaled(program);
    stand_in.driver.clFinish = [](void*) { return -36; };
    EXPECT_EQ(scaled.scale(2), 0);
    EXPECT_EQ(emulsion_opencl.finish(scaled.device().get()), -36);
    EXPECT_EQ(scaled.device()->text,
              "clFinish answers CL_INVALID_COMMAND_QUEUE (-36) behind the "
              "launch of 'scale' on '" +
                  device_name() + "'");
    stand_in.driver.clFinish = StandIn::real().clFinish;
}

// ---- Leaks ----

int made, retained, released;

template <auto member>
int count_release(void* handle) {
    released++;
    return (StandIn::real().*member)(handle);
}

TEST_F(OpenClFaults, ClosingReleasesWhatWasMade) {
    OpenClMemory memory(opencl_device(0));
    const auto block = reinterpret_cast<uint64_t>(memory.buffer(512));
    StandIn stand_in;
    emulsion_opencl_driver& driver = stand_in.driver;
    made = retained = released = 0;
    driver.clCreateContext = [](const intptr_t* properties, uint32_t count, void* const* devices,
                                void* callback, void* closure, int* error) {
        made++;
        return StandIn::real().clCreateContext(properties, count, devices, callback, closure,
                                               error);
    };
    driver.clCreateCommandQueue = [](void* context, void* device, uint64_t properties, int* error) {
        made++;
        return StandIn::real().clCreateCommandQueue(context, device, properties, error);
    };
    driver.clCreateBuffer = [](void* context, uint64_t flags, size_t bytes, void* host,
                               int* error) {
        made++;
        return StandIn::real().clCreateBuffer(context, flags, bytes, host, error);
    };
    driver.clCreateSubBuffer = [](void* buffer, uint64_t flags, uint32_t type, const void* region,
                                  int* error) {
        made++;
        return StandIn::real().clCreateSubBuffer(buffer, flags, type, region, error);
    };
    driver.clCreateProgramWithSource = [](void* context, uint32_t count, const char** texts,
                                          const size_t* bytes, int* error) {
        made++;
        return StandIn::real().clCreateProgramWithSource(context, count, texts, bytes, error);
    };
    driver.clCreateKernel = [](void* program, const char* name, int* error) {
        made++;
        return StandIn::real().clCreateKernel(program, name, error);
    };
    driver.clRetainContext = [](void* context) {
        retained++;
        return StandIn::real().clRetainContext(context);
    };
    driver.clRetainMemObject = [](void* buffer) {
        retained++;
        return StandIn::real().clRetainMemObject(buffer);
    };
    driver.clReleaseMemObject = count_release<&emulsion_opencl_driver::clReleaseMemObject>;
    driver.clReleaseKernel = count_release<&emulsion_opencl_driver::clReleaseKernel>;
    driver.clReleaseProgram = count_release<&emulsion_opencl_driver::clReleaseProgram>;
    driver.clReleaseCommandQueue = count_release<&emulsion_opencl_driver::clReleaseCommandQueue>;
    driver.clReleaseContext = count_release<&emulsion_opencl_driver::clReleaseContext>;
    {
        TextProgram program = scaling_program();
        Scaled scaled(program);
        scaled.scale(2);
        emulsion_opencl.allocate(scaled.device().get(), EMULSION_STATE, 512);
        const emulsion_device_test test = {EMULSION_WORKSPACE, 0, 0, 1, 512, 1};
        emulsion_opencl.test(scaled.device().get(), &test);
        EXPECT_EQ(scaled.device()->error, 0);
        EXPECT_EQ(released, 0);
    }
    EXPECT_EQ(made, 13);  // context, two queues, two buffers, four views, two programs, two kernels
    EXPECT_EQ(released, made);
    {
        OpenDevice device(emulsion_opencl, 0, memory.context());
        emulsion_opencl.adopt(device.get(), EMULSION_STATE, block, 512);
        EXPECT_EQ(device->error, 0) << device->text;
    }
    EXPECT_EQ(made, 15);  // two queues more
    EXPECT_EQ(retained, 2);
    EXPECT_EQ(released, made + retained);
}

}  // namespace
}  // namespace emulsion::test
