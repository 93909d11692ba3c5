/* Parallel loops: halide_do_par_for over the instance's own threads (the crew) or over the caller's
 * pool.
 *
 * A loop is cut into one contiguous share per worker. Each worker takes indices from its own share
 * first, one by one, then from the others' (stealing keeps all busy; own shares keep caches warm).
 * A share is one atomic counter, `remaining`; whoever decrements it owns index end - remaining. The
 * caller works too and then waits until `pending` is 0: for indices that somebody has begun, never
 * for a worker that did not wake up, since it takes that worker's share itself. The loop's fields
 * (task, closure, ends) are read only after taking an index and written only while pending is 0, so
 * a worker that comes late, from an earlier loop, finds either nothing or a valid index.
 *
 * Waking: `sequence` changes after the shares are filled. A worker reads it, looks for work, and
 * sleeps only while it is unchanged. It counts itself in `sleepers` before its last look at
 * `sequence`; the publisher changes `sequence` before its look at `sleepers`; both sequentially
 * consistent, so one of them sees the other.
 *
 * Nothing depends on which worker computes an index: results are the same bits for any number of
 * threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/abi/internal.h"
#include "runtime/abi/signals.h"

typedef int (*Task)(void* user_context, int index, uint8_t* closure);

static void futex_wait(uint32_t* word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(uint32_t* word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Taking and finishing indices. */

static int take_index(emulsion_worker* share, int* index) {
    uint32_t remaining = __atomic_load_n(&share->remaining, __ATOMIC_RELAXED);
    while (remaining != 0) {
        if (__atomic_compare_exchange_n(&share->remaining, &remaining, remaining - 1, /*weak=*/1,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            *index = share->end - (int)remaining;
            return 1;
        }
    }
    return 0;
}

static void report_error(emulsion_crew* crew, int error) {
    int none = 0;
    __atomic_compare_exchange_n(&crew->error, &none, error, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Runs indices until no share has any left. Until `done` is taken off pending, the loop stays open.
 */
static void work(emulsion_worker* worker) {
    emulsion_instance* instance = worker->instance;
    emulsion_crew* crew = &instance->crew;
    const int threads = instance->threads;
    uint32_t done = 0;
    int victim = worker->index;
    worker->busy = 1;
    for (int tried = 0; tried < threads; tried++) {
        int index;
        while (take_index(&instance->workers[victim], &index)) {
            const int error = crew->task(worker, index, crew->closure);
            if (error != 0) report_error(crew, error);
            done++;
        }
        if (++victim == threads) victim = 0;
    }
    worker->busy = 0;
    if (done == 0) return;
    if (__atomic_sub_fetch(&crew->pending, done, __ATOMIC_SEQ_CST) == 0 &&
        __atomic_load_n(&crew->waiting, __ATOMIC_SEQ_CST)) {
        futex_wake(&crew->pending, 1);
    }
}

/* The threads. */

static int is_on_callers_cpu(const emulsion_crew* crew) {
    return sched_getcpu() == __atomic_load_n(&crew->caller_cpu, __ATOMIC_RELAXED);
}

/* Linux may leave a woken worker on the CPU of the caller that woke it for whole seconds, while
 * another CPU idles: a loop then takes as long as with one thread. Such a worker forbids itself
 * that CPU for a moment, at most once a millisecond. */
static void leave_callers_cpu(emulsion_crew* crew, uint64_t* moved_at) {
    const uint64_t now = now_ns();
    if (crew->spin_ns == 0 || now - *moved_at < EMULSION_MOVE_NS) return;
    *moved_at = now;
    uint64_t allowed[EMULSION_CPU_WORDS], others[EMULSION_CPU_WORDS];
    emulsion_allowed_cpus(allowed);
    memcpy(others, allowed, sizeof others);
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= 64 * EMULSION_CPU_WORDS) return;
    others[cpu / 64] &= ~((uint64_t)1 << (cpu % 64));
    emulsion_allow_cpus(others); /* refused by the system where no CPU is left */
    emulsion_allow_cpus(allowed);
}

/* Waking one thread takes the waker microseconds (12 in a virtual machine), so the caller wakes two
 * and each of those two more, until as many as the loop has shares are awake. */
static void pass_wake_on(emulsion_crew* crew) {
    int asleep = __atomic_load_n(&crew->asleep, __ATOMIC_RELAXED);
    while (asleep > 0) {
        const int count = asleep < EMULSION_WAKES ? asleep : EMULSION_WAKES;
        if (__atomic_compare_exchange_n(&crew->asleep, &asleep, asleep - count, /*weak=*/1,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            futex_wake(&crew->sequence, count);
            return;
        }
    }
}

/* Returns once `sequence` differs from seen. */
static void await_work(emulsion_crew* crew, uint32_t seen) {
    const uint64_t start = now_ns();
    for (uint32_t round = 1;; round++) {
        if (__atomic_load_n(&crew->sequence, __ATOMIC_ACQUIRE) != seen) return;
        if (!crew->stay_awake) {
            if (crew->spin_ns == 0 || !__atomic_load_n(&crew->running, __ATOMIC_RELAXED)) break;
            if (round % 16 == 0 && (now_ns() - start > crew->spin_ns || is_on_callers_cpu(crew)))
                break;
        }
        pause_briefly();
    }
    __atomic_add_fetch(&crew->sleepers, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&crew->sequence, __ATOMIC_SEQ_CST) == seen)
        futex_wait(&crew->sequence, seen);
    __atomic_sub_fetch(&crew->sleepers, 1, __ATOMIC_SEQ_CST);
    pass_wake_on(crew);
}

static void* run_worker(void* argument) {
    emulsion_worker* worker = (emulsion_worker*)argument;
    emulsion_crew* crew = &worker->instance->crew;
    uint64_t moved_at = 0;
    emulsion_set_kernel_mode();
    for (;;) {
        if (is_on_callers_cpu(crew)) leave_callers_cpu(crew, &moved_at);
        const uint32_t seen = __atomic_load_n(&crew->sequence, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&crew->stop, __ATOMIC_ACQUIRE)) return NULL;
        work(worker);
        await_work(crew, seen);
    }
}

/* There may be work for `count` workers. */
static void announce(emulsion_instance* instance, int count) {
    emulsion_crew* crew = &instance->crew;
    __atomic_store_n(&crew->caller_cpu, sched_getcpu(), __ATOMIC_RELAXED);
    __atomic_store_n(&crew->asleep, count, __ATOMIC_RELAXED);
    __atomic_add_fetch(&crew->sequence, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew->sleepers, __ATOMIC_SEQ_CST) == 0) return;
    pass_wake_on(crew);
    instance->wakes++;
}

static int start_thread(emulsion_worker* worker) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, EMULSION_STACK_BYTES);
    int error = pthread_create(&thread, &attributes, run_worker, worker);
    if (error ==
        EINVAL) { /* thread-local storage of the program alone exceeds the stack asked for */
        error = pthread_create(&thread, NULL, run_worker, worker);
    }
    pthread_attr_destroy(&attributes);
    memcpy(&worker->thread, &thread, sizeof thread);
    return error;
}

/* A new thread inherits the creator's signal mask and CPUs: workers leave the program's signals to
 * its own threads, and are pinned from birth. */
int emulsion_crew_start(emulsion_instance* instance, int stay_awake, const uint64_t* pin_cpus) {
    emulsion_crew* crew = &instance->crew;
    crew->spin_ns = instance->threads <= emulsion_cpu_count() ? EMULSION_SPIN_NS : 0;
    crew->stay_awake = stay_awake;
    sigset_t before;
    emulsion_mask_signals(&before);
    int error = 0;
    for (int index = 1; index < instance->threads && error == 0; index++) {
        if (pin_cpus != NULL) emulsion_pin(pin_cpus, index);
        error = start_thread(&instance->workers[index]);
        if (error == 0) crew->started = index;
    }
    if (pin_cpus != NULL) emulsion_pin(pin_cpus, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return EMULSION_OK;
    const int started = crew->started;
    emulsion_crew_stop(instance);
    emulsion_fail(instance, EMULSION_NO_THREADS, "the system refused to start thread ");
    emulsion_append_number(instance, started + 2);
    emulsion_append(instance, " of ");
    emulsion_append_number(instance, instance->threads);
    emulsion_append(instance, " (errno ");
    emulsion_append_number(instance, error);
    emulsion_append(instance, "): bind with fewer threads");
    return EMULSION_NO_THREADS;
}

void emulsion_crew_stop(emulsion_instance* instance) {
    emulsion_crew* crew = &instance->crew;
    __atomic_store_n(&crew->stop, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&crew->sequence, 1, __ATOMIC_SEQ_CST);
    futex_wake(&crew->sequence, EMULSION_MAX_THREADS);
    for (int index = 1; index <= crew->started; index++) {
        pthread_t thread;
        memcpy(&thread, &instance->workers[index].thread, sizeof thread);
        pthread_join(thread, NULL);
    }
    crew->started = 0;
}

void emulsion_crew_wake(emulsion_instance* instance) {
    emulsion_crew* crew = &instance->crew;
    __atomic_store_n(&crew->running, 1, __ATOMIC_RELAXED);
    if (crew->spin_ns != 0) announce(instance, crew->started);
}

void emulsion_crew_rest(emulsion_instance* instance) {
    __atomic_store_n(&instance->crew.running, 0, __ATOMIC_RELAXED);
}

/* Loops. */

static int run_serially(emulsion_worker* worker, Task task, int min, int extent, uint8_t* closure) {
    for (int index = min; index < min + extent; index++) {
        const int error = task(worker, index, closure);
        if (error != 0) return error;
    }
    return 0;
}

/* Waits until every index that another worker has begun is done. */
static void await_others(emulsion_crew* crew) {
    if (__atomic_load_n(&crew->pending, __ATOMIC_ACQUIRE) == 0) return;
    const uint64_t start = now_ns();
    const uint64_t wait_ns = crew->spin_ns != 0 ? EMULSION_WAIT_NS : 0;
    for (uint32_t round = 1; round % 16 != 0 || now_ns() - start < wait_ns; round++) {
        if (__atomic_load_n(&crew->pending, __ATOMIC_ACQUIRE) == 0) return;
        pause_briefly();
    }
    __atomic_store_n(&crew->waiting, 1, __ATOMIC_SEQ_CST);
    uint32_t pending;
    while ((pending = __atomic_load_n(&crew->pending, __ATOMIC_SEQ_CST)) != 0) {
        futex_wait(&crew->pending, pending);
    }
    __atomic_store_n(&crew->waiting, 0, __ATOMIC_RELAXED);
}

static int run_in_crew(emulsion_instance* instance, Task task, int min, int extent,
                       uint8_t* closure) {
    emulsion_crew* crew = &instance->crew;
    const int shares = extent < instance->threads ? extent : instance->threads;
    crew->task = task;
    crew->closure = closure;
    crew->error = 0;
    __atomic_store_n(&crew->pending, (uint32_t)extent, __ATOMIC_RELAXED);
    for (int share = shares - 1; share >= 0; share--) {
        const int begin = (int)((int64_t)extent * share / shares);
        const int end = (int)((int64_t)extent * (share + 1) / shares);
        instance->workers[share].end = min + end;
        __atomic_store_n(&instance->workers[share].remaining, (uint32_t)(end - begin),
                         __ATOMIC_RELEASE);
    }
    announce(instance, shares - 1);
    work(&instance->workers[0]);
    await_others(crew);
    return __atomic_load_n(&crew->error, __ATOMIC_RELAXED);
}

typedef struct {
    emulsion_instance* instance;
    Task task;
    uint8_t* closure;
    int min;
    int extent;
    int left;  /* atomic: indices not yet done */
    int error; /* atomic */
} PoolLoop;

/* One index on a thread of the caller's: its floating-point mode is set for the task only. */
static void run_pool_index(void* closure, int number, int index) {
    PoolLoop* loop = (PoolLoop*)closure;
    if (number < 0 || number >= loop->instance->threads || index < 0 || index >= loop->extent)
        return; /* run_in_pool finds an index left */
    emulsion_worker* worker = &loop->instance->workers[number];
    const uint64_t mode = emulsion_set_kernel_mode();
    worker->busy = 1;
    const int error = loop->task(worker, loop->min + index, loop->closure);
    worker->busy = 0;
    emulsion_set_mode(mode);
    int none = 0;
    if (error != 0) {
        __atomic_compare_exchange_n(&loop->error, &none, error, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
    __atomic_sub_fetch(&loop->left, 1, __ATOMIC_RELEASE);
}

static int run_in_pool(emulsion_instance* instance, Task task, int min, int extent,
                       uint8_t* closure) {
    PoolLoop loop = {instance, task, closure, min, extent, extent, 0};
    instance->pool.parallel_for(instance->pool.self, run_pool_index, &loop, extent);
    if (__atomic_load_n(&loop.left, __ATOMIC_ACQUIRE) != 0)
        __atomic_store_n(&instance->pool_fault, 1, __ATOMIC_RELAXED);
    return __atomic_load_n(&loop.error, __ATOMIC_RELAXED);
}

int halide_do_par_for(void* user_context, Task task, int min, int extent, uint8_t* closure) {
    emulsion_worker* worker = (emulsion_worker*)user_context;
    emulsion_instance* instance = worker->instance;
    if (extent <= 1 || instance->threads == 1 || worker->busy) {
        return run_serially(worker, task, min, extent, closure);
    }
    instance->loops++;
    if (instance->pool.parallel_for != NULL)
        return run_in_pool(instance, task, min, extent, closure);
    return run_in_crew(instance, task, min, extent, closure);
}
