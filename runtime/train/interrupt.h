// Signals that ask for the end of a run, as a flag: the loop asks between steps, saves and stops.
//
// SIGINT, SIGTERM, SIGHUP (the terminal is gone), SIGUSR1 and SIGUSR2 (what job systems send ahead
// of the end) and SIGXCPU ask. Another SIGINT or SIGTERM, a second or more after the first of the
// two, has its usual effect, so a program that hangs can always be ended; what comes within that
// second is the same request again, as `timeout` sends it to the process and to its group. SIGPIPE
// is switched off: a reader that has gone away is an error of the write, and no reason to lose a
// run.
#pragma once

namespace emulsion {

// Signal actions belong to the process, so there is one object for it. `watch` and `restore` are
// for the main thread.
class StopSignals {
  public:
    static StopSignals& of_process();

    // From here on the signals only set the flag, which is empty at first. One that the parent has
    // switched off (nohup, a job in the background) stays off.
    void watch();
    // The actions of before, where no signal has arrived. Where one has, the process is about to
    // end, and what still comes of the same request must not cut that short.
    void restore();
    // The first signal that has arrived since `watch`, or 0.
    int arrived() const;

    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

  private:
    StopSignals() = default;
};

inline bool is_stopped() { return StopSignals::of_process().arrived() != 0; }

// Watches while it lives.
class WatchSignals {
  public:
    WatchSignals() { StopSignals::of_process().watch(); }
    ~WatchSignals() { StopSignals::of_process().restore(); }
    WatchSignals(const WatchSignals&) = delete;
    WatchSignals& operator=(const WatchSignals&) = delete;
};

}  // namespace emulsion
