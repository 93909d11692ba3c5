// See interrupt.h. The handler uses what POSIX allows in one: lock-free atomics, clock_gettime,
// sigaction and raise.
#include "runtime/train/interrupt.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace emulsion {

namespace {

constexpr int kAsking[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};
constexpr int kWatched = static_cast<int>(sizeof(kAsking) / sizeof(kAsking[0]));
constexpr int64_t kSameRequest = 1000000000;  // nanoseconds

// What the handler writes, apart from the object, which a handler cannot be handed.
std::atomic<int> first_signal{0};
std::atomic<int64_t> insisted_at{0};  // when the first SIGINT or SIGTERM came; 0: not yet
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "a signal handler may only use lock-free atomics");

struct sigaction former_actions[kWatched], former_pipe;

int64_t nanoseconds_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * int64_t(1000000000) + now.tv_nsec;
}

// The usual effect, as soon as the handler returns and the signal is no longer blocked.
void act_as_usual(int number) {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, nullptr);
    raise(number);
}

void note_signal(int number) {
    const int code = errno;
    int none = 0;
    first_signal.compare_exchange_strong(none, number);
    if (number == SIGINT || number == SIGTERM) {
        const int64_t now = nanoseconds_now();
        int64_t before = 0;
        const bool is_first = insisted_at.compare_exchange_strong(before, now);
        if (!is_first && now - before >= kSameRequest) act_as_usual(number);
    }
    errno = code;
}

}  // namespace

StopSignals& StopSignals::of_process() {
    static StopSignals signals;
    return signals;
}

void StopSignals::watch() {
    first_signal.store(0);
    insisted_at.store(0);
    struct sigaction action{};
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = note_signal;
    for (int i = 0; i < kWatched; i++) {
        struct sigaction former{};
        sigaction(kAsking[i], nullptr, &former);
        if (former.sa_handler != note_signal) former_actions[i] = former;
        if (former.sa_handler != SIG_IGN) sigaction(kAsking[i], &action, nullptr);
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, &former_pipe);
}

void StopSignals::restore() {
    if (arrived() != 0) return;
    for (int i = 0; i < kWatched; i++) sigaction(kAsking[i], &former_actions[i], nullptr);
    sigaction(SIGPIPE, &former_pipe, nullptr);
}

int StopSignals::arrived() const { return first_signal.load(std::memory_order_relaxed); }

}  // namespace emulsion
