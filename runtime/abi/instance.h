/* The seam between generated code and the C code of every generated library: table and instance.
 *
 * A generated library NAME is constant data and tiny functions, written by compiler/codegen in LLVM
 * IR, around the C code of this folder:
 *   - one `emulsion_library` constant: per ISA variant its buffers (what a kernel argument points
 * to), its kernels in order and its bytes;
 *   - one `emulsion_kernel` per kernel call: loads scalars from the instance at fixed offsets,
 * takes descriptor addresses (`instance + sizeof(emulsion_instance) + 56 * i`), and calls the
 * Halide kernel;
 *   - the exported NAME_* functions, each one call of the function of the same ending below with
 * the table. Everything else (checks, descriptors, threads, slabs, order of kernels, loss test,
 * errors, profile) is C.
 *
 * A variant for devices has descriptors without a host: bind opens the device, makes an arena of
 * each class and fills `device` (device.h). Its instance has one worker, whose slab is empty, and
 * its workspace, which is on the device, ends with two sets of slots for inputs and outputs, so
 * that those of a call are carried while another one runs.
 *
 * An instance block is, in this order, each part aligned to 64 bytes:
 *   emulsion_instance | emulsion_descriptor [variant.buffer_count] | emulsion_worker [threads]
 * and a workspace block: activations [variant.activation_bytes] | slab of worker 0 | slabs of
 * workers 1... The compiler includes this header too (offsetof, sizes), so it is C11 and C++.
 * Atomic fields are plain integers that the C code reads and writes with the compiler's __atomic
 * builtins. */
#pragma once
#include "runtime/abi/emulsion_abi.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulsion_instance emulsion_instance;
typedef struct emulsion_device emulsion_device; /* device.h */
typedef struct emulsion_device_api emulsion_device_api;

/* Constant tables, written by the compiler. */

/* Layouts of Halide's halide_dimension_t and halide_buffer_t (64-bit targets). */
typedef struct emulsion_dimension {
    int32_t min, extent, stride;
    uint32_t flags;
} emulsion_dimension;

typedef struct emulsion_descriptor {
    uint64_t device;
    const void* device_interface;
    void* host;
    uint64_t flags;
    uint32_t type; /* code | bits << 8 | lanes << 16; code: 0 int, 1 uint, 2 float */
    int32_t rank;
    const emulsion_dimension* dimensions;
    void* padding;
} emulsion_descriptor;

/* Where a buffer's bytes are: an emulsion_class (parameters .. workspace), or one of these. */
enum {
    EMULSION_INPUT = 16,   /* offset = index of the input; host is set by each call */
    EMULSION_OUTPUT = 17,  /* offset = index of the output; host is set by each call */
    EMULSION_CONSTANT = 18 /* host = constant + offset */
};

/* One descriptor of a variant; bind turns entry i into descriptor i. The same bytes seen with two
 * shapes are two buffers. The extent of n is the compiled batch: kernels read the argument
 * `samples` instead. */
typedef struct emulsion_buffer {
    const emulsion_dimension* dimensions; /* innermost first */
    const void* constant;                 /* EMULSION_CONSTANT only */
    uint64_t offset; /* bytes from the start of the class, or the index of a port */
    uint32_t type;   /* as in emulsion_descriptor */
    int16_t rank;
    int16_t where; /* emulsion_class or one of the above */
} emulsion_buffer;

/* One kernel call. Returns what the Halide kernel returns: 0, or in a checked build Halide's
 * (negative) error. */
typedef int (*emulsion_kernel)(emulsion_instance* instance);

typedef struct emulsion_sequence {
    const emulsion_kernel* kernels;
    int32_t count;
    int32_t first; /* index of kernels[0] in info->kernels, for the profile and for messages */
} emulsion_sequence;

/* An EMULSION_INPUT or EMULSION_OUTPUT buffer of a plan: descriptor `buffer` gets the host of port
 * `port`. */
typedef struct emulsion_binding {
    int32_t buffer;
    int32_t port;
} emulsion_binding;

/* The kernels compiled for one batch. A call takes the first plan with samples <= batch. */
typedef struct emulsion_plan {
    int32_t batch;
    int32_t input_count; /* entries of `inputs`, not ports: a port may be seen through several
                            buffers */
    int32_t output_count;
    int32_t reserved;
    const emulsion_binding* inputs;
    const emulsion_binding* outputs;
    emulsion_sequence forward;
    emulsion_sequence backward; /* training: everything between the loss test and the update, or,
                                   where updates are at once, to the end */
} emulsion_plan;

/* What a variant asks of the processor: a sum of these; 0 is the architecture's baseline. */
enum {
    EMULSION_CPU_AVX2 = 1,  /* AVX2, FMA, F16C, BMI 1 and 2, LZCNT, MOVBE, POPCNT; YMM saved */
    EMULSION_CPU_AVX512 = 2 /* those and AVX-512 F, CD, BW, DQ, VL; ZMM and masks saved */
};

/* What the library would take of a device's memory, were it built for this batch. */
typedef struct emulsion_smaller_batch {
    int32_t batch;
    int32_t reserved;
    uint64_t bytes;   /* of all classes */
    uint64_t largest; /* of the largest one */
} emulsion_smaller_batch;

typedef struct emulsion_variant {
    uint32_t cpu; /* EMULSION_CPU_* */
    int32_t buffer_count;
    const emulsion_buffer* buffers;
    uint64_t prepared_bytes;   /* class EMULSION_PREPARED */
    uint64_t activation_bytes; /* of the workspace, slabs excluded */
    uint64_t slab0_bytes; /* slab of the calling thread (worker 0): see emulsion_slab_bytes_of */
    uint64_t slab_bytes;  /* slab of each other worker */
    int32_t plan_count;
    int32_t smaller_count;
    const emulsion_plan* plans;            /* batch ascending; training has one */
    emulsion_sequence prepare;             /* inference */
    emulsion_sequence update;              /* training; empty where updates are at once */
    const emulsion_device_api* device;     /* of a variant for devices; null: for processors */
    const emulsion_smaller_batch* smaller; /* of one for devices, batch ascending */
} emulsion_variant;

/* First values of one tensor of info->tensors. Padding lanes are zero. Tensors without an entry are
 * zero. */
enum { EMULSION_FILL = 0, EMULSION_NORMAL = 1, EMULSION_UNIFORM = 2 };

typedef struct emulsion_initializer {
    int32_t tensor; /* index into info->tensors; f32 */
    int32_t kind;
    float value; /* FILL: the value; NORMAL: the deviation; UNIFORM: values in [-value, value) */
    int32_t reserved;
} emulsion_initializer;

typedef struct emulsion_library {
    const emulsion_info* info;
    const emulsion_variant* variants; /* in the order of info->variants: best last */
    int32_t variant_count;
    int32_t loss_output; /* the f32 output that forward_backward tests; -1: none (inference) */
    uint64_t bytes[EMULSION_CLASSES]; /* parameters, gradients, state; the others are 0 here */
    const emulsion_initializer* initializers;
    int32_t initializer_count;
    int32_t training;
} emulsion_library;

/* The head of a training library's state: seed, steps done, a mark, and what may come; on a device
 * emulsion_device_record. */
#define EMULSION_STATE_HEAD 64

/* The instance. */

/* What a kernel gets as user_context. Worker 0 is the thread that calls. A test harness may point
 * `slab` at memory of its own between calls. */
typedef struct emulsion_worker {
    emulsion_instance* instance;
    char* slab;
    uint64_t slab_bytes;
    uint64_t used;   /* bytes from the start of the slab to its top */
    uint64_t last;   /* 1 + offset of the topmost block's header; 0: none */
    int32_t index;   /* 0 .. threads - 1 */
    int32_t busy;    /* 1 inside a task of a parallel loop: loops inside run serially */
    uint64_t thread; /* pthread_t */
    uint64_t reserved;
    /* Second cache line: this worker's share of the current loop, from which others steal. */
    uint32_t remaining __attribute__((aligned(64))); /* atomic: indices not yet taken */
    int32_t end; /* one past the share's last index; index = end - remaining before taking */
} __attribute__((aligned(64))) emulsion_worker;

/* The own thread pool: one parallel loop at a time (pool.c describes the protocol). */
typedef struct emulsion_crew {
    /* Atomic, futex: changes when there may be work. */
    uint32_t sequence __attribute__((aligned(64)));
    uint32_t running; /* atomic: a call is running, so workers spin before they park */
    uint32_t stop;    /* atomic */
    uint32_t spin_ns; /* longest spin; 0 where threads outnumber the CPUs */
    int32_t stay_awake;
    int32_t started;                                /* threads to join */
    int32_t caller_cpu;                             /* atomic: where the caller announced work */
    uint32_t sleepers __attribute__((aligned(64))); /* atomic: workers parked, or about to be */
    int32_t asleep; /* atomic: how many parked workers are still to be woken for the loop */
    int (*task)(void* user_context, int index, uint8_t* closure) __attribute__((aligned(64)));
    uint8_t* closure;
    uint32_t pending __attribute__((aligned(64))); /* atomic, futex: indices not yet done */
    uint32_t waiting; /* atomic: the caller is parked, or about to be, until pending is 0 */
    int32_t error;    /* atomic: an error that a task returned */
} __attribute__((aligned(64))) emulsion_crew;

/* A call on a device whose kernels are launched and whose outputs are still to be brought. */
enum { EMULSION_NO_CALL = 0, EMULSION_RUN = 1, EMULSION_FORWARD_BACKWARD = 2, EMULSION_STEP = 3 };

typedef struct emulsion_under_way {
    int32_t call; /* one of these; a step has counted already */
    int32_t set;  /* of the slots that it uses: 0 or 1; also its mark */
    int32_t samples;
    uint64_t seed, step; /* of the state before it */
    void* const* outputs;
} emulsion_under_way;

#define EMULSION_CPU_SET_WORDS 64 /* CPUs 0 .. 4095 */

/* Kernels (emulsion_kernel) read the fields up to `step_high`; all other access goes through
 * functions. */
struct emulsion_instance {
    uint64_t magic;               /*  0 */
    emulsion_instance* self;      /*  8 */
    emulsion_worker* workers;     /* 16  worker 0 = the user_context of every kernel call */
    int32_t samples;              /* 24  of this call */
    float learning_rate;          /* 28  of this update */
    uint32_t seed_low, seed_high; /* 32, 36  from the state */
    uint32_t step_low, step_high; /* 40, 44  from the state: updates done so far */
    const emulsion_library* library;
    const emulsion_variant* variant;
    emulsion_descriptor* descriptors;  /* = instance + 1 */
    emulsion_device* device;           /* of a variant for devices; null on processors */
    int32_t device_index;              /* of that device, for messages */
    uint32_t uploaded;                 /* bits of the classes that the device holds, */
    uint64_t device_seed, device_step; /* with the state's head as it was then, steps since added */
    emulsion_under_way under_way;
    void* block[EMULSION_CLASSES];
    int32_t status; /* of the last function */
    int32_t threads;
    int32_t busy;      /* atomic: id of the process that is inside a function; 0: none is */
    int32_t pid;       /* of bind, where the instance has threads of its own; else 0 */
    int32_t prepared;  /* EMULSION_OK once prepare has succeeded, else EMULSION_NOT_READY */
    int32_t gradients; /* EMULSION_OK where update may use them, else what it returns: */
                       /* EMULSION_NOT_READY or EMULSION_NOT_FINITE */
    uint64_t gradient_seed, gradient_step; /* of the state that the gradients were computed from */
    uint64_t caller_mode; /* floating-point mode of the caller, from call_begin to call_end */
    emulsion_pool pool;   /* the caller's; parallel_for is null where there is none */
    void (*profile)(void* self, int kernel, double seconds);
    void* profile_self;
    uint64_t calls;     /* counters: calls that reached their kernels, */
    uint64_t loops;     /* parallel loops handed out, */
    uint64_t wakes;     /* and wake-ups of parked workers */
    int32_t pinned;     /* kernel thread id of the thread that bind pinned; 0: none */
    int32_t pool_fault; /* atomic: 1 from a loop in which the caller's pool broke its contract */
    uint64_t caller_cpus[EMULSION_CPU_SET_WORDS]; /* its CPUs before, restored by unbind */
    char message[256];                            /* `status` in words, with the values */
    emulsion_crew crew;
} __attribute__((aligned(64)));

/* Sizes: the compiler uses the same functions for manifest and header. */

static inline uint64_t emulsion_round_up(uint64_t bytes) {
    return (bytes + (EMULSION_ALIGNMENT - 1)) & ~(uint64_t)(EMULSION_ALIGNMENT - 1);
}

/* What one halide_malloc(user_context, bytes) takes of a slab: a header line, then the bytes
 * rounded up. A slab needs the maximum over all places of the code of the sum over the Allocate
 * nodes around it (those whose storage is neither a register nor the real stack; `bytes` with the
 * padding that Halide adds): every block that is on the slab when another is taken belongs to an
 * enclosing Allocate. Worker 0 runs the serial code and shares of loops: slab0_bytes is that
 * maximum over the whole kernel (its Allocates outside a parallel loop are on its slab while it
 * runs a task of the loop); slab_bytes counts only the nodes inside the outermost parallel loop. */
static inline uint64_t emulsion_slab_bytes_of(uint64_t bytes) {
    return EMULSION_ALIGNMENT + emulsion_round_up(bytes);
}

static inline uint64_t emulsion_instance_bytes(int32_t buffer_count, int32_t threads) {
    return sizeof(struct emulsion_instance) +
           emulsion_round_up((uint64_t)buffer_count * sizeof(emulsion_descriptor)) +
           (uint64_t)threads * sizeof(emulsion_worker);
}

static inline uint64_t emulsion_workspace_bytes(uint64_t activation_bytes, uint64_t slab0_bytes,
                                                uint64_t slab_bytes, int32_t threads) {
    return emulsion_round_up(activation_bytes) + emulsion_round_up(slab0_bytes) +
           (uint64_t)(threads - 1) * emulsion_round_up(slab_bytes);
}

/* Bodies of the exported functions (contracts: emulsion_abi.h). */

int emulsion_library_sizes(const emulsion_library* library, int threads, emulsion_sizes* sizes);
int emulsion_library_device(const emulsion_library* library, int index,
                            emulsion_device_description* description);
int emulsion_library_speed(const emulsion_library* library, int index,
                           emulsion_device_speed* speed);
int emulsion_library_init(const emulsion_library* library, uint64_t seed,
                          const emulsion_memory* memory);
int emulsion_library_bind(const emulsion_library* library, void* instance,
                          const emulsion_memory* memory, const emulsion_options* options);
int emulsion_library_prepare(const emulsion_library* library, void* instance);
int emulsion_library_run(const emulsion_library* library, void* instance,
                         const emulsion_call* call);
int emulsion_library_forward_backward(const emulsion_library* library, void* instance,
                                      const emulsion_call* call);
int emulsion_library_update(const emulsion_library* library, void* instance, float learning_rate);
int emulsion_library_upload(const emulsion_library* library, void* instance, int memory_class);
int emulsion_library_download(const emulsion_library* library, void* instance, int memory_class);
int emulsion_library_step(const emulsion_library* library, void* instance,
                          const emulsion_call* call, float learning_rate);
int emulsion_library_wait(const emulsion_library* library, void* instance);
const char* emulsion_library_error(const emulsion_library* library, const void* instance);
int emulsion_library_unbind(const emulsion_library* library, void* instance);

/* The bytes of one variant alone. */
int emulsion_variant_sizes(const emulsion_library* library, int variant, int threads,
                           emulsion_sizes* sizes);

/* What Halide's kernels call. */

/* user_context is an emulsion_worker. A parallel loop runs every index of [min, min + extent)
 * exactly once, on any worker, and returns 0 or an error that a task returned. Must be called
 * between call_begin and call_end. */
int halide_do_par_for(void* user_context,
                      int (*task)(void* user_context, int index, uint8_t* closure), int min,
                      int extent, uint8_t* closure);
void* halide_malloc(void* user_context, size_t bytes);
void halide_free(void* user_context, void* block);
/* Asks for part `part` of the buffer's lines of 64 bytes, where `parts` parts have `lines` lines:
 * the first cache then has them when a later task reads them. Lines beyond the end are asked for in
 * vain, nothing else. Returns 0, which the kernel adds to a sum, so that no compiler drops the
 * call. */
float emulsion_prefetch(const emulsion_descriptor* buffer, int32_t part, int32_t lines,
                        int32_t parts);

/* For tests and the tuner, which run single kernels on a bound instance. */

/* Around kernel calls: check fork, set the floating-point mode (round to nearest, denormals
 * flushed), wake the workers; undo. call_begin returns an emulsion_status; call_end is due only
 * after EMULSION_OK. */
int emulsion_call_begin(emulsion_instance* instance);
void emulsion_call_end(emulsion_instance* instance);

/* The processor's EMULSION_CPU_*, and what an instruction set of info->variants asks of it
 * (UINT32_MAX, which no processor has, for an unknown name). */
uint32_t emulsion_cpu_features(void);
uint32_t emulsion_isa_features(const char* isa);

/* The number of CPUs that the calling thread may use: those of its affinity, no more than the
 * quotas of its control groups are worth; at least 1, at most EMULSION_MAX_THREADS. */
int emulsion_cpu_count(void);

/* What the CPU quotas of the control groups named in the file `membership` (/proc/self/cgroup, both
 * versions) and of those above them are worth, rounded up; 0: they set no limit. `root` is where
 * control groups are mounted. */
int emulsion_cgroup_cpus(const char* membership, const char* root);

/* Index of the best variant for processors whose `cpu` is within `features`, or `wanted` - 1 where
 * wanted > 0; -1: none fits. */
int emulsion_choose_variant(const emulsion_library* library, uint32_t features, int wanted);

/* A status in words, without values; static text. */
const char* emulsion_status_text(int status);

/* 1 unless the bits are those of a NaN or an infinity. */
int emulsion_is_finite(uint32_t bits);

/* The first tensor of info->tensors whose gradient holds a NaN or an infinity; -1: none does. Must
 * be called between call_begin and call_end. */
int emulsion_find_bad_gradient(emulsion_instance* instance);

#ifdef __cplusplus
}
#endif
