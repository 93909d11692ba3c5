// See interrupt.h.
#include "runtime/train/interrupt.h"

#include <atomic>
#include <csignal>

namespace emulsion {

namespace {

std::atomic<int> arrived{0};
static_assert(std::atomic<int>::is_always_lock_free,
              "a signal handler may only use lock-free atomics");

struct sigaction former_interrupt, former_terminate;

void note_signal(int number) {
    arrived.store(number);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

// A signal that the parent has switched off (nohup, a job in the background) stays off.
void install(int number, struct sigaction* former) {
    struct sigaction action{};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, former);
    if (former->sa_handler == SIG_IGN) sigaction(number, former, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
    arrived.store(0);
    install(SIGINT, &former_interrupt);
    install(SIGTERM, &former_terminate);
}

InterruptGuard::~InterruptGuard() {
    sigaction(SIGINT, &former_interrupt, nullptr);
    sigaction(SIGTERM, &former_terminate, nullptr);
}

int InterruptGuard::signal_number() { return arrived.load(std::memory_order_relaxed); }

}  // namespace emulsion
