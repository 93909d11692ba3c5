// Whether this process had the processors for itself while something was measured.
#pragma once

#include <cstdint>

namespace emulsion {

class ContentionWatch {
  public:
    ContentionWatch();  // begins to watch

    // The share of the time since the beginning, all threads that ran together, in which threads of
    // this process waited for a processor, or the machine below took it away.
    double share_lost() const;

  private:
    struct Counters {
        double ran = 0, waited = 0;  // seconds, of all threads
        double stolen = 0, all = 0;  // ticks, of all processors
    };
    static Counters read();
    Counters begin_;
};

// Above this share a measurement counts as contended.
inline constexpr double kMostShareLost = 0.02;

}  // namespace emulsion
