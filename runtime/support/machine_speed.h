// What this machine can do at most, measured by short loops: multiply-adds in registers, and bytes
// read and written over blocks of rising size, so that the caches' rates are known too.
//
// A single measurement takes some 20 ms and suffers from whatever else runs; the best of several is
// the machine's. Threads start together and are not pinned: pin the process.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace emulsion {

// Whether this processor runs the instruction set "x86-64", "avx2" or "avx512".
bool can_run(std::string_view isa);

// Operations a second, all threads together, two for each multiply-add. REQUIRES: can_run(isa).
double measure_peak(std::string_view isa, int threads);

// Multiply-adds of f32 that one core begins in a cycle: those of one vector or of two. Every
// processor with the instruction set has two units for vectors of half the length; whole ones are
// twice as fast by the lane where the units are as wide, and as fast where two make one. The two
// loops take turns, and the median of their ratios decides: neither the clock's rate nor what runs
// on the core's other thread does, as that slows both. REQUIRES: can_run(isa). Takes some 10 ms.
int measure_multiply_adds_per_cycle(std::string_view isa);

// Bytes a second, all threads together, over a block of `bytes` that is touched again and again,
// each thread its share. `write` is with ordinary stores, which read a line before they fill it.
struct Bandwidth {
    uint64_t bytes = 0;
    double read = 0.0, write = 0.0;
};
Bandwidth measure_bandwidth(std::string_view isa, int threads, uint64_t bytes);

struct MachineSpeed {
    double peak = 0.0;                 // operations a second
    std::vector<Bandwidth> bandwidth;  // bytes ascending
    double launch = 0.0;               // seconds of a launch that does nothing: devices alone
};

// The best of several measurements of each, with blocks of 256 KiB to 256 MiB; takes about a
// second.
MachineSpeed measure_machine(std::string_view isa, int threads);

}  // namespace emulsion
