/* The driver of CUDA. Toolkits alone have a libcuda.so; drivers install libcuda.so.1. */
#include "runtime/abi/cuda_driver.h"

#include "runtime/abi/device_base.h"

const emulsion_cuda_driver* emulsion_cuda_stand_in;

#define EMULSION_NAME(result, member, symbol, arguments) #symbol,
static const char* const names[] = {EMULSION_CUDA_FUNCTIONS(EMULSION_NAME)};
#undef EMULSION_NAME

static union {
    emulsion_cuda_driver driver;
    void* functions[sizeof names / sizeof *names];
} found;
_Static_assert(sizeof found.driver == sizeof found.functions, "a pointer for each name");

static emulsion_driver driver = EMULSION_DRIVER("CUDA", "libcuda.so.1", names, found.functions);

const emulsion_cuda_driver* emulsion_cuda_find(char text[EMULSION_DEVICE_TEXT]) {
    if (emulsion_cuda_stand_in != NULL) return emulsion_cuda_stand_in;
    return emulsion_driver_find(&driver, text) ? &found.driver : NULL;
}
