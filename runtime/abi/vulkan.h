/* What the files of Vulkan share: vulkan.c (devices), vulkan_memory.c (memory and copies),
 * vulkan_queue.c (what is recorded and submitted), vulkan_code.c (what Halide's modules hold),
 * vulkan_kernel.c (kernels and what they are bound to), vulkan_launch.c (programs and launches),
 * vulkan_finite.c (the test for values that are not finite) and vulkan_probe.c (the probe), whose
 * kernels are written with vulkan_words.h. */
#pragma once
#include "runtime/abi/device_base.h"
#include "runtime/abi/vulkan_driver.h"

enum {
    EMULSION_VULKAN_FRAMES = 3,      /* at most so many are on their way */
    EMULSION_VULKAN_LAUNCHES = 32,   /* of a frame */
    EMULSION_VULKAN_SCALARS = 256,   /* bytes of a launch; no driver aligns them to more */
    EMULSION_VULKAN_STAGED = 2 << 20 /* bytes that a frame carries */
};

typedef struct emulsion_vulkan_memory {
    VkBuffer buffer;
    VkDeviceMemory memory;
} emulsion_vulkan_memory;

/* A part of a buffer, as a kernel's argument. */
typedef struct emulsion_vulkan_view {
    VkBuffer buffer;
    uint64_t offset, bytes;
} emulsion_vulkan_view;

/* Commands that are submitted together. Its scalars and the bytes that it carries lie in its own
 * part of the host's memory, which is free again when the commands are through. */
typedef struct emulsion_vulkan_frame {
    VkCommandBuffer commands;
    VkFence fence;
    int is_recording, is_submitted;
    uint32_t launches; /* recorded */
    uint64_t number;   /* of its recordings */
    uint64_t staged;   /* bytes taken */
} emulsion_vulkan_frame;

/* What downloads at a mark are from: the commands behind the launches before it bring this part of
 * the workspace into memory of the host's. */
typedef struct emulsion_vulkan_mark {
    emulsion_vulkan_memory host;
    unsigned char* mapped;
    uint64_t capacity; /* bytes of the host's memory */
    uint64_t offset, bytes;
    emulsion_vulkan_frame* frame; /* that has the commands, */
    uint64_t number;              /* in this recording */
} emulsion_vulkan_mark;

/* Descriptor sets come from these; a full one stays behind the next. */
typedef struct emulsion_vulkan_pool {
    VkDescriptorPool pool;
    uint32_t sets, buffers; /* left */
    struct emulsion_vulkan_pool* next;
} emulsion_vulkan_pool;

typedef struct emulsion_vulkan_device {
    emulsion_device_base base;
    const emulsion_vulkan_driver* vk;
    VkPhysicalDevice id;
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceFeatures features;             /* on */
    VkPhysicalDeviceVulkan11Features features_1_1; /* on */
    VkPhysicalDeviceVulkan12Features features_1_2; /* on */
    uint32_t family;                               /* of queues */
    uint32_t heap;                                 /* of arenas */
    int has_budget;                                /* VK_EXT_memory_budget */
    VkDevice device;
    VkQueue queue;
    VkCommandPool commands;
    emulsion_vulkan_frame frames[EMULSION_VULKAN_FRAMES];
    int frame; /* recorded now, or next */
    emulsion_vulkan_memory arenas[EMULSION_CLASSES];
    emulsion_vulkan_memory host; /* for each frame scalars, then bytes on their way */
    unsigned char* mapped;       /* the latter */
    emulsion_vulkan_mark marks[EMULSION_DEVICE_MARKS];
    emulsion_table views[EMULSION_CLASSES];
    emulsion_vulkan_pool* pools;
} emulsion_vulkan_device;

/* vulkan.c */

/* Keeps the driver's `answer`, which is not 0, to a call of `function`. `what` goes on: "to a
 * fence". */
int emulsion_vulkan_fail(emulsion_vulkan_device* device, int answer, const char* function,
                         const char* what);
/* The same, if it is not 0, of a call that waits for the kernels launched before it. */
int emulsion_vulkan_waited(emulsion_vulkan_device* device, int answer, const char* function);

/* vulkan_queue.c */

/* The device's commands, fences and the host's memory behind them. */
int emulsion_vulkan_open_queue(emulsion_vulkan_device* device);
void emulsion_vulkan_close_queue(emulsion_vulkan_device* device);
/* The frame that is recorded, with room for a launch and for `staged` bytes; what is recorded next
 * runs behind all before it. Null where the device has a fault. */
emulsion_vulkan_frame* emulsion_vulkan_record(emulsion_vulkan_device* device, uint64_t staged);
/* Where a frame's scalars, or what it carries, begin in the host's memory. */
uint64_t emulsion_vulkan_scalars_of(const emulsion_vulkan_device* device,
                                    const emulsion_vulkan_frame* frame);
uint64_t emulsion_vulkan_staged_of(const emulsion_vulkan_device* device,
                                   const emulsion_vulkan_frame* frame);
/* Hands over what is recorded. */
int emulsion_vulkan_submit(emulsion_vulkan_device* device);
/* The same, and returns when all is through. */
int emulsion_vulkan_wait(emulsion_vulkan_device* device);
/* Returns when what a submitted frame has in this recording is through. */
int emulsion_vulkan_wait_for(emulsion_vulkan_device* device, emulsion_vulkan_frame* frame,
                             uint64_t number);

/* vulkan_memory.c: functions of emulsion_device_api, and what open and close need. */

int emulsion_vulkan_allocate(emulsion_device* device, int memory_class, uint64_t bytes);
uint64_t emulsion_vulkan_make_view(emulsion_device* device, int memory_class, uint64_t offset,
                                   uint64_t bytes);
int emulsion_vulkan_upload(emulsion_device* device, int memory_class, uint64_t offset,
                           const void* host, uint64_t bytes);
int emulsion_vulkan_download(emulsion_device* device, int memory_class, uint64_t offset, void* host,
                             uint64_t bytes, int mark);
int emulsion_vulkan_set_mark(emulsion_device* device, int mark, uint64_t offset, uint64_t bytes);
/* A buffer with memory of its own: of the device, counted, or of the host. */
int emulsion_vulkan_create_memory(emulsion_vulkan_device* device, uint64_t bytes, int is_host,
                                  emulsion_vulkan_memory* memory);
void emulsion_vulkan_free_memory(emulsion_vulkan_device* device, emulsion_vulkan_memory* memory);
/* The address of a buffer of the host's; null where it fails. */
unsigned char* emulsion_vulkan_map(emulsion_vulkan_device* device,
                                   const emulsion_vulkan_memory* memory);

/* vulkan_code.c */

/* A kernel in a module. */
typedef struct emulsion_vulkan_code {
    const unsigned char* words; /* SPIR-V; of any alignment */
    size_t bytes;
    uint32_t has_scalars; /* 1: binding 0 is a uniform buffer of them */
    uint32_t buffers;     /* storage buffers, in the bindings behind it */
    uint64_t shared;      /* bytes of a block */
} emulsion_vulkan_code;

/* 0 where the module's text has no such kernel, or none that can be run; `why` goes on behind its
 * name: "is not in its module". */
int emulsion_vulkan_find_code(const void* text, size_t bytes, const char* name,
                              emulsion_vulkan_code* code, const char** why);
/* The first capability among the words of SPIR-V that `has` refuses; -1: none. */
int64_t emulsion_vulkan_missing(const uint32_t* words, size_t count,
                                int (*has)(const void* device, uint32_t capability),
                                const void* device);

/* vulkan_kernel.c */

/* A set of views that a kernel was launched with. */
typedef struct emulsion_vulkan_set {
    VkDescriptorSet set;
    struct emulsion_vulkan_set* next;
    const emulsion_vulkan_view* views[];
} emulsion_vulkan_set;

typedef struct emulsion_vulkan_kernel {
    emulsion_vulkan_device* device;
    const char* name;
    uint32_t has_scalars, buffers;
    int threads[3];
    VkDescriptorSetLayout bindings;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    emulsion_vulkan_set* sets;
} emulsion_vulkan_kernel;

/* The kernel of this code; null where it fails. */
emulsion_vulkan_kernel* emulsion_vulkan_create_kernel(emulsion_vulkan_device* device,
                                                      const emulsion_vulkan_code* code,
                                                      const char* name, const int threads[3]);
int emulsion_vulkan_destroy_kernel(void* kernel);
/* The kernel's set of these views, made when it is first asked for; null where it fails. */
emulsion_vulkan_set* emulsion_vulkan_bind(emulsion_vulkan_kernel* kernel,
                                          const emulsion_vulkan_view* const* views);
void emulsion_vulkan_destroy_pools(emulsion_vulkan_device* device);

/* vulkan_launch.c */

/* Makes a kernel of a program, by the addresses of the program's text and of its name; null where
 * it fails. */
emulsion_vulkan_kernel* emulsion_vulkan_ready_kernel(emulsion_vulkan_device* device,
                                                     const void* text, const char* name,
                                                     const emulsion_vulkan_code* code,
                                                     const int threads[3]);
/* On these views, one for each of the kernel's buffers, and scalars of at most
 * EMULSION_VULKAN_SCALARS bytes. A dry device binds them, and runs nothing. */
int emulsion_vulkan_launch(emulsion_vulkan_kernel* kernel, const int blocks[3],
                           const emulsion_vulkan_view* const* views, const void* scalars,
                           size_t bytes);

/* vulkan_finite.c, vulkan_probe.c: emulsion_device_api::test and probe. */

int emulsion_vulkan_test(emulsion_device* device, const emulsion_device_test* test);
int emulsion_vulkan_probe(emulsion_device* device, const emulsion_device_probe* probe);
