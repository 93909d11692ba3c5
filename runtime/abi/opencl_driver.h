/* The functions of OpenCL 1.2 that opencl.c calls, found in libOpenCL.so.1 at first use; no header
 * of OpenCL is needed. Handles are void pointers. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "runtime/abi/device.h"
#ifdef __cplusplus
extern "C" {
#endif

/* FUNCTION(result, name, arguments) of each. */
#define EMULSION_OPENCL_FUNCTIONS(FUNCTION)                                                        \
    FUNCTION(int, clGetPlatformIDs, (uint32_t most, void** platforms, uint32_t* count))            \
    FUNCTION(int, clGetDeviceIDs,                                                                  \
             (void* platform, uint64_t type, uint32_t most, void** devices, uint32_t* count))      \
    FUNCTION(int, clGetDeviceInfo,                                                                 \
             (void* device, uint32_t name, size_t bytes, void* value, size_t* needed))             \
    FUNCTION(void*, clCreateContext,                                                               \
             (const intptr_t* properties, uint32_t count, void* const* devices, void* callback,    \
              void* closure, int* error))                                                          \
    FUNCTION(void*, clCreateCommandQueue,                                                          \
             (void* context, void* device, uint64_t properties, int* error))                       \
    FUNCTION(void*, clCreateBuffer,                                                                \
             (void* context, uint64_t flags, size_t bytes, void* host, int* error))                \
    FUNCTION(void*, clCreateSubBuffer,                                                             \
             (void* buffer, uint64_t flags, uint32_t type, const void* region, int* error))        \
    FUNCTION(void*, clCreateProgramWithSource,                                                     \
             (void* context, uint32_t count, const char** texts, const size_t* bytes, int* error)) \
    FUNCTION(int, clBuildProgram,                                                                  \
             (void* program, uint32_t count, void* const* devices, const char* options,            \
              void* callback, void* closure))                                                      \
    FUNCTION(                                                                                      \
        int, clGetProgramBuildInfo,                                                                \
        (void* program, void* device, uint32_t name, size_t bytes, void* value, size_t* needed))   \
    FUNCTION(void*, clCreateKernel, (void* program, const char* name, int* error))                 \
    FUNCTION(                                                                                      \
        int, clGetKernelWorkGroupInfo,                                                             \
        (void* kernel, void* device, uint32_t name, size_t bytes, void* value, size_t* needed))    \
    FUNCTION(int, clSetKernelArg, (void* kernel, uint32_t index, size_t bytes, const void* value)) \
    FUNCTION(                                                                                      \
        int, clEnqueueNDRangeKernel,                                                               \
        (void* queue, void* kernel, uint32_t rank, const size_t* offset, const size_t* global,     \
         const size_t* local, uint32_t waits, const void* wait, void* event))                      \
    FUNCTION(int, clEnqueueFillBuffer,                                                             \
             (void* queue, void* buffer, const void* pattern, size_t pattern_bytes, size_t offset, \
              size_t bytes, uint32_t waits, const void* wait, void* event))                        \
    FUNCTION(int, clEnqueueWriteBuffer,                                                            \
             (void* queue, void* buffer, uint32_t blocking, size_t offset, size_t bytes,           \
              const void* host, uint32_t waits, const void* wait, void* event))                    \
    FUNCTION(int, clEnqueueReadBuffer,                                                             \
             (void* queue, void* buffer, uint32_t blocking, size_t offset, size_t bytes,           \
              void* host, uint32_t waits, const void* wait, void* event))                          \
    FUNCTION(int, clEnqueueMarkerWithWaitList,                                                     \
             (void* queue, uint32_t waits, const void* wait, void** event))                        \
    FUNCTION(int, clFlush, (void* queue))                                                          \
    FUNCTION(int, clReleaseEvent, (void* event))                                                   \
    FUNCTION(int, clFinish, (void* queue))                                                         \
    FUNCTION(int, clGetContextInfo,                                                                \
             (void* context, uint32_t name, size_t bytes, void* value, size_t* needed))            \
    FUNCTION(int, clGetMemObjectInfo,                                                              \
             (void* buffer, uint32_t name, size_t bytes, void* value, size_t* needed))             \
    FUNCTION(int, clRetainContext, (void* context))                                                \
    FUNCTION(int, clRetainMemObject, (void* buffer))                                               \
    FUNCTION(int, clReleaseMemObject, (void* buffer))                                              \
    FUNCTION(int, clReleaseKernel, (void* kernel))                                                 \
    FUNCTION(int, clReleaseProgram, (void* program))                                               \
    FUNCTION(int, clReleaseCommandQueue, (void* queue))                                            \
    FUNCTION(int, clReleaseContext, (void* context))

typedef struct emulsion_opencl_driver {
#define EMULSION_MEMBER(result, name, arguments) result(*name) arguments;
    EMULSION_OPENCL_FUNCTIONS(EMULSION_MEMBER)
#undef EMULSION_MEMBER
} emulsion_opencl_driver;

/* The driver's functions; null where there is no driver, and `text` says why. */
const emulsion_opencl_driver* emulsion_opencl_find(char text[EMULSION_DEVICE_TEXT]);

/* For tests: what emulsion_opencl_find answers instead, for devices opened from then on. */
extern const emulsion_opencl_driver* emulsion_opencl_stand_in;

/* "CL_OUT_OF_RESOURCES" of -5; "error" of a code that no version defines. */
const char* emulsion_opencl_error_name(int code);

enum {
    CL_INVALID_ARG_INDEX = -49,
    CL_PLATFORM_NOT_FOUND_KHR = -1001,

    CL_DEVICE_TYPE_CPU = 2,
    CL_DEVICE_TYPE_GPU = 4,
    CL_DEVICE_TYPE_NO_GPU = CL_DEVICE_TYPE_CPU | 8, /* 8: accelerators */

    CL_DEVICE_TYPE = 0x1000,
    CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
    CL_DEVICE_MEM_BASE_ADDR_ALIGN = 0x1019, /* in bits */
    CL_DEVICE_GLOBAL_MEM_SIZE = 0x101f,
    CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE = 0x1020,
    CL_DEVICE_MAX_CONSTANT_ARGS = 0x1021,
    CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
    CL_DEVICE_AVAILABLE = 0x1027,
    CL_DEVICE_COMPILER_AVAILABLE = 0x1028,
    CL_DEVICE_NAME = 0x102b,
    CL_DEVICE_VERSION = 0x102f,

    CL_CONTEXT_DEVICES = 0x1081,

    CL_MEM_READ_WRITE = 1,
    CL_MEM_WRITE_ONLY = 1 << 1,
    CL_MEM_READ_ONLY = 1 << 2,
    CL_MEM_HOST_WRITE_ONLY = 1 << 7,
    CL_MEM_HOST_READ_ONLY = 1 << 8,
    CL_MEM_HOST_NO_ACCESS = 1 << 9,
    CL_MEM_OBJECT_BUFFER = 0x10f0,
    CL_MEM_TYPE = 0x1100,
    CL_MEM_FLAGS = 0x1101,
    CL_MEM_SIZE = 0x1102,
    CL_MEM_HOST_PTR = 0x1103,
    CL_MEM_CONTEXT = 0x1106,
    CL_MEM_ASSOCIATED_MEMOBJECT = 0x1107,
    CL_BUFFER_CREATE_TYPE_REGION = 0x1220,
    CL_PROGRAM_BUILD_LOG = 0x1183,
    CL_KERNEL_WORK_GROUP_SIZE = 0x11b0
};

#ifdef __cplusplus
}
#endif
