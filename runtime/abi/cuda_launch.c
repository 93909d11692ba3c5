/* Programs, kernels and launches by CUDA: what Halide's kernels call, and the test for values that
 * are not finite. */
#include <stdio.h>
#include <string.h>

#include "runtime/abi/cuda.h"

typedef emulsion_cuda_device Device;

enum {
    kMostArguments = 64,    /* of a kernel */
    kSharedBytes = 48 << 10 /* more shared memory has to be asked for */
};

/* PTX is compiled by the driver, which keeps what it has compiled. */
static int build(Device* device, const char* source) {
    const emulsion_cuda_driver* cu = device->cu;
    char log[2048] = "", tail[128];
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void* values[] = {log, (void*)(uintptr_t)(sizeof log - 1)};
    void* module = NULL;
    const int answer = cu->module_load(&module, source, 2, options, values);
    if (answer != 0) {
        emulsion_log_tail(log, tail, sizeof tail);
        char what[160];
        snprintf(what, sizeof what, "to a program (...%s)", tail);
        return emulsion_cuda_fail(device, answer, "cuModuleLoadDataEx", what);
    }
    if (emulsion_device_add(&device->base, &device->base.programs, (uintptr_t)source, 0, module) !=
        0) {
        cu->module_unload(module);
        return device->base.head.error;
    }
    device->base.head.programs++;
    return 0;
}

/* 0 once the device has the program of this text. REQUIRES: entered. */
static int ready_program(Device* device, const char* source) {
    if (emulsion_table_find(&device->base.programs, (uintptr_t)source, 0) != NULL) return 0;
    return build(device, source);
}

/* Null where it fails. REQUIRES: entered. */
static void* ready_kernel(Device* device, const char* source, const char* name, int threads,
                          int shared) {
    const emulsion_cuda_driver* cu = device->cu;
    emulsion_device_base* base = &device->base;
    void* kernel = emulsion_table_find(&base->kernels, (uintptr_t)source, (uintptr_t)name);
    if (kernel != NULL) return kernel;
    char what[128];
    int most = 0;
    void* program = emulsion_table_find(&base->programs, (uintptr_t)source, 0);
    const char* function = "cuModuleGetFunction";
    int answer = cu->module_function(&kernel, program, name);
    if (answer == 0) {
        function = "cuFuncGetAttribute";
        answer = cu->function_attribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel);
    }
    if (answer == 0 && shared > kSharedBytes) {
        function = "cuFuncSetAttribute";
        answer = cu->function_set(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared);
    }
    if (answer != 0) {
        snprintf(what, sizeof what, "to '%.99s'", name);
        emulsion_cuda_fail(device, answer, function, what);
    } else if (most < threads) {
        emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' needs %d threads a block, but '%.60s' runs it with %d", name,
                             threads, base->facts.name, most);
    } else if (emulsion_device_add(base, &base->kernels, (uintptr_t)source, (uintptr_t)name,
                                   kernel) == 0) {
        base->head.kernels++;
        return kernel;
    }
    return NULL;
}

typedef struct Shape {
    int blocks[3], threads[3];
    int shared; /* bytes */
} Shape;

static int launch(Device* device, void* kernel, const char* name, const Shape* shape,
                  void** arguments) {
    const int *blocks = shape->blocks, *threads = shape->threads;
    const int answer =
        device->cu->launch(kernel, (unsigned)blocks[0], (unsigned)blocks[1], (unsigned)blocks[2],
                           (unsigned)threads[0], (unsigned)threads[1], (unsigned)threads[2],
                           (unsigned)shape->shared, device->stream, arguments, NULL);
    if (answer != 0) {
        char what[128];
        snprintf(what, sizeof what, "to %d x %d x %d blocks of %d x %d x %d of '%.60s'", blocks[0],
                 blocks[1], blocks[2], threads[0], threads[1], threads[2], name);
        return emulsion_cuda_fail(device, answer, "cuLaunchKernel", what);
    }
    device->base.head.launches++;
    device->base.latest = name;
    return 0;
}

/* The test for values that are not finite: the smallest index that any thread sees, so that the
 * answer does not depend on their order. An exponent of ones is a NaN's or an infinity's. */

static const char kFiniteName[] = "first_not_finite";
static const char kFiniteSource[] =
    ".version 7.0\n"
    ".target sm_80\n"
    ".address_size 64\n"
    ".visible .entry first_not_finite(.param .u64 values, .param .u64 count, .param .u64 first)\n"
    "{\n"
    "    .reg .pred %done, %found;\n"
    "    .reg .b32 %block, %threads, %blocks, %thread, %bits;\n"
    "    .reg .b64 %values, %count, %first, %index, %step, %at, %wide;\n"
    "    ld.param.u64 %values, [values];\n"
    "    ld.param.u64 %count, [count];\n"
    "    ld.param.u64 %first, [first];\n"
    "    cvta.to.global.u64 %values, %values;\n"
    "    cvta.to.global.u64 %first, %first;\n"
    "    mov.u32 %block, %ctaid.x;\n"
    "    mov.u32 %threads, %ntid.x;\n"
    "    mov.u32 %blocks, %nctaid.x;\n"
    "    mov.u32 %thread, %tid.x;\n"
    "    cvt.u64.u32 %wide, %thread;\n"
    "    mad.wide.u32 %index, %block, %threads, %wide;\n"
    "    mul.wide.u32 %step, %blocks, %threads;\n"
    "next:\n"
    "    setp.ge.u64 %done, %index, %count;\n"
    "    @%done bra end;\n"
    "    shl.b64 %at, %index, 2;\n"
    "    add.s64 %at, %values, %at;\n"
    "    ld.global.b32 %bits, [%at];\n"
    "    and.b32 %bits, %bits, 0x7f800000;\n"
    "    setp.eq.u32 %found, %bits, 0x7f800000;\n"
    "    @%found bra tell;\n"
    "    add.s64 %index, %index, %step;\n"
    "    bra next;\n"
    "tell:\n"
    "    red.global.min.u64 [%first], %index;\n"
    "end:\n"
    "    ret;\n"
    "}\n";

enum { kFiniteThreads = 256, kFiniteBlocks = 1024, kNone = -1 };

static int test(Device* device, void* kernel, uint64_t values, uint64_t count, int64_t* index) {
    const emulsion_cuda_driver* cu = device->cu;
    uint64_t first = UINT64_MAX; /* also what the device begins with */
    int answer = cu->memory_set(device->answer, 0xff, sizeof first, device->stream);
    if (answer != 0)
        return emulsion_cuda_fail(device, answer, "cuMemsetD8Async", "to the answer's start");
    const uint64_t blocks = (count - 1) / kFiniteThreads + 1;
    const Shape shape = {
        {blocks < kFiniteBlocks ? (int)blocks : kFiniteBlocks, 1, 1}, {kFiniteThreads, 1, 1}, 0};
    void* arguments[] = {&values, &count, &device->answer};
    if (launch(device, kernel, kFiniteName, &shape, arguments) != 0) return device->base.head.error;
    device->base.head.downloads++;
    device->base.head.downloaded_bytes += sizeof first;
    answer = cu->copy_out(&first, device->answer, sizeof first, device->stream);
    if (emulsion_cuda_waited(device, answer, "cuMemcpyDtoHAsync") != 0 ||
        emulsion_cuda_waited(device, cu->stream_wait(device->stream), "cuStreamSynchronize") != 0)
        return device->base.head.error;
    *index = first == UINT64_MAX ? kNone : (int64_t)first;
    return 0;
}

int emulsion_cuda_first_not_finite(emulsion_device* head, int memory_class, uint64_t offset,
                                   uint64_t count, int64_t* index) {
    Device* device = (Device*)head;
    *index = kNone;
    if (emulsion_device_check_floats(&device->base, memory_class, offset, count) != 0 ||
        emulsion_cuda_enter(device) != 0)
        return head->error;
    void* kernel = NULL;
    if (ready_program(device, kFiniteSource) == 0)
        kernel = ready_kernel(device, kFiniteSource, kFiniteName, kFiniteThreads, 0);
    if (kernel != NULL && count > 0 && !head->dry)
        test(device, kernel, device->arenas[memory_class] + offset, count, index);
    return emulsion_cuda_leave(device, head->error);
}

/* What Halide's kernels call; they drop what it returns. */

int halide_cuda_initialize_kernels(void* user_context, void** state, const char* source, int bytes);
int halide_cuda_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                    int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                    size_t sizes[], void* arguments[], int8_t is_buffer[]);
void halide_cuda_finalize_kernels(void* user_context, void* state);
const void* halide_cuda_device_interface(void);

int halide_cuda_initialize_kernels(void* user_context, void** state, const char* source,
                                   int bytes) {
    Device* device = emulsion_device_of(user_context);
    (void)bytes; /* PTX ends with a zero */
    /* A variable of the kernel object, which all instances share: the same for each of them. */
    __atomic_store_n(state, (void*)(uintptr_t)source, __ATOMIC_RELAXED);
    const int refused = emulsion_cuda_enter(device);
    return refused != 0 ? refused : emulsion_cuda_leave(device, ready_program(device, source));
}

/* A buffer is handed over as its address. */
static int run(Device* device, const char* source, const char* name, const Shape* shape,
               const size_t sizes[], void* arguments[], const int8_t is_buffer[]) {
    void* parameters[kMostArguments];
    const int* threads = shape->threads;
    void* kernel =
        ready_kernel(device, source, name, threads[0] * threads[1] * threads[2], shape->shared);
    if (kernel == NULL) return device->base.head.error;
    for (int i = 0; sizes[i] != 0; i++) {
        if (i == kMostArguments)
            return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                        "'%.99s' has more than %d arguments", name, kMostArguments);
        parameters[i] = arguments[i];
        if (!is_buffer[i]) continue;
        emulsion_descriptor* buffer = arguments[i];
        parameters[i] = &buffer->device;
        if (buffer->device == 0)
            return emulsion_device_fail(&device->base, EMULSION_DEVICE_REFUSED,
                                        "argument %d of '%.99s' is not on the device", i, name);
    }
    return device->base.head.dry ? 0 : launch(device, kernel, name, shape, parameters);
}

int halide_cuda_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                    int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                    size_t sizes[], void* arguments[], int8_t is_buffer[]) {
    Device* device = emulsion_device_of(user_context);
    const Shape shape = {{blocks_x, blocks_y, blocks_z}, {threads_x, threads_y, threads_z}, shared};
    const int refused = emulsion_cuda_enter(device);
    if (refused != 0) return refused;
    return emulsion_cuda_leave(device,
                               run(device, state, name, &shape, sizes, arguments, is_buffer));
}

void halide_cuda_finalize_kernels(void* user_context, void* state) {
    (void)user_context;
    (void)state;
}

/* Kernels hand it to halide_copy_to_device alone. */
const void* halide_cuda_device_interface(void) { return NULL; }
