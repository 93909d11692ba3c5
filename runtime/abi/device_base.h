/* What the interfaces of devices share: faults in words, arenas' bytes, tables of what a device has
 * made. One thread at a time uses a device (emulsion_abi.h), so nothing here is locked. */
#pragma once
#include <pthread.h>

#include "runtime/abi/device.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Handles by a key of two words; a handle is never null. */
typedef struct emulsion_table_entry {
    uint64_t first, second;
    void* handle; /* null: free */
} emulsion_table_entry;

typedef struct emulsion_table {
    emulsion_table_entry* entries;
    uint64_t capacity, count;
} emulsion_table;

/* Null where there is none. */
void* emulsion_table_find(const emulsion_table* table, uint64_t first, uint64_t second);
/* One of those with this first word and a second of at least `least`, found by a walk over all;
 * null where there is none. */
void* emulsion_table_find_least(const emulsion_table* table, uint64_t first, uint64_t least);
/* REQUIRES: there is none yet. 0 where there is no memory. */
int emulsion_table_add(emulsion_table* table, uint64_t first, uint64_t second, void* handle);
/* Hands every handle to `release`, if there is one, and frees the table's memory. */
void emulsion_table_clear(emulsion_table* table, int (*release)(void* handle));

/* The head of each interface's device. */
typedef struct emulsion_device_base {
    emulsion_device head;
    emulsion_device_facts facts;
    uint64_t arena_bytes[EMULSION_CLASSES];
    /* Programs by the address of their text, kernels by that and the address of their name: a
     * kernel object has one of each, whoever runs it, so that nothing of a device is kept there. */
    emulsion_table programs, kernels;
    const char* latest; /* the name of the kernel launched last; null: none was */
} emulsion_device_base;

/* The device that a kernel's user_context, a worker, runs on. */
static inline void* emulsion_device_of(void* user_context) {
    return ((emulsion_worker*)user_context)->instance->device;
}

/* Adds to one of the device's tables. 0, or the fault where the process is out of memory. */
int emulsion_device_add(emulsion_device_base* device, emulsion_table* table, uint64_t first,
                        uint64_t second, void* handle);

/* Keeps the fault if it is the first. Returns the first one's code. */
int emulsion_device_fail(emulsion_device_base* device, int code, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

/* Faults that all interfaces tell alike: the process has no memory; an argument of a kernel is not
 * on the device. */
int emulsion_device_lacks_memory(emulsion_device_base* device);
int emulsion_device_lacks_argument(emulsion_device_base* device, int argument, const char* kernel);

/* What a wait waits for, in words: "behind the launch of 'relu1'". */
void emulsion_device_behind(const emulsion_device_base* device, char* what, size_t bytes);

/* Opening: */

/* 1 where `index` is one of the interface's `count` devices; 0 where it is not: `text` says so. */
int emulsion_device_has_index(const emulsion_device_api* api, int index, int count,
                              char text[EMULSION_DEVICE_TEXT]);
/* Zeroed memory, `bytes` in all, for a device that begins with an emulsion_device_base. Null where
 * there is none, and `text` says so. */
void* emulsion_device_new(const emulsion_device_api* api, size_t bytes,
                          char text[EMULSION_DEVICE_TEXT]);
/* 0 where views may begin wherever libraries place tensors. */
int emulsion_device_check_alignment(emulsion_device_base* device);
/* What `open` returns: the device, or null where it has a fault. It is then closed, and `text`
 * holds the fault. */
emulsion_device* emulsion_device_opened(emulsion_device* device, char text[EMULSION_DEVICE_TEXT]);

/* Memory: */

/* 0 if the device is without fault and the class has no arena yet. */
int emulsion_device_check_class(emulsion_device_base* device, int memory_class);
/* 0 if the device is without fault and can give an arena of so many bytes. `free_bytes` is what it
 * has left. */
int emulsion_device_check_arena(emulsion_device_base* device, int memory_class, uint64_t bytes,
                                uint64_t free_bytes);
/* Keeps why a block of the caller's is no arena: "is an image". */
int emulsion_device_refuse_block(emulsion_device_base* device, int memory_class, const char* format,
                                 ...) __attribute__((format(printf, 3, 4)));
/* 0 if it begins where arenas may (0: the driver sees to that) and has the bytes. */
int emulsion_device_check_block(emulsion_device_base* device, int memory_class, uint64_t address,
                                uint64_t has, uint64_t needs);
/* 0 if the device is without fault and the bytes lie in an arena. */
int emulsion_device_check_range(emulsion_device_base* device, int memory_class, uint64_t offset,
                                uint64_t bytes);
/* Counts a copy that is to be made. 0 where none is: there are no bytes, or the device has a fault.
 */
int emulsion_device_uploads(emulsion_device_base* device, int memory_class, uint64_t offset,
                            uint64_t bytes);
int emulsion_device_downloads(emulsion_device_base* device, int memory_class, uint64_t offset,
                              uint64_t bytes);
/* 0 if the device is without fault, and floats, flag and record lie in arenas. */
int emulsion_device_check_test(emulsion_device_base* device, const emulsion_device_test* test);
/* 0 if the device is without fault, and what the probe touches lies in arenas. */
int emulsion_device_check_probe(emulsion_device_base* device, const emulsion_device_probe* probe);
/* How many threads a probe has, in blocks of so many. */
static inline int emulsion_probe_threads(const emulsion_device_probe* probe, int block) {
    return probe->kind == EMULSION_PROBE_NOTHING ? block : EMULSION_PROBE_THREADS;
}

/* The end of what a compiler says, on one line; changes `log`. */
void emulsion_log_tail(char* log, char* tail, size_t bytes);

/* 1 where the environment says to leave devices alone (EMULSION_NO_DEVICE); `text` then says so. */
int emulsion_devices_are_off(char text[EMULSION_DEVICE_TEXT]);

/* A driver's library, loaded at first use, and then for good. */
typedef struct emulsion_driver {
    const char *interface, *library; /* "CUDA", "libcuda.so.1" */
    const char* const* names;        /* of the functions that are called */
    void** functions;                /* their addresses, once the library is found */
    int count;
    int is_tried, is_found;
    char why_not[EMULSION_DEVICE_TEXT];
    pthread_mutex_t lock;
} emulsion_driver;
#define EMULSION_DRIVER(interface, library, names, functions) \
    {interface,                                               \
     library,                                                 \
     names,                                                   \
     functions,                                               \
     sizeof(names) / sizeof *(names),                         \
     0,                                                       \
     0,                                                       \
     "",                                                      \
     PTHREAD_MUTEX_INITIALIZER}

/* 1 once the functions are there; 0 where the library or one of them is missing: `text` says so. */
int emulsion_driver_find(emulsion_driver* driver, char text[EMULSION_DEVICE_TEXT]);

#ifdef __cplusplus
}
#endif
