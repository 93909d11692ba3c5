/* The seam between a library and the drivers of devices: what a device variant runs on. One
 * interface (CUDA, OpenCL, Vulkan) is one emulsion_device_api, defined in files of its own (cuda*.c
 * and so on), and one set of the five functions that Halide's kernels for it call; a library links
 * the interfaces of its variants alone. Drivers are loaded when a device is first asked for, so
 * that a library starts, and runs on the processor, where there are none; EMULSION_NO_DEVICE=1 in
 * the environment hides all devices.
 *
 * A device that bind has opened serves one instance: a context, a queue of launches in order and
 * one of copies beside them, one arena for each class of memory, the programs and kernels of the
 * library's variant. Kernels get it through user_context, which is an emulsion_worker:
 * worker->instance->device. One thread at a time uses a device, in the process that opened it;
 * different devices are independent.
 *
 * Halide's kernels drop return codes, so a device keeps the driver's first error and refuses every
 * launch behind it; whoever calls kernels looks at `error` when they are through. */
#pragma once
#include "runtime/abi/instance.h"
#ifdef __cplusplus
extern "C" {
#endif

#define EMULSION_DEVICE_TEXT 256

/* Offsets of a library's tensors on a device are multiples of this: no driver asks for more. */
#define EMULSION_DEVICE_ALIGNMENT 512

/* Places in the order of launches, which downloads wait for. */
enum { EMULSION_DEVICE_MARKS = 2, EMULSION_ALL_LAUNCHES = -1 };

/* A test of floats for NaN and infinity. The first of all tests that finds one sets the flag, the
 * first word (uint32_t) of the state's arena, which is 0, to its number; update kernels keep the
 * old values from then on, and later tests find nothing. */
typedef struct emulsion_device_test {
    int32_t memory_class;
    int32_t begins;  /* 1: the record is cleared first; only where `count` is 1 */
    uint64_t offset; /* of the floats, and of the record: as of views */
    uint64_t count;  /* at most EMULSION_DEVICE_TESTED, so that their indices fit into 32 bits */
    uint64_t record; /* offset in the workspace of an emulsion_device_record */
    uint32_t number; /* not 0 */
} emulsion_device_test;
#define EMULSION_DEVICE_TESTED (1u << 30)

/* What tests leave: all zero where they have found nothing. */
typedef struct emulsion_device_record {
    uint32_t number; /* of the test that has */
    uint32_t before; /* UINT32_MAX less the index of the first such value */
} emulsion_device_record;

/* A kernel that keeps the device busy with one thing, for its speed. Each thread leaves the sum of
 * what it has computed or read in a float of its own, at the head of the state's arena; what is
 * read and written are 1 << bits values of 16 bytes in each round, at the head of the workspace's.
 * A round begins 66 KiB behind the former, so that a processor of the device does not find in its
 * own cache what it has touched before. */
typedef struct emulsion_device_probe {
    int32_t kind; /* EMULSION_PROBE_NOTHING and so on */
    uint32_t bits;
    uint32_t rounds; /* 1 .. (1 << 30) >> bits; one of multiply-adds is EMULSION_PROBE_ADDS */
    float value;     /* that is written, or multiplied by */
} emulsion_device_probe;
enum {
    EMULSION_PROBE_NOTHING,       /* by few threads */
    EMULSION_PROBE_MULTIPLY_ADDS, /* x = x * value + (value + value), in some chains */
    EMULSION_PROBE_READS,
    EMULSION_PROBE_WRITES,
    EMULSION_PROBE_ADDS = 128,
    EMULSION_PROBE_THREADS = 1 << 20
};

/* In the place of a driver's code: what was asked for cannot be. */
#define EMULSION_DEVICE_REFUSED (-100000)

typedef struct emulsion_device_api emulsion_device_api;

/* The head of what `open` makes; the rest is the interface's own. */
struct emulsion_device {
    const emulsion_device_api* api;
    int32_t error; /* the driver's code of the first fault; 0: none yet */
    int32_t dry;   /* 1: what is launched is made ready, with its places, and does not run */
    char text[EMULSION_DEVICE_TEXT]; /* `error` in words: what was asked, and the driver's answer */
    /* Counters, since open. */
    uint64_t launches, uploads, downloads, uploaded_bytes, downloaded_bytes;
    uint64_t allocations, allocated_bytes; /* of memory of the device */
    uint64_t programs, kernels;            /* made ready */
};

typedef struct emulsion_device_facts {
    char name[EMULSION_DEVICE_TEXT];
    uint64_t memory_bytes;  /* of the device in all */
    uint64_t largest_bytes; /* of one block */
    uint64_t alignment;     /* bytes, of a view's offset */
    uint64_t is_software;   /* 1: its kernels run on the processor */
    uint64_t view_bytes;    /* of one view, at most */
} emulsion_device_facts;

/* Functions that return an int return 0 or the driver's code. Those without a device put the fault
 * in words into `text`; those with one leave it in the device. */
struct emulsion_device_api {
    const char* name; /* of the target and the variant: "opencl" */
    /* How many devices the drivers at hand offer, those of GPUs first; 0 where there is no driver,
     * and `text` says why. Their order is the drivers' own, and the same in each call. */
    int (*count)(char text[EMULSION_DEVICE_TEXT]);
    int (*facts)(int index, emulsion_device_facts* facts, char text[EMULSION_DEVICE_TEXT]);
    /* In the caller's context, or where that is null in one of its own. Null where it fails. A
     * device allocates nothing beside its arenas. */
    emulsion_device* (*open)(int index, void* context, char text[EMULSION_DEVICE_TEXT]);
    /* Frees all that belongs to it, and leaves what is the caller's; waits for what still runs. */
    void (*close)(emulsion_device* device);
    /* The arena of a class (emulsion_class), once, before the first view of it; zeroed. Refused
     * before anything is asked of the driver where the device has less memory. */
    int (*allocate)(emulsion_device* device, int memory_class, uint64_t bytes);
    /* The same in a block of the caller's (emulsion_device_memory), whose first `bytes`, which are
     * not 0, are zeroed. Refuses a block that is no arena. Null: the interface takes none. */
    int (*adopt)(emulsion_device* device, int memory_class, uint64_t block, uint64_t bytes);
    /* What emulsion_descriptor.device holds for these bytes of an arena: it lives as long as the
     * device, and is the same for the same bytes, since drivers may take two views for two
     * memories. `offset` is a multiple of EMULSION_DEVICE_ALIGNMENT. 0 where it fails. */
    uint64_t (*view)(emulsion_device* device, int memory_class, uint64_t offset, uint64_t bytes);
    /* Copies go beside the launches, and return when the bytes are there. No launch under way
     * touches the bytes of an upload; launches behind it find them. A download is of the bytes as
     * they are behind the launches before `mark`, or behind all launches; none behind those
     * writes to them. Both may wait for more than that. */
    int (*upload)(emulsion_device* device, int memory_class, uint64_t offset, const void* host,
                  uint64_t bytes);
    int (*download)(emulsion_device* device, int memory_class, uint64_t offset, void* host,
                    uint64_t bytes, int mark);
    /* Sets the mark (0 .. EMULSION_DEVICE_MARKS - 1) behind all launches so far, and has the device
     * begin with them. `offset` and `bytes` are of what downloads at the mark will be from, in the
     * workspace. A dry device only gets ready what the mark needs. */
    int (*mark)(emulsion_device* device, int mark, uint64_t offset, uint64_t bytes);
    /* Returns when all launches are through. */
    int (*finish)(emulsion_device* device);
    /* Launches the test, and waits for nothing. A dry device gets kernel and places ready. */
    int (*test)(emulsion_device* device, const emulsion_device_test* test);
    /* The same of the probe. */
    int (*probe)(emulsion_device* device, const emulsion_device_probe* probe);
    int needs_context; /* 1: with blocks of the caller's comes their context; 0: none does */
};

/* What an input or output takes of the workspace on a device: `bytes` of one sample or, where it is
 * not batched, in all. */
static inline uint64_t emulsion_slot_bytes(uint64_t bytes, int is_batched, int32_t batch) {
    const uint64_t all = bytes * (uint64_t)(is_batched ? batch : 1);
    return (all + (EMULSION_DEVICE_ALIGNMENT - 1)) & ~(uint64_t)(EMULSION_DEVICE_ALIGNMENT - 1);
}

extern const emulsion_device_api emulsion_cuda, emulsion_opencl, emulsion_vulkan;

#ifdef __cplusplus
}
#endif
