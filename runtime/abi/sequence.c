/* Sequences of kernels: run in order, on a device looked after, timed where a profile is wanted. */
#define _GNU_SOURCE
#include <time.h>

#include "runtime/abi/device.h"
#include "runtime/abi/internal.h"

int emulsion_fail_kernel(emulsion_instance* instance, int kernel, int status) {
    const emulsion_info* info = instance->library->info;
    emulsion_fail(instance, status, "kernel ");
    emulsion_append_number(instance, kernel);
    if (kernel < info->kernel_count) {
        emulsion_append(instance, " (");
        emulsion_append(instance, info->kernels[kernel]);
        emulsion_append(instance, ")");
    }
    return status;
}

/* Kernel `i` of the sequence, and on a device its end where it is to be timed. */
static int run_kernel(emulsion_instance* instance, const emulsion_sequence* sequence, int i) {
    const int error = sequence->kernels[i](instance);
    if (__builtin_expect(error != 0, 0)) {
        emulsion_fail_kernel(instance, sequence->first + i, error);
        emulsion_append(instance, " failed a check with Halide's error ");
        emulsion_append_number(instance, error);
        return error;
    }
    if (instance->device == NULL) return EMULSION_OK;
    if (instance->profile != NULL) instance->device->api->finish(instance->device);
    return emulsion_device_check(instance, sequence->first + i);
}

double emulsion_seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int run_profiled(emulsion_instance* instance, const emulsion_sequence* sequence) {
    for (int i = 0; i < sequence->count; i++) {
        const double start = emulsion_seconds_now();
        const int status = run_kernel(instance, sequence, i);
        const double seconds = emulsion_seconds_now() - start;
        if (status != EMULSION_OK) return status;
        instance->profile(instance->profile_self, sequence->first + i, seconds);
    }
    return EMULSION_OK;
}

static int run_plainly(emulsion_instance* instance, const emulsion_sequence* sequence) {
    if (instance->profile != NULL) return run_profiled(instance, sequence);
    for (int i = 0; i < sequence->count; i++) {
        const int status = run_kernel(instance, sequence, i);
        if (__builtin_expect(status != EMULSION_OK, 0)) return status;
    }
    return EMULSION_OK;
}

/* A pool that broke its contract has left work undone. */
int emulsion_check_pool(emulsion_instance* instance, int status) {
    if (__atomic_exchange_n(&instance->pool_fault, 0, __ATOMIC_RELAXED) == 0) return status;
    return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                         "options.pool.parallel_for returned before each index was done once, by a "
                         "worker of 0 to threads - 1");
}

int emulsion_run_sequence(emulsion_instance* instance, const emulsion_sequence* sequence) {
    return emulsion_check_pool(instance, run_plainly(instance, sequence));
}
