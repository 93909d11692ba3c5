// See opencl_memory.h.
#include "tests/support/opencl_memory.h"

#include <gtest/gtest.h>

#include "runtime/abi/opencl.h"

namespace emulsion::test {

namespace {

const emulsion_opencl_driver& driver() {
    char text[EMULSION_DEVICE_TEXT] = "";
    const emulsion_opencl_driver* found = emulsion_opencl_find(text);
    EXPECT_NE(found, nullptr) << text;
    return *found;
}

}  // namespace

OpenClMemory::OpenClMemory(void* device) : cl_(driver()) {
    int answer = 0;
    context_ = cl_.clCreateContext(nullptr, 1, &device, nullptr, nullptr, &answer);
    EXPECT_EQ(answer, 0);
    queue_ = cl_.clCreateCommandQueue(context_, device, 0, &answer);
    EXPECT_EQ(answer, 0);
}

OpenClMemory::~OpenClMemory() {
    for (auto buffer = buffers_.rbegin(); buffer != buffers_.rend(); buffer++)
        EXPECT_EQ(cl_.clReleaseMemObject(*buffer), 0);
    EXPECT_EQ(cl_.clReleaseCommandQueue(queue_), 0);
    EXPECT_EQ(cl_.clReleaseContext(context_), 0);
}

void* OpenClMemory::buffer(size_t bytes, uint64_t flags, void* host) {
    int answer = 0;
    void* buffer = cl_.clCreateBuffer(context_, flags, bytes, host, &answer);
    EXPECT_EQ(answer, 0);
    if (host == nullptr) {
        EXPECT_EQ(
            cl_.clEnqueueFillBuffer(queue_, buffer, &kPattern, 1, 0, bytes, 0, nullptr, nullptr),
            0);
        EXPECT_EQ(cl_.clFinish(queue_), 0);
    }
    return buffers_.emplace_back(buffer);
}

void* OpenClMemory::part(void* buffer, size_t bytes) {
    const size_t region[2] = {0, bytes};
    int answer = 0;
    void* part = cl_.clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION,
                                       region, &answer);
    EXPECT_EQ(answer, 0);
    return buffers_.emplace_back(part);
}

std::vector<uint8_t> OpenClMemory::read(void* buffer, size_t bytes) const {
    std::vector<uint8_t> values(bytes);
    EXPECT_EQ(cl_.clEnqueueReadBuffer(queue_, buffer, /*blocking=*/1, 0, bytes, values.data(), 0,
                                      nullptr, nullptr),
              0);
    return values;
}

void* opencl_device(int index) {
    char text[EMULSION_DEVICE_TEXT] = "";
    emulsion_device* device = emulsion_opencl.open(index, nullptr, text);
    EXPECT_NE(device, nullptr) << text;
    if (device == nullptr) return nullptr;
    void* id = reinterpret_cast<emulsion_opencl_device*>(device)->id;
    emulsion_opencl.close(device);
    return id;
}

}  // namespace emulsion::test
