/* Programs, kernels and launches by OpenCL: what Halide's kernels call, the test for values that
 * are not finite, and the probe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/opencl.h"

typedef emulsion_opencl_device Device;

/* The end of what the compiler says of a program, on one line. */
static void read_log(Device* device, void* program, char* tail, size_t most) {
    size_t bytes = 0;
    tail[0] = 0;
    if (device->cl->clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL,
                                          &bytes) != 0)
        return;
    char* log = calloc(1, bytes + 1);
    if (log == NULL) return;
    device->cl->clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
    emulsion_log_tail(log, tail, most);
    free(log);
}

static int build(Device* device, const char* source, size_t bytes) {
    const emulsion_opencl_driver* cl = device->cl;
    int answer = 0;
    void* program = cl->clCreateProgramWithSource(device->context, 1, &source, &bytes, &answer);
    if (answer != 0)
        return emulsion_opencl_fail(device, answer, "clCreateProgramWithSource", "to a program");
    answer = cl->clBuildProgram(program, 1, &device->id, device->options, NULL, NULL);
    if (answer != 0) {
        char log[128];
        read_log(device, program, log, sizeof log);
        cl->clReleaseProgram(program);
        return emulsion_device_fail(
            &device->base, answer, "clBuildProgram answers %s (%d) on '%.60s': ...%s",
            emulsion_opencl_error_name(answer), answer, device->base.facts.name, log);
    }
    if (emulsion_device_add(&device->base, &device->base.programs, (uintptr_t)source, 0, program) !=
        0) {
        cl->clReleaseProgram(program);
        return device->base.head.error;
    }
    device->base.head.programs++;
    return 0;
}

/* 0 once the device has the program of this text. */
static int ready_program(Device* device, const char* source, size_t bytes) {
    if (device->base.head.error != 0) return device->base.head.error;
    if (emulsion_table_find(&device->base.programs, (uintptr_t)source, 0) != NULL) return 0;
    return build(device, source, bytes);
}

/* Null where it fails. */
static void* ready_kernel(Device* device, const char* source, const char* name, size_t threads,
                          size_t shared) {
    const emulsion_opencl_driver* cl = device->cl;
    emulsion_device_base* base = &device->base;
    void* kernel = emulsion_table_find(&base->kernels, (uintptr_t)source, (uintptr_t)name);
    if (kernel != NULL) return kernel;
    int answer = 0;
    size_t most = 0;
    char what[128];
    void* program = emulsion_table_find(&base->programs, (uintptr_t)source, 0);
    kernel = cl->clCreateKernel(program, name, &answer);
    if (answer != 0) {
        snprintf(what, sizeof what, "to '%.99s'", name);
        emulsion_opencl_fail(device, answer, "clCreateKernel", what);
        return NULL;
    }
    answer = cl->clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_WORK_GROUP_SIZE,
                                          sizeof most, &most, NULL);
    if (answer != 0) {
        snprintf(what, sizeof what, "to '%.99s'", name);
        emulsion_opencl_fail(device, answer, "clGetKernelWorkGroupInfo", what);
    } else if (most < threads) {
        emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' needs %llu threads a block, but '%.60s' runs it with %llu",
                             name, (unsigned long long)threads, base->facts.name,
                             (unsigned long long)most);
    } else if (shared > device->shared_bytes) {
        emulsion_device_fail(base, EMULSION_DEVICE_REFUSED,
                             "'%.99s' needs %llu bytes of shared memory, but '%.60s' has %llu",
                             name, (unsigned long long)shared, base->facts.name,
                             (unsigned long long)device->shared_bytes);
    } else if (emulsion_device_add(base, &base->kernels, (uintptr_t)source, (uintptr_t)name,
                                   kernel) == 0) {
        base->head.kernels++;
        return kernel;
    }
    cl->clReleaseKernel(kernel);
    return NULL;
}

static int launch(Device* device, void* kernel, const char* name, const size_t blocks[3],
                  const size_t threads[3]) {
    const size_t global[3] = {blocks[0] * threads[0], blocks[1] * threads[1],
                              blocks[2] * threads[2]};
    const int answer = device->cl->clEnqueueNDRangeKernel(device->queue, kernel, 3, NULL, global,
                                                          threads, 0, NULL, NULL);
    if (answer != 0) {
        char what[128];
        snprintf(what, sizeof what, "to %zu x %zu x %zu blocks of %zu x %zu x %zu of '%.60s'",
                 blocks[0], blocks[1], blocks[2], threads[0], threads[1], threads[2], name);
        return emulsion_opencl_fail(device, answer, "clEnqueueNDRangeKernel", what);
    }
    device->base.head.launches++;
    device->base.latest = name;
    return 0;
}

/* Arguments: their sizes end with a zero; behind them stands the kernel's shared memory, if any. */
static int set_arguments(Device* device, void* kernel, const char* name, const size_t sizes[],
                         void* const arguments[], const int8_t is_buffer[], size_t shared) {
    const emulsion_opencl_driver* cl = device->cl;
    char what[128];
    int answer = 0;
    uint32_t i = 0;
    for (; answer == 0 && sizes[i] != 0; i++) {
        if (!is_buffer[i]) {
            answer = cl->clSetKernelArg(kernel, i, sizes[i], arguments[i]);
            continue;
        }
        void* view = (void*)(uintptr_t)((const emulsion_descriptor*)arguments[i])->device;
        if (view == NULL) return emulsion_device_lacks_argument(&device->base, (int)i, name);
        answer = cl->clSetKernelArg(kernel, i, sizeof view, &view);
    }
    /* Halide's kernels always have that argument. */
    if (answer == 0) answer = cl->clSetKernelArg(kernel, i++, shared > 0 ? shared : 1, NULL);
    if (answer == 0) return 0;
    snprintf(what, sizeof what, "to argument %u of '%.99s'", i - 1, name);
    return emulsion_opencl_fail(device, answer, "clSetKernelArg", what);
}

/* The test for values that are not finite: of those that any of the launched sees, the record gets
 * the one of the smallest index, so that it does not depend on their order. An exponent of ones is
 * a NaN's or an infinity's. */

static const char kTestName[] = "test_finite";
static const char kTestSource[] =
    "__kernel void test_finite(__global const uint* values, const uint count, const uint number,\n"
    "                          const uint begins, __global uint* flag, __global uint* record) {\n"
    "    for (uint i = (uint)get_global_id(0); i < count; i += (uint)get_global_size(0)) {\n"
    "        if (begins) record[0] = record[1] = 0u;\n"
    "        if ((values[i] & 0x7f800000u) == 0x7f800000u) {\n"
    "            const uint first = atomic_cmpxchg(flag, 0u, number);\n"
    "            if (first != 0u && first != number) return;\n"
    "            record[0] = number;\n"
    "            atomic_max(record + 1, 0xffffffffu - i);\n"
    "            return;\n"
    "        }\n"
    "    }\n"
    "}\n";

enum { kTestThreads = 64, kTestBlocks = 256 };

typedef struct Argument {
    size_t bytes;
    const void* value;
} Argument;

/* A kernel of the runtime's own. */
static int launch_own(Device* device, void* kernel, const char* name, const Argument* arguments,
                      uint32_t count, size_t blocks, size_t threads) {
    const size_t grid[3] = {blocks, 1, 1}, block[3] = {threads, 1, 1};
    int answer = 0;
    for (uint32_t i = 0; answer == 0 && i < count; i++)
        answer = device->cl->clSetKernelArg(kernel, i, arguments[i].bytes, arguments[i].value);
    if (answer == 0) return launch(device, kernel, name, grid, block);
    char what[64];
    snprintf(what, sizeof what, "to %s", name);
    return emulsion_opencl_fail(device, answer, "clSetKernelArg", what);
}

static int launch_test(Device* device, void* kernel, const emulsion_device_test* test) {
    emulsion_device* head = &device->base.head;
    const uint32_t count = (uint32_t)test->count, begins = (uint32_t)test->begins;
    const uint64_t views[] = {
        emulsion_opencl_view(head, test->memory_class, test->offset, count * sizeof(float)),
        emulsion_opencl_view(head, EMULSION_STATE, 0, EMULSION_STATE_HEAD),
        emulsion_opencl_view(head, EMULSION_WORKSPACE, test->record,
                             sizeof(emulsion_device_record))};
    if (head->error != 0 || head->dry) return head->error;
    const Argument arguments[] = {{sizeof(void*), &views[0]},        {sizeof count, &count},
                                  {sizeof(uint32_t), &test->number}, {sizeof begins, &begins},
                                  {sizeof(void*), &views[1]},        {sizeof(void*), &views[2]}};
    const uint32_t blocks = (count - 1) / kTestThreads + 1;
    return launch_own(device, kernel, kTestName, arguments, sizeof arguments / sizeof *arguments,
                      blocks < kTestBlocks ? blocks : kTestBlocks, kTestThreads);
}

int emulsion_opencl_test(emulsion_device* head, const emulsion_device_test* test) {
    Device* device = (Device*)head;
    if (emulsion_device_check_test(&device->base, test) != 0 ||
        ready_program(device, kTestSource, sizeof kTestSource - 1) != 0)
        return head->error;
    void* kernel = ready_kernel(device, kTestSource, kTestName, kTestThreads, 0);
    return kernel == NULL ? head->error : launch_test(device, kernel, test);
}

/* The probe. Products and sums are contracted where those of Halide's kernels are; vectors serve
 * the processors among devices, whose lanes they are. */

static const char kProbeName[] = "probe";
static const char kProbeSource[] =
    "#define STEP a = a * value + one; b = b * value + one; c = c * value + one; \\\n"
    "    d = d * value + one; e = e * value + one; f = f * value + one; g = g * value + one; \\\n"
    "    h = h * value + one;\n"
    "__kernel void probe(__global float4* values, __global float* found, const uint kind,\n"
    "                    const uint bits, const uint rounds, const float value) {\n"
    "    const uint thread = (uint)get_global_id(0), threads = (uint)get_global_size(0);\n"
    "    const uint all = rounds << bits, mask = (1u << bits) - 1u;\n"
    "    if (kind == 1u) {\n"
    "        const float one = value + value, own = (float)(thread & 15u), next = 8.0f * "
    "65536.0f;\n"
    "        float8 a = ((float8)(0, 1, 2, 3, 4, 5, 6, 7) + own) * 65536.0f + 2.0f;\n"
    "        float8 b = a + next, c = b + next, d = c + next, e = d + next, f = e + next;\n"
    "        float8 g = f + next, h = g + next;\n"
    "        for (uint round = 0u; round < rounds; round++) { STEP STEP }\n"
    "        const float8 sum = a + b + c + d + e + f + g + h;\n"
    "        const float4 half_sum = sum.lo + sum.hi;\n"
    "        found[thread] = half_sum.x + half_sum.y + half_sum.z + half_sum.w;\n"
    "    }\n"
    "    if (kind == 2u) {\n"
    "        float4 sum = (float4)(0.0f);\n"
    "        for (uint n = thread; n < all; n += threads)\n"
    "            sum += values[(n + (n >> bits) * 4224u) & mask];\n"
    "        found[thread] = sum.x + sum.y + sum.z + sum.w;\n"
    "    }\n"
    "    if (kind == 3u) {\n"
    "        for (uint n = thread; n < all; n += threads)\n"
    "            values[(n + (n >> bits) * 4224u) & mask] = (float4)(value);\n"
    "    }\n"
    "}\n";

enum { kProbeThreads = 128 };

int emulsion_opencl_probe(emulsion_device* head, const emulsion_device_probe* probe) {
    Device* device = (Device*)head;
    if (emulsion_device_check_probe(&device->base, probe) != 0 ||
        ready_program(device, kProbeSource, sizeof kProbeSource - 1) != 0)
        return head->error;
    void* kernel = ready_kernel(device, kProbeSource, kProbeName, kProbeThreads, 0);
    if (kernel == NULL || head->dry) return head->error;
    const uint64_t views[] = {
        emulsion_opencl_view(head, EMULSION_WORKSPACE, 0,
                             device->base.arena_bytes[EMULSION_WORKSPACE]),
        emulsion_opencl_view(head, EMULSION_STATE, 0, EMULSION_PROBE_THREADS * sizeof(float))};
    if (head->error != 0) return head->error;
    const Argument arguments[] = {
        {sizeof(void*), &views[0]},         {sizeof(void*), &views[1]},
        {sizeof(uint32_t), &probe->kind},   {sizeof(uint32_t), &probe->bits},
        {sizeof(uint32_t), &probe->rounds}, {sizeof(float), &probe->value}};
    const size_t blocks = (size_t)emulsion_probe_threads(probe, kProbeThreads) / kProbeThreads;
    return launch_own(device, kernel, kProbeName, arguments, sizeof arguments / sizeof *arguments,
                      blocks, kProbeThreads);
}

/* What Halide's kernels call; they drop what it returns. */

int halide_opencl_initialize_kernels(void* user_context, void** state, const char* source,
                                     int bytes);
int halide_opencl_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                      int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                      size_t sizes[], void* arguments[], int8_t is_buffer[]);
void halide_opencl_finalize_kernels(void* user_context, void* state);
const void* halide_opencl_device_interface(void);

int halide_opencl_initialize_kernels(void* user_context, void** state, const char* source,
                                     int bytes) {
    (void)bytes; /* the text ends with a zero */
    /* A variable of the kernel object, which all instances share: the same for each of them. */
    __atomic_store_n(state, (void*)(uintptr_t)source, __ATOMIC_RELAXED);
    return ready_program(emulsion_device_of(user_context), source, strlen(source));
}

int halide_opencl_run(void* user_context, void* state, const char* name, int blocks_x, int blocks_y,
                      int blocks_z, int threads_x, int threads_y, int threads_z, int shared,
                      size_t sizes[], void* arguments[], int8_t is_buffer[]) {
    Device* device = emulsion_device_of(user_context);
    const size_t blocks[3] = {(size_t)blocks_x, (size_t)blocks_y, (size_t)blocks_z};
    const size_t threads[3] = {(size_t)threads_x, (size_t)threads_y, (size_t)threads_z};
    if (device->base.head.error != 0) return device->base.head.error;
    void* kernel =
        ready_kernel(device, state, name, threads[0] * threads[1] * threads[2], (size_t)shared);
    if (kernel == NULL) return device->base.head.error;
    const int refused =
        set_arguments(device, kernel, name, sizes, arguments, is_buffer, (size_t)shared);
    if (refused != 0 || device->base.head.dry) return refused;
    return launch(device, kernel, name, blocks, threads);
}

void halide_opencl_finalize_kernels(void* user_context, void* state) {
    (void)user_context;
    (void)state;
}

/* Kernels hand it to halide_copy_to_device alone. */
const void* halide_opencl_device_interface(void) { return NULL; }
