// A libcuda.so.1 for tests, which libraries and programs find as they would find NVIDIA's. Its
// functions are those of the CudaStandIn that a test names, else of one of its own: without
// devices, but where EMULSION_CUDA_STAND_IN is set with one.
#include <cstdlib>

#include "tests/support/cuda_stand_in.h"

#define EMULSION_EXPORT extern "C" __attribute__((visibility("default")))

// CudaStandIn sets it; what links the runtime itself reads it.
const emulsion_cuda_driver* emulsion_cuda_stand_in;

namespace {

struct Own : emulsion::test::CudaStandIn {
    Own() { devices = std::getenv("EMULSION_CUDA_STAND_IN") == nullptr ? 0 : 1; }
};

Own own;
const emulsion_cuda_driver* in_use = &own.driver;

}  // namespace

// The functions of whoever looks them up from then on; null: those of its own.
EMULSION_EXPORT void use_cuda_stand_in(const emulsion_cuda_driver* driver) {
    in_use = driver == nullptr ? &own.driver : driver;
}

// dlsym asks the first of the two which address the second has.
#define EMULSION_RESOLVE(result, member, symbol, arguments)                \
    extern "C" decltype(emulsion_cuda_driver::member) resolve_##symbol() { \
        return in_use->member;                                             \
    }                                                                      \
    EMULSION_EXPORT __attribute__((ifunc("resolve_" #symbol))) result symbol arguments;
EMULSION_CUDA_FUNCTIONS(EMULSION_RESOLVE)
