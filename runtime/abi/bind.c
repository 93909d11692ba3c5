/* Sizes, bind and unbind: check the caller's memory and options, choose the variant, lay out the
 * instance block (descriptors, workers) and the workspace's slabs, start the threads. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/abi/internal.h"

_Static_assert(sizeof(emulsion_descriptor) == 56, "the layout of halide_buffer_t");
_Static_assert(sizeof(emulsion_dimension) == 16, "the layout of halide_dimension_t");
_Static_assert(offsetof(emulsion_instance, workers) == 16, "read by generated code");
_Static_assert(offsetof(emulsion_instance, step_high) == 44, "read by generated code");
_Static_assert(sizeof(emulsion_instance) % EMULSION_ALIGNMENT == 0, "descriptors follow");

const char* const emulsion_class_names[EMULSION_CLASSES] = {"parameters", "gradients", "state",
                                                            "prepared",   "workspace", "instance"};

int emulsion_variant_sizes(const emulsion_library* library, int variant, int threads,
                           emulsion_sizes* sizes) {
    if (sizes == NULL || threads < 0 || threads > EMULSION_MAX_THREADS || variant < 0 ||
        variant >= library->variant_count) {
        return EMULSION_INVALID_ARGUMENT;
    }
    memset(sizes, 0, sizeof *sizes);
    sizes->threads = threads > 0 ? threads : emulsion_cpu_count();
    const emulsion_variant* chosen = &library->variants[variant];
    memcpy(sizes->bytes, library->bytes, sizeof sizes->bytes);
    if (chosen->device != NULL) {
        sizes->bytes[EMULSION_GRADIENTS] = 0;
        sizes->bytes[EMULSION_INSTANCE] = emulsion_instance_bytes(chosen->buffer_count, 1);
        emulsion_device_sizes(library, chosen, sizes);
        return EMULSION_OK;
    }
    sizes->bytes[EMULSION_PREPARED] = chosen->prepared_bytes;
    sizes->bytes[EMULSION_WORKSPACE] = emulsion_workspace_bytes(
        chosen->activation_bytes, chosen->slab0_bytes, chosen->slab_bytes, sizes->threads);
    sizes->bytes[EMULSION_INSTANCE] = emulsion_instance_bytes(chosen->buffer_count, sizes->threads);
    return EMULSION_OK;
}

int emulsion_library_sizes(const emulsion_library* library, int threads, emulsion_sizes* sizes) {
    if (sizes == NULL || threads < 0 || threads > EMULSION_MAX_THREADS)
        return EMULSION_INVALID_ARGUMENT;
    memset(sizes, 0, sizeof *sizes);
    sizes->threads = threads > 0 ? threads : emulsion_cpu_count();
    for (int variant = 0; variant < library->variant_count; variant++) {
        emulsion_sizes one;
        emulsion_variant_sizes(library, variant, sizes->threads, &one);
        for (int i = 0; i < EMULSION_CLASSES; i++) {
            if (one.bytes[i] > sizes->bytes[i]) sizes->bytes[i] = one.bytes[i];
            if (one.device_bytes[i] > sizes->device_bytes[i])
                sizes->device_bytes[i] = one.device_bytes[i];
        }
    }
    return EMULSION_OK;
}

/* Entering and leaving. */

static int is_bound(const emulsion_library* library, const emulsion_instance* instance) {
    return __atomic_load_n(&instance->magic, __ATOMIC_ACQUIRE) == EMULSION_BOUND &&
           instance->self == instance && (library == NULL || instance->library == library);
}

/* A flag that a thread of the parent has left set in a forked child is nobody's. */
static int take_busy(emulsion_instance* instance) {
    const int32_t me = (int32_t)getpid();
    int32_t holder = 0;
    while (!__atomic_compare_exchange_n(&instance->busy, &holder, me, /*weak=*/0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (holder == me) return 0;
    }
    return 1;
}

int emulsion_enter(const emulsion_library* library, void* block) {
    emulsion_instance* instance = (emulsion_instance*)block;
    if (instance == NULL || (uintptr_t)instance % EMULSION_ALIGNMENT != 0)
        return EMULSION_NOT_BOUND;
    if (!is_bound(library, instance)) return EMULSION_NOT_BOUND;
    if (!take_busy(instance)) return EMULSION_BUSY;
    if (is_bound(library, instance)) return EMULSION_OK;
    return emulsion_leave(instance, EMULSION_NOT_BOUND); /* another thread was unbinding it */
}

int emulsion_leave(emulsion_instance* instance, int status) {
    __atomic_store_n(&instance->busy, 0, __ATOMIC_RELEASE);
    return status;
}

/* Checks. */

static int fail_range(emulsion_instance* instance, const char* what, int64_t value, int64_t least,
                      int64_t most) {
    emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, what);
    emulsion_append(instance, " is ");
    emulsion_append_number(instance, value);
    emulsion_append(instance, ", but must be ");
    emulsion_append_number(instance, least);
    emulsion_append(instance, " to ");
    emulsion_append_number(instance, most);
    return EMULSION_INVALID_ARGUMENT;
}

static int check_options(emulsion_instance* instance, const emulsion_options* options,
                         int sized_threads) {
    const int variants = instance->library->variant_count;
    if (options->variant < 0 || options->variant > variants) {
        return fail_range(instance, "options.variant", options->variant, 0, variants);
    }
    if (options->variant > 0 && instance->library->variants[options->variant - 1].device != NULL) {
        emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "options.variant is that of devices, ");
        emulsion_append(instance, instance->library->info->variants[options->variant - 1]);
        emulsion_append(instance, ": name it in options.device instead");
        return EMULSION_INVALID_ARGUMENT;
    }
    if (options->pool == NULL) {
        if (options->threads < 0 || options->threads > EMULSION_MAX_THREADS) {
            return fail_range(instance, "options.threads", options->threads, 0,
                              EMULSION_MAX_THREADS);
        }
        if (options->threads > 0) return EMULSION_OK;
        if (sized_threads >= 1 && sized_threads <= EMULSION_MAX_THREADS) return EMULSION_OK;
        return fail_range(instance, "memory.sizes.threads", sized_threads, 1, EMULSION_MAX_THREADS);
    }
    if (options->pool->parallel_for == NULL) {
        return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                             "options.pool.parallel_for is null");
    }
    if (options->pool->threads >= 1 && options->pool->threads <= EMULSION_MAX_THREADS)
        return EMULSION_OK;
    return fail_range(instance, "options.pool.threads", options->pool->threads, 1,
                      EMULSION_MAX_THREADS);
}

static int fail_variant(emulsion_instance* instance, int wanted) {
    emulsion_fail(instance, EMULSION_UNSUPPORTED_CPU, "this processor cannot run ");
    if (wanted == 0) emulsion_append(instance, "any of the library's variants:");
    for (int i = 0; i < instance->library->variant_count; i++) {
        if (wanted > 0 && i != wanted - 1) continue;
        if (instance->library->variants[i].device != NULL) continue;
        emulsion_append(instance, wanted > 0 ? "variant " : " ");
        emulsion_append(instance, instance->library->info->variants[i]);
    }
    return EMULSION_UNSUPPORTED_CPU;
}

/* The memory must be sized for the threads of this bind. */
static int check_sizes(emulsion_instance* instance, const emulsion_sizes* has,
                       const emulsion_sizes* needs) {
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        if (has->bytes[i] >= needs->bytes[i]) continue;
        emulsion_fail(instance, EMULSION_INVALID_ARGUMENT, "memory.sizes states ");
        emulsion_append_number(instance, (int64_t)has->bytes[i]);
        emulsion_append(instance, " bytes of class ");
        emulsion_append(instance, emulsion_class_names[i]);
        emulsion_append(instance, ", but ");
        emulsion_append_number(instance, (int64_t)needs->bytes[i]);
        emulsion_append(instance, " are needed with ");
        emulsion_append_number(instance, instance->threads);
        emulsion_append(instance, instance->threads == 1 ? " thread" : " threads");
        emulsion_append(instance, "; fill it with the sizes function, and allocate as it says");
        return EMULSION_INVALID_ARGUMENT;
    }
    return EMULSION_OK;
}

static int check_blocks(emulsion_instance* instance, const emulsion_memory* memory, int variant) {
    emulsion_sizes sizes;
    emulsion_variant_sizes(instance->library, variant, instance->threads, &sizes);
    const int enough = check_sizes(instance, &memory->sizes, &sizes);
    if (enough != EMULSION_OK) return enough;
    for (int i = 0; i < EMULSION_INSTANCE; i++) {
        if (sizes.bytes[i] == 0) continue;
        int status = EMULSION_OK;
        if (memory->block[i] == NULL) status = EMULSION_INVALID_ARGUMENT;
        if ((uintptr_t)memory->block[i] % EMULSION_ALIGNMENT != 0) status = EMULSION_MISALIGNED;
        if (status == EMULSION_OK) continue;
        emulsion_fail(instance, status, "the memory block of class ");
        emulsion_append(instance, emulsion_class_names[i]);
        emulsion_append(instance,
                        status == EMULSION_MISALIGNED ? " is not aligned to 64 bytes" : " is null");
        return status;
    }
    return EMULSION_OK;
}

/* Layout. */

static void fill_descriptors(emulsion_instance* instance) {
    for (int i = 0; i < instance->variant->buffer_count; i++) {
        const emulsion_buffer* buffer = &instance->variant->buffers[i];
        emulsion_descriptor* descriptor = &instance->descriptors[i];
        memset(descriptor, 0, sizeof *descriptor);
        descriptor->type = buffer->type;
        descriptor->rank = buffer->rank;
        descriptor->dimensions = buffer->dimensions;
        if (instance->variant->device != NULL) {
            continue; /* device.c fills them */
        } else if (buffer->where < EMULSION_CLASSES) {
            descriptor->host = (char*)instance->block[buffer->where] + buffer->offset;
        } else if (buffer->where == EMULSION_CONSTANT) {
            descriptor->host = (char*)(uintptr_t)buffer->constant + buffer->offset;
        }
    }
}

static void place_workers(emulsion_instance* instance) {
    const emulsion_variant* variant = instance->variant;
    const uint64_t descriptor_bytes =
        emulsion_round_up((uint64_t)variant->buffer_count * sizeof(emulsion_descriptor));
    instance->workers = (emulsion_worker*)(void*)((char*)instance->descriptors + descriptor_bytes);
    char* slab = (char*)instance->block[EMULSION_WORKSPACE]; /* null on a device */
    if (slab != NULL) slab += emulsion_round_up(variant->activation_bytes);
    for (int index = 0; index < instance->threads; index++) {
        emulsion_worker* worker = &instance->workers[index];
        memset(worker, 0, sizeof *worker);
        worker->instance = instance;
        worker->index = index;
        worker->slab = slab;
        worker->slab_bytes =
            emulsion_round_up(index == 0 ? variant->slab0_bytes : variant->slab_bytes);
        if (slab != NULL) slab += worker->slab_bytes;
    }
}

static int start_threads(emulsion_instance* instance, const emulsion_options* options) {
    if (instance->pool.parallel_for != NULL) return EMULSION_OK;
    if (options->pin) {
        emulsion_allowed_cpus(instance->caller_cpus);
        instance->pinned = (int32_t)syscall(SYS_gettid);
    }
    if (instance->threads > 1) instance->pid = (int32_t)getpid();
    const int status = emulsion_crew_start(instance, options->stay_awake,
                                           options->pin ? instance->caller_cpus : NULL);
    if (status != EMULSION_OK && options->pin) emulsion_allow_cpus(instance->caller_cpus);
    return status;
}

/* Ends the threads, gives the binding thread its CPUs back and closes the device. In a forked child
 * the threads are not there to join, and the parent's pinning and device are not the child's. */
static void release(emulsion_instance* instance) {
    if (instance->pid == 0 || instance->pid == (int32_t)getpid()) {
        if (instance->crew.started > 0) emulsion_crew_stop(instance);
        if (instance->pinned != 0 && instance->pinned == (int32_t)syscall(SYS_gettid)) {
            emulsion_allow_cpus(instance->caller_cpus);
        }
        if (instance->device != NULL) emulsion_device_close(instance);
    }
    __atomic_store_n(&instance->magic, 0, __ATOMIC_RELEASE);
}

/* A block that may be written to: nothing is, before its size is known to suffice. */
static int open_block(const emulsion_library* library, void* block, const emulsion_memory* memory) {
    if (block == NULL || memory == NULL) return EMULSION_INVALID_ARGUMENT;
    if ((uintptr_t)block % EMULSION_ALIGNMENT != 0) return EMULSION_MISALIGNED;
    if (memory->sizes.bytes[EMULSION_INSTANCE] < sizeof(emulsion_instance))
        return EMULSION_INVALID_ARGUMENT;
    emulsion_instance* instance = (emulsion_instance*)block;
    const int status = emulsion_enter(NULL, block);
    if (status == EMULSION_BUSY) return status;
    if (status == EMULSION_OK) release(instance);
    memset(instance, 0, sizeof *instance);
    instance->magic = EMULSION_FAILED;
    instance->self = instance;
    instance->library = library;
    instance->prepared = EMULSION_NOT_READY;
    instance->gradients = EMULSION_NOT_READY;
    instance->descriptors = (emulsion_descriptor*)(void*)(instance + 1);
    return EMULSION_OK;
}

static int choose_threads(const emulsion_memory* memory, const emulsion_options* options) {
    if (options->pool != NULL) return options->pool->threads;
    return options->threads > 0 ? options->threads : memory->sizes.threads;
}

/* The variant and, of one for devices, the index of the device. */
static int choose_variant(emulsion_instance* instance, const emulsion_options* options,
                          int* variant, int* index) {
    const int status = emulsion_choose_device(instance, options->device, variant, index);
    if (status != EMULSION_OK) return status;
    if (*variant >= 0) {
        if (options->variant == 0) return EMULSION_OK;
        return emulsion_fail(instance, EMULSION_INVALID_ARGUMENT,
                             "options.variant must be 0 where options.device is no processor");
    }
    *variant =
        emulsion_choose_variant(instance->library, emulsion_cpu_features(), options->variant);
    return *variant < 0 ? fail_variant(instance, options->variant) : EMULSION_OK;
}

/* A device leaves all classes on the host alone but parameters, state and, for their download,
 * gradients, where there is a block for them. */
static void take_blocks(emulsion_instance* instance, const emulsion_memory* memory) {
    memcpy(instance->block, memory->block, sizeof instance->block);
    instance->block[EMULSION_INSTANCE] = instance;
    if (instance->variant->device == NULL) return;
    instance->block[EMULSION_PREPARED] = instance->block[EMULSION_WORKSPACE] = NULL;
    if (memory->sizes.bytes[EMULSION_GRADIENTS] < instance->library->bytes[EMULSION_GRADIENTS])
        instance->block[EMULSION_GRADIENTS] = NULL;
}

int emulsion_library_bind(const emulsion_library* library, void* block,
                          const emulsion_memory* memory, const emulsion_options* options) {
    static const emulsion_options defaults;
    int variant, device_index;
    int status = open_block(library, block, memory);
    if (status != EMULSION_OK) return status;
    emulsion_instance* instance = (emulsion_instance*)block;
    if (options == NULL) options = &defaults;
    status = check_options(instance, options, memory->sizes.threads);
    if (status == EMULSION_OK) status = choose_variant(instance, options, &variant, &device_index);
    if (status != EMULSION_OK) return status;
    instance->variant = &library->variants[variant];
    if (options->device_memory != NULL) status = emulsion_check_given(instance, options->device);
    if (status != EMULSION_OK) return status;
    const int is_device = instance->variant->device != NULL;
    instance->threads = is_device ? 1 : choose_threads(memory, options);
    instance->profile = options->profile;
    instance->profile_self = options->profile_self;
    if (options->pool != NULL && !is_device) instance->pool = *options->pool;
    status = check_blocks(instance, memory, variant);
    if (status != EMULSION_OK) return status;
    take_blocks(instance, memory);
    fill_descriptors(instance);
    place_workers(instance);
    status = is_device ? emulsion_device_open(instance, device_index, options->device_memory)
                       : start_threads(instance, options);
    if (status == EMULSION_OK) __atomic_store_n(&instance->magic, EMULSION_BOUND, __ATOMIC_RELEASE);
    return status;
}

int emulsion_library_unbind(const emulsion_library* library, void* block) {
    const int status = emulsion_enter(library, block);
    if (status != EMULSION_OK) return status;
    emulsion_instance* instance = (emulsion_instance*)block;
    release(instance);
    return emulsion_leave(instance, EMULSION_OK);
}
