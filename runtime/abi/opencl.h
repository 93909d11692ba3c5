/* What the files of OpenCL share: opencl.c (devices), opencl_memory.c (arenas, views, copies) and
 * opencl_launch.c (programs, kernels, launches). */
#pragma once
#include "runtime/abi/device_base.h"
#include "runtime/abi/opencl_driver.h"

typedef struct emulsion_opencl_device {
    emulsion_device_base base;
    const emulsion_opencl_driver* cl;
    void *id, *context;
    void *queue, *copies;               /* of launches, of copies */
    void* marks[EMULSION_DEVICE_MARKS]; /* events; null: not set */
    void* arenas[EMULSION_CLASSES];
    emulsion_table views[EMULSION_CLASSES];
    uint64_t shared_bytes; /* of a block, at most */
    char options[96];      /* of programs */
} emulsion_opencl_device;

/* Keeps the driver's `answer`, which is not 0, to a call of `function`. `what` goes on: "to a
 * view". */
int emulsion_opencl_fail(emulsion_opencl_device* device, int answer, const char* function,
                         const char* what);
/* The same, if it is not 0, of a call that waits for the kernels launched before it. */
int emulsion_opencl_waited(emulsion_opencl_device* device, int answer, const char* function);

/* The members of emulsion_device_api, in opencl_memory.c but for test and probe. */
int emulsion_opencl_allocate(emulsion_device* device, int memory_class, uint64_t bytes);
int emulsion_opencl_adopt(emulsion_device* device, int memory_class, uint64_t block,
                          uint64_t bytes);
uint64_t emulsion_opencl_view(emulsion_device* device, int memory_class, uint64_t offset,
                              uint64_t bytes);
int emulsion_opencl_upload(emulsion_device* device, int memory_class, uint64_t offset,
                           const void* host, uint64_t bytes);
int emulsion_opencl_download(emulsion_device* device, int memory_class, uint64_t offset, void* host,
                             uint64_t bytes, int mark);
int emulsion_opencl_test(emulsion_device* device, const emulsion_device_test* test);
int emulsion_opencl_probe(emulsion_device* device, const emulsion_device_probe* probe);
