/* The driver of CUDA. Toolkits alone have a libcuda.so; drivers install libcuda.so.1. */
#include "runtime/abi/cuda_driver.h"

#include <pthread.h>
#include <string.h>

#include "runtime/abi/device_base.h"

const emulsion_cuda_driver* emulsion_cuda_stand_in;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static emulsion_cuda_driver found;
static int is_found;
static char why_not[EMULSION_DEVICE_TEXT];

int emulsion_cuda_load(const char* library, emulsion_cuda_driver* driver,
                       char text[EMULSION_DEVICE_TEXT]) {
#define EMULSION_NAME(result, member, symbol, arguments) #symbol,
    static const char* const names[] = {EMULSION_CUDA_FUNCTIONS(EMULSION_NAME)};
#undef EMULSION_NAME
    enum { kCount = sizeof names / sizeof *names };
    void* functions[kCount];
    _Static_assert(sizeof *driver == sizeof functions, "a pointer for each name");
    if (!emulsion_driver_load(library, names, functions, kCount, text)) return 0;
    memcpy(driver, functions, sizeof functions);
    return 1;
}

static void find(void) { is_found = emulsion_cuda_load("libcuda.so.1", &found, why_not); }

const emulsion_cuda_driver* emulsion_cuda_find(char text[EMULSION_DEVICE_TEXT]) {
    if (emulsion_cuda_stand_in != NULL) return emulsion_cuda_stand_in;
    pthread_once(&once, find);
    if (is_found) return &found;
    memcpy(text, why_not, EMULSION_DEVICE_TEXT);
    return NULL;
}
