// The handlers' state is global, since signals are the process's.
#include "compiler/support/interrupts.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

constexpr std::array kEnding = {SIGTERM, SIGHUP, SIGINT};
constexpr std::array kPassedOn = {SIGQUIT, SIGUSR1, SIGUSR2};

constexpr int64_t kSameRequest = 1000000000;  // nanoseconds

struct State {
    volatile sig_atomic_t noted = 0;  // the first signal that asked to end
    std::atomic<int64_t> noted_at{0};
    volatile sig_atomic_t early = 0;  // the last one that came before its child
    volatile pid_t child = 0;
    volatile sig_atomic_t kills_group = 0;
    bool catches = false, passes_on = false;
    std::array<struct sigaction, kEnding.size()> ending{};
    std::array<struct sigaction, kPassedOn.size()> passed_on{};
    struct sigaction child_ended{};
};
State state;
static_assert(std::atomic<int64_t>::is_always_lock_free,
              "a signal handler may only use lock-free atomics");

bool is_ending(int signal) { return signal == SIGTERM || signal == SIGHUP || signal == SIGINT; }

int64_t nanoseconds_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

// Whoever asks again, later than one request comes twice, does not want to wait for the next step.
// What is a child's to obey is its own affair.
void note(int signal) {
    if (!is_ending(signal)) return;
    const int64_t now = nanoseconds_now();
    if (state.noted == 0) {
        state.noted_at.store(now);
        state.noted = signal;
    } else if (now - state.noted_at.load() >= kSameRequest &&
               (state.child == 0 || state.kills_group != 0)) {
        end_by_signal(signal);
    }
}

void on_signal(int signal, siginfo_t* info, void*) {
    const int code = errno;
    note(signal);
    // What a terminal sends, it sends to all processes of the group.
    const bool has_it = info->si_code == SI_KERNEL;
    if (state.child == 0) state.early = signal;
    if (state.child > 0 && state.kills_group != 0) kill(-state.child, SIGKILL);
    if (state.child > 0 && state.kills_group == 0 && !has_it) kill(state.child, signal);
    errno = code;
}

// Installs the handler unless the signal is ignored; `former` is what it was.
void install(int signal, struct sigaction& former) {
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    sigaction(signal, nullptr, &former);
    if (former.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
}

void restore_ending() {
    if (!state.catches) return;
    for (size_t i = 0; i < kEnding.size(); i++) sigaction(kEnding[i], &state.ending[i], nullptr);
    sigaction(SIGCHLD, &state.child_ended, nullptr);
    state.catches = false;
}

void restore_passed_on() {
    if (!state.passes_on) return;
    for (size_t i = 0; i < kPassedOn.size(); i++)
        sigaction(kPassedOn[i], &state.passed_on[i], nullptr);
    state.passes_on = false;
}

// Blocks all signals for the life of the object.
class BlockSignals {
  public:
    BlockSignals() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &former_);
    }
    ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &former_, nullptr); }

  private:
    sigset_t former_;
};

}  // namespace

CatchInterrupts::CatchInterrupts() {
    EMU_CHECK(!state.catches, "signals are caught twice");
    state.noted = 0;
    state.catches = true;
    for (size_t i = 0; i < kEnding.size(); i++) install(kEnding[i], state.ending[i]);
    // Whoever ignores the end of children cannot wait for them.
    struct sigaction usual{};
    usual.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &usual, &state.child_ended);
}

CatchInterrupts::~CatchInterrupts() { restore_ending(); }

void check_interrupts() {
    if (state.catches && state.noted != 0) throw Interrupted{state.noted};
}

void end_by_signal(int signal) {
    std::signal(signal, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    raise(signal);
    _exit(128 + signal);  // process 1 of a container is not ended by its own signal
}

pid_t fork_child(int death_signal) {
    const pid_t parent = getpid();
    BlockSignals block;
    const pid_t child = fork();
    if (child != 0) return child;
    restore_ending();
    restore_passed_on();
    state.child = 0;
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent) _exit(1);  // it ended before the line above
    return 0;
}

SignalsReach::SignalsReach(OnSignal action) : action_(action) {
    BlockSignals block;
    state.kills_group = action == OnSignal::kill_group ? 1 : 0;
    state.early = state.noted;
    if (action != OnSignal::forward) return;
    for (size_t i = 0; i < kPassedOn.size(); i++) install(kPassedOn[i], state.passed_on[i]);
    state.passes_on = true;
}

void SignalsReach::set_child(pid_t child) {
    BlockSignals block;
    state.child = child;
    if (state.early == 0) return;
    const bool kills = action_ == OnSignal::kill_group;
    kill(kills ? -child : child, kills ? SIGKILL : state.early);
}

SignalsReach::~SignalsReach() {
    BlockSignals block;
    restore_passed_on();
    state.child = 0;
}

}  // namespace emulsion
