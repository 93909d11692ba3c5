/* Programs, kernels and launches by CUDA: what Halide's kernels call, the test for values that are
 * not finite, and the probe. */
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

/* The test for values that are not finite: of those that any thread sees, the record gets the one
 * of the smallest index, so that it does not depend on their order. An exponent of ones is a NaN's
 * or an infinity's. */

static const char kTestName[] = "test_finite";
static const char kTestSource[] =
    ".version 7.0\n"
    ".target sm_80\n"
    ".address_size 64\n"
    ".visible .entry test_finite(.param .u64 values, .param .u32 count, .param .u32 number,\n"
    "                            .param .u32 begins, .param .u64 flag, .param .u64 record)\n"
    "{\n"
    "    .reg .pred %done, %found, %other;\n"
    "    .reg .b32 %block, %threads, %blocks, %thread, %bits, %count, %number, %begins, %index,\n"
    "        %step, %first, %before;\n"
    "    .reg .b64 %values, %flag, %record, %at;\n"
    "    ld.param.u64 %values, [values];\n"
    "    ld.param.u32 %count, [count];\n"
    "    ld.param.u32 %number, [number];\n"
    "    ld.param.u32 %begins, [begins];\n"
    "    ld.param.u64 %flag, [flag];\n"
    "    ld.param.u64 %record, [record];\n"
    "    cvta.to.global.u64 %values, %values;\n"
    "    cvta.to.global.u64 %flag, %flag;\n"
    "    cvta.to.global.u64 %record, %record;\n"
    "    mov.u32 %block, %ctaid.x;\n"
    "    mov.u32 %threads, %ntid.x;\n"
    "    mov.u32 %blocks, %nctaid.x;\n"
    "    mov.u32 %thread, %tid.x;\n"
    "    mad.lo.u32 %index, %block, %threads, %thread;\n"
    "    mul.lo.u32 %step, %blocks, %threads;\n"
    "    setp.ge.u32 %done, %index, %count;\n"
    "    @%done bra end;\n"
    "    mov.b64 %at, 0;\n"
    "    setp.ne.u32 %found, %begins, 0;\n"
    "    @%found st.global.b64 [%record], %at;\n"
    "next:\n"
    "    mul.wide.u32 %at, %index, 4;\n"
    "    add.s64 %at, %values, %at;\n"
    "    ld.global.b32 %bits, [%at];\n"
    "    and.b32 %bits, %bits, 0x7f800000;\n"
    "    setp.eq.u32 %found, %bits, 0x7f800000;\n"
    "    @%found bra tell;\n"
    "    add.u32 %index, %index, %step;\n"
    "    setp.lt.u32 %found, %index, %count;\n"
    "    @%found bra next;\n"
    "    bra end;\n"
    "tell:\n"
    "    atom.global.cas.b32 %first, [%flag], 0, %number;\n"
    "    setp.ne.u32 %other, %first, 0;\n"
    "    setp.ne.and.u32 %other, %first, %number, %other;\n"
    "    @%other bra end;\n"
    "    not.b32 %before, %index;\n"
    "    st.global.b32 [%record], %number;\n"
    "    red.global.max.u32 [%record+4], %before;\n"
    "end:\n"
    "    ret;\n"
    "}\n";

enum { kTestThreads = 256, kTestBlocks = 1024 };

static int launch_test(Device* device, void* kernel, const emulsion_device_test* test) {
    uint32_t count = (uint32_t)test->count, number = test->number, begins = (uint32_t)test->begins;
    const uint32_t blocks = (count - 1) / kTestThreads + 1;
    const Shape shape = {
        {blocks < kTestBlocks ? (int)blocks : kTestBlocks, 1, 1}, {kTestThreads, 1, 1}, 0};
    uint64_t values = device->arenas[test->memory_class] + test->offset;
    uint64_t flag = device->arenas[EMULSION_STATE];
    uint64_t record = device->arenas[EMULSION_WORKSPACE] + test->record;
    void* arguments[] = {&values, &count, &number, &begins, &flag, &record};
    return launch(device, kernel, kTestName, &shape, arguments);
}

int emulsion_cuda_test(emulsion_device* head, const emulsion_device_test* test) {
    Device* device = (Device*)head;
    if (emulsion_device_check_test(&device->base, test) != 0 || emulsion_cuda_enter(device) != 0)
        return head->error;
    void* kernel = NULL;
    if (ready_program(device, kTestSource) == 0)
        kernel = ready_kernel(device, kTestSource, kTestName, kTestThreads, 0);
    if (kernel != NULL && !head->dry) launch_test(device, kernel, test);
    return emulsion_cuda_leave(device, head->error);
}

/* The probe. Its reads look for nothing in the first cache. */

static const char kProbeName[] = "probe";
#define CHAIN(register) "    fma.rn.f32 " register ", " register ", %value, %one;\n"
#define FOUR(a, b, c, d) CHAIN(a) CHAIN(b) CHAIN(c) CHAIN(d)
#define STEP FOUR("%a", "%b", "%c", "%d") FOUR("%e", "%f", "%g", "%h")
#define STEPS STEP STEP STEP STEP
/* Where the n-th value lies that threads touch, and the next one of this thread. */
#define PLACE                                 \
    "    shr.u32 %round, %n, %bits;\n"        \
    "    mad.lo.u32 %at, %round, 4224, %n;\n" \
    "    and.b32 %at, %at, %mask;\n"          \
    "    mul.wide.u32 %place, %at, 16;\n"     \
    "    add.s64 %place, %values, %place;\n"
#define NEXT(label)                    \
    "    add.u32 %n, %n, %threads;\n"  \
    "    setp.lt.u32 %is, %n, %all;\n" \
    "    @%is bra " label ";\n"
static const char kProbeSource[] =
    ".version 7.0\n"
    ".target sm_80\n"
    ".address_size 64\n"
    ".visible .entry probe(.param .u64 values, .param .u64 found, .param .u32 kind,\n"
    "                      .param .u32 bits, .param .u32 rounds, .param .f32 value)\n"
    "{\n"
    "    .reg .pred %is;\n"
    "    .reg .b32 %kind, %bits, %rounds, %block, %blocks, %size, %thread, %threads, %all, %mask,\n"
    "        %round, %n, %at, %own;\n"
    "    .reg .b64 %values, %found, %place;\n"
    "    .reg .f32 %value, %one, %a, %b, %c, %d, %e, %f, %g, %h, %x, %y, %z, %w;\n"
    "    ld.param.u64 %values, [values];\n"
    "    ld.param.u64 %found, [found];\n"
    "    ld.param.u32 %kind, [kind];\n"
    "    ld.param.u32 %bits, [bits];\n"
    "    ld.param.u32 %rounds, [rounds];\n"
    "    ld.param.f32 %value, [value];\n"
    "    cvta.to.global.u64 %values, %values;\n"
    "    cvta.to.global.u64 %found, %found;\n"
    "    mov.u32 %block, %ctaid.x;\n"
    "    mov.u32 %blocks, %nctaid.x;\n"
    "    mov.u32 %size, %ntid.x;\n"
    "    mov.u32 %thread, %tid.x;\n"
    "    mad.lo.u32 %thread, %block, %size, %thread;\n"
    "    mul.lo.u32 %threads, %blocks, %size;\n"
    "    mul.wide.u32 %place, %thread, 4;\n"
    "    add.s64 %found, %found, %place;\n"
    "    shl.b32 %all, %rounds, %bits;\n"
    "    mov.u32 %mask, 1;\n"
    "    shl.b32 %mask, %mask, %bits;\n"
    "    sub.u32 %mask, %mask, 1;\n"
    "    mov.u32 %n, %thread;\n"
    "    mov.f32 %a, 0f00000000;\n"
    "    mov.f32 %b, %a;\n"
    "    mov.f32 %c, %a;\n"
    "    mov.f32 %d, %a;\n"
    "    setp.eq.u32 %is, %kind, 1;\n"
    "    @%is bra adds;\n"
    "    setp.eq.u32 %is, %kind, 2;\n"
    "    @%is bra reads;\n"
    "    setp.eq.u32 %is, %kind, 3;\n"
    "    @!%is bra end;\n"
    "    setp.ge.u32 %is, %n, %all;\n"
    "    @%is bra end;\n"
    "write:\n" PLACE
    "    st.global.v4.f32 [%place], {%value, %value, %value, %value};\n" NEXT("write")
    "    bra end;\n"
    "reads:\n"
    "    setp.ge.u32 %is, %n, %all;\n"
    "    @%is bra told;\n"
    "read:\n" PLACE
    "    ld.global.cg.v4.f32 {%x, %y, %z, %w}, [%place];\n"
    "    add.f32 %a, %a, %x;\n"
    "    add.f32 %b, %b, %y;\n"
    "    add.f32 %c, %c, %z;\n"
    "    add.f32 %d, %d, %w;\n" NEXT("read")
    "    bra told;\n"
    "adds:\n"
    "    add.f32 %one, %value, %value;\n"
    "    and.b32 %own, %thread, 15;\n"
    "    cvt.rn.f32.u32 %a, %own;\n"
    "    fma.rn.f32 %a, %a, 0f47800000, 0f40000000;\n" /* 65536, 2 */
    "    add.f32 %b, %a, 0f47800000;\n"
    "    add.f32 %c, %b, 0f47800000;\n"
    "    add.f32 %d, %c, 0f47800000;\n"
    "    add.f32 %e, %d, 0f47800000;\n"
    "    add.f32 %f, %e, 0f47800000;\n"
    "    add.f32 %g, %f, 0f47800000;\n"
    "    add.f32 %h, %g, 0f47800000;\n"
    "add:\n" STEPS STEPS STEPS STEPS
    "    sub.u32 %rounds, %rounds, 1;\n"
    "    setp.ne.u32 %is, %rounds, 0;\n"
    "    @%is bra add;\n"
    "    add.f32 %a, %a, %e;\n"
    "    add.f32 %b, %b, %f;\n"
    "    add.f32 %c, %c, %g;\n"
    "    add.f32 %d, %d, %h;\n"
    "told:\n"
    "    add.f32 %a, %a, %b;\n"
    "    add.f32 %c, %c, %d;\n"
    "    add.f32 %a, %a, %c;\n"
    "    st.global.f32 [%found], %a;\n"
    "end:\n"
    "    ret;\n"
    "}\n";

enum { kProbeThreads = 128 };

static int launch_probe(Device* device, void* kernel, const emulsion_device_probe* probe) {
    const int blocks = emulsion_probe_threads(probe, kProbeThreads) / kProbeThreads;
    const Shape shape = {{blocks, 1, 1}, {kProbeThreads, 1, 1}, 0};
    uint64_t values = device->arenas[EMULSION_WORKSPACE], found = device->arenas[EMULSION_STATE];
    emulsion_device_probe own = *probe;
    void* arguments[] = {&values, &found, &own.kind, &own.bits, &own.rounds, &own.value};
    return launch(device, kernel, kProbeName, &shape, arguments);
}

int emulsion_cuda_probe(emulsion_device* head, const emulsion_device_probe* probe) {
    Device* device = (Device*)head;
    if (emulsion_device_check_probe(&device->base, probe) != 0 || emulsion_cuda_enter(device) != 0)
        return head->error;
    void* kernel = NULL;
    if (ready_program(device, kProbeSource) == 0)
        kernel = ready_kernel(device, kProbeSource, kProbeName, kProbeThreads, 0);
    if (kernel != NULL && !head->dry) launch_probe(device, kernel, probe);
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
        if (buffer->device == 0) return emulsion_device_lacks_argument(&device->base, i, name);
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
