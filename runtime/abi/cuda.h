/* What the two files of CUDA share: cuda.c (devices and memory) and cuda_launch.c (programs,
 * kernels, launches). */
#pragma once
#include "runtime/abi/cuda_driver.h"
#include "runtime/abi/device_base.h"

typedef struct emulsion_cuda_device {
    emulsion_device_base base;
    const emulsion_cuda_driver* cu;
    int id;
    uint32_t adopted; /* bits of the classes whose arenas are the caller's */
    void* context;
    void *stream, *copies;              /* of launches, of copies */
    void* marks[EMULSION_DEVICE_MARKS]; /* events */
    uint64_t arenas[EMULSION_CLASSES];  /* addresses; 0: none */
} emulsion_cuda_device;

/* Makes the device's context the calling thread's; the thread's own comes back with
 * emulsion_cuda_leave, which is due only after 0. */
int emulsion_cuda_enter(emulsion_cuda_device* device);
/* Returns `result`. */
int emulsion_cuda_leave(emulsion_cuda_device* device, int result);

/* Keeps the driver's `answer`, which is not 0, to a call of `function`. `what` goes on: "to an
 * arena". */
int emulsion_cuda_fail(emulsion_cuda_device* device, int answer, const char* function,
                       const char* what);
/* The same, if it is not 0, of a call that waits for the kernels launched before it. */
int emulsion_cuda_waited(emulsion_cuda_device* device, int answer, const char* function);

/* emulsion_device_api::test and probe. */
int emulsion_cuda_test(emulsion_device* device, const emulsion_device_test* test);
int emulsion_cuda_probe(emulsion_device* device, const emulsion_device_probe* probe);
