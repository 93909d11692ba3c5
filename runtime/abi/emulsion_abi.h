/* The types every generated library shares: C99, no dependency but libc.
 *
 * A generated header (`lenet_train.h`, `lenet_infer.h`) contains this text verbatim in front of its
 * own declarations, so a program needs no Emulsion header; the guard lets several headers meet.
 *
 * A library NAME of a training network exports
 *     const emulsion_info* NAME_info(void);
 *     int  NAME_sizes(int threads, emulsion_sizes* sizes);
 *     int  NAME_device(int index, emulsion_device_description*);      what options.device may name
 *     int  NAME_speed(int index, emulsion_device_speed*);             what it does at most
 *     int  NAME_init(uint64_t seed, const emulsion_memory* memory);   writes parameters and state
 *     int  NAME_bind(void* instance, const emulsion_memory*, const emulsion_options*);
 *     int  NAME_upload(void* instance, int memory_class);             parameters, state
 *     int  NAME_forward_backward(void* instance, const emulsion_call* call);
 *     int  NAME_update(void* instance, float learning_rate);
 *     int  NAME_step(void* instance, const emulsion_call* call, float learning_rate);
 *     int  NAME_wait(void* instance);                                 brings outputs, see below
 *     int  NAME_download(void* instance, int memory_class);           parameters, state, gradients
 *     const char* NAME_error(const void* instance);                   the last status in words
 *     int  NAME_unbind(void* instance);                               stops the pool's threads
 * (one built with --update=at-once has no gradients, no forward_backward and no update), and one of
 * an inference network
 *     info, sizes, device, speed, bind, prepare(instance), run(instance, call), wait, error,
 *     unbind.
 * Every function but `info` and `error` returns an emulsion_status (a library built with checks may
 * return Halide's error codes, which are negative). A call
 * that is refused for its arguments or its order has changed nothing.
 *
 * Order. A call out of order returns EMULSION_NOT_BOUND or EMULSION_NOT_READY, and `error` says
 * what is missing.
 *     training    init, or a whole checkpoint copied into parameters and state; bind (before or
 *                 after that); then any number of step, or of forward_backward and update in turn.
 *                 A forward_backward again replaces the gradients; an update uses them up; an init
 *                 or a checkpoint loaded in between makes them those of another step.
 *     inference   parameters and state copied in; bind; prepare, which writes the prepared weights
 *                 from them; then any number of run. prepare again whenever parameters or state
 *                 changed: a library does not see that, and would run the old weights.
 *     both        unbind, after which nothing but bind is left; bind on a bound instance unbinds
 *                 first, even where it then fails for its memory or options.
 *
 * All memory is the caller's. Each class is one block of `sizes.bytes[class]` bytes, aligned to
 * EMULSION_ALIGNMENT, that stays in place from bind to unbind. init and bind compare what they need
 * with `sizes` in emulsion_memory and refuse memory that is too small, or sized for fewer threads.
 *
 * Devices. Of a library with a variant for devices (info->variants names it behind those of
 * processors), bind takes a device where options.device asks for one. It then lives in memory of
 * the device, sizes.device_bytes[class] of each class, which bind allocates and unbind frees unless
 * options.device_memory hands it in; of the host's blocks it uses parameters, state and instance,
 * and gradients for their download alone: the others may be null, of 0 bytes.
 *     Parameters and state stay in the host's blocks at rest. `upload` of both is due before the
 *     first step, and whenever init or a checkpoint has changed them; `download` of both before
 *     they are read. The 64 bytes at the head of the state are the host's own: they count the
 *     steps, and no download touches them. On a processor both do nothing. In inference, `prepare`
 *     uploads.
 *     Outputs later: a step, forward_backward or run with call.later = 1 returns once its inputs
 *     are read and its kernels are launched, and is under way from then on: the device computes
 *     while the caller gets the next inputs ready, which are carried while it still does. The next
 *     function called on the instance, `wait` at the latest, writes its outputs and returns what
 *     became of it; until then `call.outputs` and the blocks that it points to stay in place, and
 *     what they hold means nothing. The inputs are free at once. A function that so returns a fault
 *     of the call under way, such as EMULSION_NOT_FINITE, has done nothing else, and nothing is
 *     under way: a step behind a bad one changes nothing, and the state counts as before the bad
 *     one, so go on from there. One that is refused for its arguments or its order leaves the call
 *     under way; unbind and bind drop it. A step under way has counted already. On a processor
 *     `later` changes nothing, and wait does nothing.
 *     An EMULSION_DEVICE_ERROR leaves the instance of no use but to unbind and bind, and on the
 *     device nothing that can be relied on.
 *
 * One instance serves one thread at a time: while a call runs, every other one on its instance
 * returns EMULSION_BUSY, from another thread or from a callback (profile, parallel_for), bind and
 * unbind included. Different instances are independent. Callbacks run in the kernels'
 * floating-point mode (round to nearest, denormals flushed to zero, exceptions masked), which is
 * restored before a call returns; they must return: neither throw nor longjmp.
 */
#ifndef EMULSION_ABI_H
#define EMULSION_ABI_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define EMULSION_ABI_VERSION 6
#define EMULSION_ALIGNMENT 64
#define EMULSION_MAX_THREADS 256
#define EMULSION_MAX_RANK 5

typedef enum emulsion_status {
    EMULSION_OK = 0,
    EMULSION_INVALID_ARGUMENT = 1, /* a null pointer, a count or a label out of range, memory too
                                      small, a pool that breaks its contract */
    EMULSION_MISALIGNED = 2,       /* a block of memory is not aligned to EMULSION_ALIGNMENT */
    EMULSION_NOT_FINITE = 3,       /* the loss or a gradient is NaN or infinite: see below */
    EMULSION_UNSUPPORTED_CPU = 4,  /* the library holds no variant that this processor can run */
    EMULSION_NO_THREADS = 5,       /* the system refused to start a thread */
    EMULSION_NOT_BOUND = 6,        /* bind of this library has not succeeded on this instance */
    EMULSION_FORKED = 7,           /* the process was forked after bind: bind again in the child;
                                      drivers of CUDA and OpenCL serve none whose parent used them */
    EMULSION_NOT_READY = 8,        /* a call that must come first is missing: see Order */
    EMULSION_BUSY = 9,             /* another call is running on this instance; changes nothing */
    EMULSION_UNSUPPORTED_DEVICE = 10, /* the library has no variant for the device asked for, or it
                                         is not there, or lacks memory */
    EMULSION_DEVICE_ERROR = 11        /* the device or its driver failed: see Devices */
} emulsion_status;

/* What EMULSION_NOT_FINITE leaves behind. The step is not counted, and there are no gradients for
 * `update`.
 *   The loss is not finite: this step has changed nothing, though an earlier one may have made
 *   parameters that are not finite; the outputs are 0 but the loss.
 *   A gradient is not finite, though the loss is: parameters and the optimiser's state are
 *   unchanged; running statistics have taken the samples in, and the outputs hold. A library built
 *   with --update=at-once has no gradients to test: such a step returns EMULSION_OK with parameters
 *   that are not finite, and a later loss tells. */

/* Element types of tensors at the interface. */
typedef enum emulsion_type { EMULSION_F32 = 0, EMULSION_I32 = 1, EMULSION_U8 = 2 } emulsion_type;

/* Classes of memory, each one block that the caller owns. */
typedef enum emulsion_class {
    EMULSION_PARAMETERS = 0, /* weights, in the canonical layout below */
    EMULSION_GRADIENTS = 1,  /* one per trained parameter, contiguous; 0 bytes in inference, and
                                where updates are at once */
    EMULSION_STATE = 2,      /* 64 bytes, in training: seed, steps done, a mark that init leaves
                                (uint64_t); then statistics, optimiser */
    EMULSION_PREPARED = 3,   /* packed or folded copies that the kernels read; inference only */
    EMULSION_WORKSPACE = 4,  /* activations, then one scratch slab per thread */
    EMULSION_INSTANCE = 5,   /* descriptors and the thread pool: the `instance` argument */
    EMULSION_CLASSES = 6
} emulsion_class;

/* What NAME_sizes(threads, &sizes) states: the bytes of each class for up to so many threads; 0
 * stands for the CPUs that the calling thread may use. */
typedef struct emulsion_sizes {
    uint64_t bytes[EMULSION_CLASSES];
    int32_t threads; /* the count, never 0 */
    int32_t reserved;
    uint64_t device_bytes[EMULSION_CLASSES]; /* of a device's memory, at most: its description says
                                                how much; inputs and outputs lie in the workspace
                                                there. 0 without such a variant */
} emulsion_sizes;

/* One pointer per class; EMULSION_INSTANCE is ignored (it is passed as `instance`). A class of 0
 * bytes may be null. `sizes` says what the blocks hold: fill it with NAME_sizes. */
typedef struct emulsion_memory {
    void* block[EMULSION_CLASSES];
    emulsion_sizes sizes;
} emulsion_memory;

/* A named tensor inside a class of memory. Its logical shape and order are those of the weights
 * file; in memory the first axis is split into blocks of 16 (the last block padded with zeros),
 * innermost, and the second axis of a matrix that reads a flattened map is the map's (C, H, W),
 * stored channels innermost:
 *   rank 0  []: one value; rank 1  [O]: [O/16][16]
 *   rank 2  [O, I]: [O/16][I][16], or [O/16][H][W][C][16] where flattened[0] > 0
 *   rank 3  [O, I, K]: [O/16][K][I][16]; rank 4  [O, I, KH, KW]: [O/16][KH][KW][I][16]
 *   rank 5  [O, I, KD, KH, KW]: [O/16][KD][KH][KW][I][16], and so any rank above 2 */
typedef struct emulsion_tensor {
    const char* name;     /* logical name, such as "conv1.w" */
    int32_t type;         /* emulsion_type */
    int32_t memory_class; /* EMULSION_PARAMETERS or EMULSION_STATE */
    int32_t rank;         /* of the logical shape */
    int32_t trained;      /* 1: a step updates it */
    int64_t shape[EMULSION_MAX_RANK];
    int64_t flattened[3];     /* C, H, W of the flattened map, or zeros */
    uint64_t offset;          /* bytes from the start of its class */
    uint64_t bytes;           /* in memory, padding included */
    uint64_t gradient_offset; /* bytes from the start of EMULSION_GRADIENTS, if any */
} emulsion_tensor;

/* An input or output: samples are outermost, channels innermost: [samples][H][W][C]. A training
 * library hands out "loss", the mean over the samples, and of each classifier "correct" or, where
 * it has a name, "NAME.correct": how many samples, or pixels, of the call it has right; with
 * "counted" beside it where labels may say "does not count". Of several losses each has an output
 * "NAME.loss", before its weight. A label map is [samples][H][W], its shape {1, H, W}. Indices are
 * [samples][L], or, of shape {R, L}, [samples][L][R]: an edge list is pairs, its shape {2, L}. */
typedef struct emulsion_port {
    const char* name;
    int32_t type;
    int32_t rank;    /* of one sample */
    int32_t batched; /* 0: one value per call, such as the loss */
    int32_t classes; /* of an input of class indices, or of words or vertices: a call is refused,
                        with the sample and its index, where one is neither in 0 .. classes - 1 nor
                        `ignored`; else 0 */
    int32_t ignored; /* the index of what does not count, such as -100; 0 where there is none */
    int32_t distribution; /* 1: along the channels, or features, values of 0 or more that sum to 1,
                             to a thousandth: a call is refused, with the sample, where not */
    int64_t shape[EMULSION_MAX_RANK]; /* one sample's logical shape: C, H, W */
    uint64_t bytes;                   /* of one sample */
} emulsion_port;

typedef struct emulsion_info {
    int32_t abi_version;
    int32_t batch;         /* the most samples of one call */
    const char* network;   /* "lenet" */
    const char* signature; /* 16 hexadecimal digits of graph and shapes, equal in both libraries */
    const char* version;   /* of the compiler */
    const char* optimizer; /* such as "sgd learning_rate=0.05 momentum=0.9"; "" in inference */
    const char* const* classes; /* names, or null */
    int32_t class_count;
    int32_t input_count, output_count, tensor_count;
    const emulsion_port* inputs;
    const emulsion_port* outputs;
    const emulsion_tensor* tensors; /* parameters, then state */
    const char* const* variants; /* ISA variants, best last: "x86-64", "avx2", "avx512"; then those
                                    for devices: "opencl" */
    int32_t variant_count;
    int32_t kernel_count;
    const char* const* kernels; /* one line of signature per kernel call, in order of the calls */
    float input_mean[4], input_deviation[4]; /* by channel: (pixel / 255 - mean) / deviation */
    int32_t normalized;                      /* 1: the two rows above hold */
    int32_t threads;                         /* thread count the records were chosen for */
} emulsion_info;

/* A thread pool of the caller's: runs task(closure, worker, index) for every index in [0, count)
 * once, worker in [0, threads), no two calls with the same worker at once; returns when all are
 * done. A call whose pool takes another worker or index, or leaves one out, fails. bind copies the
 * struct; what `self` points to must last until unbind. */
typedef struct emulsion_pool {
    void* self;
    int32_t threads;
    void (*parallel_for)(void* self, void (*task)(void* closure, int worker, int index),
                         void* closure, int count);
} emulsion_pool;

/* A device that a library can run on. `name` and `memory_bytes` are its driver's words. */
typedef struct emulsion_device_description {
    const char* interface; /* "opencl"; options.device names the device "opencl:1" */
    int32_t index;         /* among those of the interface: 1 */
    int32_t is_software;   /* 1: the processor in disguise, such as PoCL's or lavapipe's */
    uint64_t memory_bytes;
    uint64_t device_bytes[EMULSION_CLASSES]; /* of its memory, what the library takes */
    int32_t largest_batch; /* of info->batch and the powers of two below it, the largest that the
                              library may be built for to fit there; 0: none does */
    int32_t reserved;
    char name[256];
    char problem[256]; /* beyond the last device: why there is none, or no more, in words */
} emulsion_device_description;

/* What a device does at most. NAME_speed measures the device of this index, as NAME_device counts
 * them, in a second or so (some more where a processor plays the device), with 260 MiB of its
 * memory, or as much as it gives; nothing else should run there meanwhile. It returns
 * EMULSION_INVALID_ARGUMENT where there is no such device, EMULSION_DEVICE_ERROR where it cannot be
 * measured. */
#define EMULSION_DEVICE_BLOCKS 4
typedef struct emulsion_device_speed {
    double peak;   /* operations a second: plain multiply-adds of f32, two each */
    double launch; /* seconds of a launch that does nothing, and of the wait for its end */
    int32_t bandwidth_count; /* rows that are measured */
    int32_t reserved;
    struct {
        uint64_t bytes;     /* of a block that is touched again and again: 4, 16, 64, 256 MiB */
        double read, write; /* bytes a second */
    } bandwidth[EMULSION_DEVICE_BLOCKS];
    char problem[256]; /* where it fails: why, in words */
} emulsion_device_speed;

/* Memory of a device that the caller owns: for each class a block, a cl_mem of OpenCL or an address
 * of CUDA (CUdeviceptr) as a number, or 0, and bind allocates that class. Vulkan takes none.
 * options.device names the interface and the device that the memory is of. A block
 *   - holds at least device_bytes[class] of that device's description, or of `sizes`. bind makes
 *     what it needs of them zeros, whatever they held (upload is due as ever), and touches none
 *     behind them;
 *   - belongs, from bind to unbind, to this class of this instance: the caller neither uses nor
 *     frees it, and has nothing under way on it. unbind leaves it be;
 *   - of OpenCL is a buffer of `context` for reading and writing by kernels and the host, no part
 *     of another one, and where it uses memory of the host, at a multiple of 512 bytes. bind
 *     retains it and `context`, which has the device, and unbind releases them;
 *   - of CUDA is at a multiple of 512 bytes, and of the device's primary context or of none.
 * bind refuses what is not so: fewer `bytes` than are needed, or a context where none is due, with
 * EMULSION_INVALID_ARGUMENT, what the driver tells of a block with EMULSION_DEVICE_ERROR. A number
 * that is no handle at all not every driver survives. bind copies the struct. */
typedef struct emulsion_device_memory {
    uint64_t block[EMULSION_CLASSES];
    uint64_t bytes[EMULSION_CLASSES]; /* of each block */
    void* context;                    /* OpenCL: the blocks' cl_context; CUDA: null */
} emulsion_device_memory;

/* All zero is a good default: the threads that the memory is sized for, own pool, best variant of
 * the processor. */
typedef struct emulsion_options {
    int32_t threads; /* 0: the count in memory->sizes; ignored with a pool */
    int32_t variant; /* 0: the best this processor runs; else 1 + an index into info->variants, of
                        one for processors */
    int32_t stay_awake; /* 1: workers spin between calls (benchmarks) */
    int32_t pin;        /* 1: one CPU per worker, the binding thread included, until unbind */
    const emulsion_pool* pool;                               /* or null */
    void (*profile)(void* self, int kernel, double seconds); /* or null: called after each kernel */
    void* profile_self;
    const char* device; /* null or "cpu": the processor; "gpu": the first device of the library's
                           interfaces that is no software, or else the first; "auto": the first
                           that is no software, or else the processor; or an interface and an index,
                           "opencl:1" ("opencl": of index 0). On a device the fields above are
                           ignored but for profile; variant must be 0 */
    const emulsion_device_memory* device_memory; /* or null: bind allocates all of a device's */
} emulsion_options;

/* One call: pointers in the order of info->inputs and info->outputs, none null, all aligned to
 * EMULSION_ALIGNMENT. */
typedef struct emulsion_call {
    int32_t samples; /* 1 .. info->batch */
    int32_t later;   /* 1: a device may write the outputs later, see "Outputs later" */
    const void* const* inputs;
    void* const* outputs;
} emulsion_call;

#ifdef __cplusplus
}
#endif
#endif
#if EMULSION_ABI_VERSION != 6
#error "headers of two versions of Emulsion meet: build all libraries with the same one"
#endif
