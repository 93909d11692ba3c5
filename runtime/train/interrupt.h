// Ctrl-C and SIGTERM as a flag: the loop asks between steps, saves and stops. The second signal has
// its usual effect, so a program that hangs can always be ended.
#pragma once

namespace emulsion {

// While an object lives, SIGINT and SIGTERM only set the flag. One object at a time.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();  // the handlers of before
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    // The signal that has arrived, or 0.
    static int signal_number();
};

}  // namespace emulsion
