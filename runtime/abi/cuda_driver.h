/* The functions of CUDA's driver that cuda.c calls, found in libcuda.so.1 at first use; no header
 * of CUDA is needed. Handles are void pointers, addresses of the device 64-bit numbers, devices
 * ints. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "runtime/abi/device.h"
#ifdef __cplusplus
extern "C" {
#endif

/* FUNCTION(result, member, symbol, arguments) of each. */
#define EMULSION_CUDA_FUNCTIONS(FUNCTION)                                                         \
    FUNCTION(int, init, cuInit, (unsigned flags))                                                 \
    FUNCTION(int, error_name, cuGetErrorName, (int error, const char** name))                     \
    FUNCTION(int, error_text, cuGetErrorString, (int error, const char** text))                   \
    FUNCTION(int, device_count, cuDeviceGetCount, (int* count))                                   \
    FUNCTION(int, device_get, cuDeviceGet, (int* device, int index))                              \
    FUNCTION(int, device_name, cuDeviceGetName, (char* name, int bytes, int device))              \
    FUNCTION(int, device_memory, cuDeviceTotalMem_v2, (size_t* bytes, int device))                \
    FUNCTION(int, device_attribute, cuDeviceGetAttribute, (int* value, int name, int device))     \
    FUNCTION(int, context_retain, cuDevicePrimaryCtxRetain, (void** context, int device))         \
    FUNCTION(int, context_release, cuDevicePrimaryCtxRelease_v2, (int device))                    \
    FUNCTION(int, context_push, cuCtxPushCurrent_v2, (void* context))                             \
    FUNCTION(int, context_pop, cuCtxPopCurrent_v2, (void** context))                              \
    FUNCTION(int, stream_create, cuStreamCreate, (void** stream, unsigned flags))                 \
    FUNCTION(int, stream_destroy, cuStreamDestroy_v2, (void* stream))                             \
    FUNCTION(int, stream_wait, cuStreamSynchronize, (void* stream))                               \
    FUNCTION(int, stream_wait_event, cuStreamWaitEvent,                                           \
             (void* stream, void* event, unsigned flags))                                         \
    FUNCTION(int, event_create, cuEventCreate, (void** event, unsigned flags))                    \
    FUNCTION(int, event_record, cuEventRecord, (void* event, void* stream))                       \
    FUNCTION(int, event_destroy, cuEventDestroy_v2, (void* event))                                \
    FUNCTION(int, memory_info, cuMemGetInfo_v2, (size_t* free, size_t* all))                      \
    FUNCTION(int, memory_allocate, cuMemAlloc_v2, (uint64_t* address, size_t bytes))              \
    FUNCTION(int, memory_free, cuMemFree_v2, (uint64_t address))                                  \
    FUNCTION(int, memory_range, cuMemGetAddressRange_v2,                                          \
             (uint64_t* base, size_t* bytes, uint64_t address))                                   \
    FUNCTION(int, pointer_attribute, cuPointerGetAttribute,                                       \
             (void* value, int name, uint64_t address))                                           \
    FUNCTION(int, memory_set, cuMemsetD8Async,                                                    \
             (uint64_t address, unsigned char value, size_t bytes, void* stream))                 \
    FUNCTION(int, copy_in, cuMemcpyHtoDAsync_v2,                                                  \
             (uint64_t address, const void* host, size_t bytes, void* stream))                    \
    FUNCTION(int, copy_out, cuMemcpyDtoHAsync_v2,                                                 \
             (void* host, uint64_t address, size_t bytes, void* stream))                          \
    FUNCTION(int, module_load, cuModuleLoadDataEx,                                                \
             (void** module, const void* text, unsigned count, int* options, void** values))      \
    FUNCTION(int, module_unload, cuModuleUnload, (void* module))                                  \
    FUNCTION(int, module_function, cuModuleGetFunction,                                           \
             (void** function, void* module, const char* name))                                   \
    FUNCTION(int, function_attribute, cuFuncGetAttribute, (int* value, int name, void* function)) \
    FUNCTION(int, function_set, cuFuncSetAttribute, (void* function, int name, int value))        \
    FUNCTION(int, launch, cuLaunchKernel,                                                         \
             (void* function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z,            \
              unsigned threads_x, unsigned threads_y, unsigned threads_z, unsigned shared,        \
              void* stream, void** arguments, void** extra))

typedef struct emulsion_cuda_driver {
#define EMULSION_MEMBER(result, member, symbol, arguments) result(*member) arguments;
    EMULSION_CUDA_FUNCTIONS(EMULSION_MEMBER)
#undef EMULSION_MEMBER
} emulsion_cuda_driver;

/* The driver's functions; null where there is no driver, and `text` says why. */
const emulsion_cuda_driver* emulsion_cuda_find(char text[EMULSION_DEVICE_TEXT]);

/* For tests: what emulsion_cuda_find answers instead, for devices opened from then on. */
extern const emulsion_cuda_driver* emulsion_cuda_stand_in;

enum {
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    CU_STREAM_NON_BLOCKING = 1,
    CU_EVENT_DISABLE_TIMING = 2,
    CU_MEMORYTYPE_DEVICE = 2,
    CU_POINTER_ATTRIBUTE_CONTEXT = 1,
    CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
    CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
    CU_JIT_ERROR_LOG_BUFFER = 5,
    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
    CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
};

#ifdef __cplusplus
}
#endif
