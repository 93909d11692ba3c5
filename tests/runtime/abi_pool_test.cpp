// Parallel loops: every index once, nested loops, errors, parking and waking, foreign load, fork,
// the caller's pool.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

// A loop's closure: how often each index ran, and what went wrong.
struct Record {
    explicit Record(int least, int extent) : min(least), counts(static_cast<std::size_t>(extent)) {}
    int min;
    std::vector<std::atomic<int>> counts;
    std::atomic<int> at_once[EMULSION_MAX_THREADS] = {};
    std::atomic<int> faults = 0;
    emulsion_instance* instance = nullptr;
};

std::uint8_t* as_closure(void* pointer) { return static_cast<std::uint8_t*>(pointer); }

int record_task(void* user_context, int index, std::uint8_t* closure) {
    auto& record = *reinterpret_cast<Record*>(closure);
    auto* worker = static_cast<emulsion_worker*>(user_context);
    if (worker != &record.instance->workers[worker->index]) record.faults++;
    if (record.at_once[worker->index].fetch_add(1) != 0) record.faults++;
    record.counts[static_cast<std::size_t>(index - record.min)]++;
    record.at_once[worker->index].fetch_sub(1);
    return 0;
}

void run_and_check(emulsion_instance* instance, int min, int extent) {
    Record record(min, extent);
    record.instance = instance;
    ASSERT_EQ(halide_do_par_for(instance->workers, record_task, min, extent, as_closure(&record)),
              0);
    EXPECT_EQ(record.faults, 0);
    for (const auto& count : record.counts) ASSERT_EQ(count, 1);
}

TEST(AbiPool, EveryIndexOnce) {
    for (int threads = 1; threads <= 8; threads++) {
        FakeNetwork network(threads);
        ASSERT_EQ(network.status, EMULSION_OK);
        for (int extent : {0, 1, 2, 3, 7, 8, 9, 64, 1000}) {
            ASSERT_EQ(emulsion_call_begin(network.instance()), EMULSION_OK);
            run_and_check(network.instance(), 0, extent);
            run_and_check(network.instance(), -5, extent);
            emulsion_call_end(network.instance());
        }
    }
}

int nested_task(void* user_context, int index, std::uint8_t* closure) {
    auto& record = *reinterpret_cast<Record*>(closure);
    struct Inner {
        Record* record;
        int row;
        void* worker;
    } inner = {&record, index, user_context};
    const auto task = [](void* context, int column, std::uint8_t* pointer) {
        auto& in = *reinterpret_cast<Inner*>(pointer);
        if (context != in.worker) in.record->faults++;
        in.record->counts[static_cast<std::size_t>(in.row * 10 + column)]++;
        return 0;
    };
    return halide_do_par_for(user_context, task, 0, 10, as_closure(&inner));
}

TEST(AbiPool, NestedLoopsRunOnTheirWorker) {
    for (int threads = 1; threads <= 8; threads++) {
        FakeNetwork network(threads);
        Record record(0, 200);
        record.instance = network.instance();
        ASSERT_EQ(
            halide_do_par_for(record.instance->workers, nested_task, 0, 20, as_closure(&record)),
            0);
        EXPECT_EQ(record.faults, 0);
        for (const auto& count : record.counts) EXPECT_EQ(count, 1);
    }
}

TEST(AbiPool, ErrorsOfTasksAreReturned) {
    for (int threads : {1, 4}) {
        FakeNetwork network(threads);
        const auto task = [](void*, int index, std::uint8_t*) { return index == 13 ? -7 : 0; };
        emulsion_instance* instance = network.instance();
        EXPECT_EQ(halide_do_par_for(instance->workers, task, 0, 20, nullptr), -7);
        EXPECT_EQ(halide_do_par_for(instance->workers, task, 0, 10, nullptr), 0);
    }
}

TEST(AbiPool, BitsDoNotDependOnThreads) {
    std::vector<float> first;
    for (int threads = 1; threads <= 8; threads++) {
        FakeNetwork network(threads);
        for (int step = 0; step < 100; step++) {
            ASSERT_EQ(network.step(1 + step % kBatch, 0.01f), EMULSION_OK);
        }
        const std::vector<float> weights(network.weights(), network.weights() + kWidth);
        if (threads == 1) first = weights;
        EXPECT_EQ(weights, first) << threads << " threads";
    }
}

// Each task waits until all have begun: so every worker must have woken up.
struct Meeting {
    std::atomic<int> begun = 0;
    int threads = 0;
};

int meet_task(void*, int, std::uint8_t* closure) {
    auto& meeting = *reinterpret_cast<Meeting*>(closure);
    meeting.begun++;
    while (meeting.begun < meeting.threads) std::this_thread::yield();
    return 0;
}

// Returns once every worker has run a task.
void meet(emulsion_instance* instance) {
    Meeting meeting;
    meeting.threads = instance->threads;
    ASSERT_EQ(
        halide_do_par_for(instance->workers, meet_task, 0, meeting.threads, as_closure(&meeting)),
        0);
}

// Pauses between loops and between calls, so that workers are met spinning, about to park, parked
// and waking.
void stress_waking(int threads) {
    FakeNetwork network(threads);
    emulsion_instance* instance = network.instance();
    unsigned seed = 1;
    for (int call = 0; call < 400; call++) {
        ASSERT_EQ(emulsion_call_begin(instance), EMULSION_OK);
        for (int loop = 0; loop < 5; loop++) {
            seed = seed * 1664525u + 1013904223u;
            const auto pause = std::chrono::nanoseconds(seed >> 16);  // up to 65 us: spins last 20
            const auto until = std::chrono::steady_clock::now() + pause;
            while (std::chrono::steady_clock::now() < until) {
            }
            if (loop % 2 == 0) {
                run_and_check(instance, 0, 1 + static_cast<int>(seed % 9));
            } else {
                meet(instance);
            }
        }
        emulsion_call_end(instance);
        if (call % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(seed % 200));
    }
    EXPECT_GT(instance->wakes, 0u);
}

TEST(AbiPool, NoWakeUpIsLost) {
    stress_waking(2);
    stress_waking(4);  // more threads than this machine may have CPUs: no spinning
}

// Workers that the system hardly ever runs: the caller does not wait for them, but takes most of
// their shares too.
TEST(AbiPool, ForeignLoadDoesNotHangACall) {
    FakeNetwork network(4);
    const int self = static_cast<int>(gettid());
    for (const int thread : list_threads()) {
        sched_param parameter = {};
        if (thread != self) sched_setscheduler(thread, SCHED_IDLE, &parameter);
    }
    std::atomic<bool> stop = false;
    std::vector<std::thread> hogs;
    cpu_set_t allowed;  // not emulsion_cpu_count(), which follows a quota that leaves some idle
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int i = 0; i < CPU_COUNT(&allowed); i++) {
        hogs.emplace_back([&stop] {
            while (!stop) {
            }
        });
    }
    std::atomic<int> by_caller = 0;
    const auto task = [](void* user_context, int, std::uint8_t* closure) {
        auto& count = *reinterpret_cast<std::atomic<int>*>(closure);
        if (static_cast<emulsion_worker*>(user_context)->index == 0) count++;
        return 0;
    };
    for (int call = 0; call < 50; call++) {
        EXPECT_EQ(network.step(kBatch, 0.01f), EMULSION_OK);
        EXPECT_EQ(
            halide_do_par_for(network.instance()->workers, task, 0, 100, as_closure(&by_caller)),
            0);
    }
    stop = true;
    for (auto& hog : hogs) hog.join();
    EXPECT_GT(by_caller, 50 * 100 / 2);  // its own share is a quarter
}

// That the threads other than the caller have run for.
double worker_seconds() {
    double nanoseconds = 0;
    for (const int thread : list_threads()) {
        if (thread == static_cast<int>(gettid())) continue;
        double here = 0;
        std::ifstream("/proc/self/task/" + std::to_string(thread) + "/schedstat") >> here;
        nanoseconds += here;
    }
    return 1e-9 * nanoseconds;
}

TEST(AbiPool, WorkersParkBetweenCalls) {
    FakeNetwork network(3);
    meet(network.instance());
    EXPECT_EQ(network.step(kBatch, 0.01f), EMULSION_OK);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const double start = worker_seconds();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_LT(worker_seconds() - start, 0.01);
}

TEST(AbiPool, WorkersStayAwakeWhereAsked) {
    emulsion_options options = {};
    options.stay_awake = 1;
    FakeNetwork network(3, &options);
    EXPECT_EQ(network.step(kBatch, 0.01f), EMULSION_OK);
    const double start = worker_seconds();
    while (worker_seconds() - start < 0.02)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

// The signal masks of three workers, the caller among them, each in a task that waits for the
// others.
struct Masks {
    std::atomic<int> arrived = 0;
    sigset_t of[3];
};

int record_mask(void* user_context, int, std::uint8_t* closure) {
    auto& masks = *reinterpret_cast<Masks*>(closure);
    pthread_sigmask(SIG_BLOCK, nullptr,
                    &masks.of[static_cast<emulsion_worker*>(user_context)->index]);
    masks.arrived++;
    while (masks.arrived < 3) std::this_thread::yield();
    return 0;
}

// Signals for the program go to its own threads; those of a worker's own fault, and of profilers,
// do not. What the binding thread blocks stays blocked.
TEST(AbiPool, WorkersTakeTheSignalsOfTheirOwnFaults) {
    sigset_t profile, before;
    sigemptyset(&profile);
    sigaddset(&profile, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &profile, &before);
    FakeNetwork network(3);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    Masks masks;
    ASSERT_EQ(emulsion_call_begin(network.instance()), EMULSION_OK);
    halide_do_par_for(network.instance()->workers, record_mask, 0, 3, as_closure(&masks));
    emulsion_call_end(network.instance());
    for (int worker = 1; worker < 3; worker++) {
        for (const int open : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
            EXPECT_FALSE(sigismember(&masks.of[worker], open)) << "signal " << open;
        for (const int other : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF})
            EXPECT_TRUE(sigismember(&masks.of[worker], other)) << "signal " << other;
    }
    EXPECT_FALSE(sigismember(&masks.of[0], SIGTERM)) << "the caller's mask is its own";
}

TEST(AbiPool, UnbindEndsTheThreads) {
    std::thread([] {}).join();  // a sanitizer starts one of its own beside the first
    const std::size_t before = list_threads().size();
    {
        FakeNetwork network(5);
        EXPECT_EQ(list_threads().size(), before + 4);
        EXPECT_EQ(network.step(2, 0.1f), EMULSION_OK);
    }
    EXPECT_EQ(list_threads().size(), before);
}

// Runs body in a child; its exit status, or -1 where a signal ended it.
template <typename Body>
int run_in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    if (waitpid(child, &status, 0) != child) return -2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// R2: a child of fork has no workers; it is told so, and may bind again. The workers have met
// before the fork: one that is still starting may hold a lock of the sanitizer, which the child
// would wait for.
TEST(AbiPool, ForkedChildIsToldAndMayBindAgain) {
    FakeNetwork network(2);
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    meet(network.instance());
    const int result = run_in_child([&] {
        if (network.step(kBatch, 0.1f) != EMULSION_FORKED) return 1;
        const std::string expected =
            "the process was forked after bind, and threads and devices stay with the parent: bind "
            "again "
            "in the child";
        if (network.error() != expected) return 2;
        if (network.bind() != EMULSION_OK) return 3;
        if (network.step(kBatch, 0.1f) != EMULSION_OK) return 4;
        network.unbind();
        return 0;
    });
    EXPECT_EQ(result, 0);
    const int unbound = run_in_child([&] {
        network.unbind();
        return network.run(1) == EMULSION_NOT_BOUND ? 0 : 1;
    });
    EXPECT_EQ(unbound, 0);
    EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
}

TEST(AbiPool, ForkedChildOfASingleThreadGoesOn) {
    FakeNetwork network(1);
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    EXPECT_EQ(run_in_child([&] { return network.step(kBatch, 0.1f); }), EMULSION_OK);
}

// R9: threads by the CPUs that the process may use, not by those of the machine.
TEST(AbiPool, DefaultThreadsAreTheAllowedCpus) {
    EXPECT_EQ(run_in_child([] {
                  cpu_set_t allowed, one;
                  sched_getaffinity(0, sizeof allowed, &allowed);
                  int cpu = 0;
                  while (!CPU_ISSET(cpu, &allowed)) cpu++;
                  CPU_ZERO(&one);
                  CPU_SET(cpu, &one);
                  sched_setaffinity(0, sizeof one, &one);
                  FakeNetwork network(0);
                  emulsion_sizes sizes;
                  FakeLibrary fake;
                  emulsion_library_sizes(&fake.library, 1, &sizes);
                  if (network.status != EMULSION_OK || network.instance()->threads != 1) return 1;
                  return sizes.bytes[EMULSION_INSTANCE] ==
                                 network.memory.sizes.bytes[EMULSION_INSTANCE]
                             ? 0
                             : 2;
              }),
              0);
}

TEST(AbiPool, PinGivesEachWorkerOneCpuUntilUnbind) {
    cpu_set_t before, during, after;
    sched_getaffinity(0, sizeof before, &before);
    const auto others = list_threads();
    emulsion_options options = {};
    options.pin = 1;
    {
        FakeNetwork network(2, &options);
        ASSERT_EQ(network.status, EMULSION_OK);
        sched_getaffinity(0, sizeof during, &during);
        EXPECT_EQ(CPU_COUNT(&during), 1);
        for (const int thread : list_threads()) {
            if (std::find(others.begin(), others.end(), thread) != others.end()) continue;
            cpu_set_t worker;
            sched_getaffinity(thread, sizeof worker, &worker);
            EXPECT_EQ(CPU_COUNT(&worker), 1);
            if (CPU_COUNT(&before) > 1) {
                EXPECT_FALSE(CPU_EQUAL(&worker, &during));
            }
        }
        EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    }
    sched_getaffinity(0, sizeof after, &after);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

// A pool of the caller's that starts threads for each loop and does not use worker 0 for the
// calling thread.
void run_in_threads(void* self, void (*task)(void*, int, int), void* closure, int count) {
    const int threads = static_cast<emulsion_pool*>(self)->threads;
    std::atomic<int> next = 0;
    std::vector<std::thread> workers;
    for (int worker = 0; worker < threads; worker++) {
        workers.emplace_back([&, worker] {
            for (int index = next++; index < count; index = next++) task(closure, worker, index);
        });
    }
    for (auto& worker : workers) worker.join();
}

TEST(AbiPool, TheCallersPoolMayBeUsed) {
    const std::size_t before = list_threads().size();
    emulsion_pool pool = {nullptr, 3, run_in_threads};
    pool.self = &pool;
    emulsion_options options = {};
    options.pool = &pool;
    FakeNetwork network(3, &options), plain(1);
    ASSERT_EQ(network.status, EMULSION_OK);
    EXPECT_EQ(network.instance()->threads, 3);
    EXPECT_EQ(list_threads().size(), before);
    for (int extent : {1, 2, 3, 50}) run_and_check(network.instance(), 2, extent);
    for (int step = 0; step < 10; step++) {
        ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
        ASSERT_EQ(plain.step(kBatch, 0.1f), EMULSION_OK);
    }
    for (int i = 0; i < kWidth; i++) EXPECT_EQ(network.weights()[i], plain.weights()[i]);
}

}  // namespace
}  // namespace emulsion::testing
