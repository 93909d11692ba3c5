// Signals that end a program, met between two steps instead of in the middle of one, so that its
// temporary folders and the processes it started end with it.
#pragma once

#include <sys/types.h>

namespace emulsion {

// Thrown where a signal asks this process to end. No std::exception: nobody but main handles it.
struct Interrupted {
    int signal = 0;
};

// While it lives, SIGTERM, SIGHUP and SIGINT are noted (those ignored before stay ignored). One
// that comes a second or more after the first ends the process at once: its temporary folders stay
// for the next TemporaryFolder to remove. At most one lives.
class CatchInterrupts {
  public:
    CatchInterrupts();
    ~CatchInterrupts();
    CatchInterrupts(const CatchInterrupts&) = delete;
    CatchInterrupts& operator=(const CatchInterrupts&) = delete;
};

// Throws Interrupted where a signal was noted.
void check_interrupts();

// Ends this process the way the signal would have.
[[noreturn]] void end_by_signal(int signal);

// What a signal for this process does to a child of it, beside being noted.
enum class OnSignal {
    forward,     // the child gets it too, and SIGQUIT, SIGUSR1 and SIGUSR2 with it
    kill_group,  // the child's process group is killed
};

// fork(2), with these rules for the child: it starts with the signals that this process had when
// CatchInterrupts began, and gets `death_signal` when this process ends first, however that
// happens. 0 in the child; the parent gets -1, with errno, or the child's number.
pid_t fork_child(int death_signal);

// While it lives, signals act on a child as well: from set_child on, those that came before with
// it. At most one lives.
class SignalsReach {
  public:
    explicit SignalsReach(OnSignal action);
    ~SignalsReach();
    SignalsReach(const SignalsReach&) = delete;
    SignalsReach& operator=(const SignalsReach&) = delete;
    void set_child(pid_t child);

  private:
    OnSignal action_;
};

}  // namespace emulsion
