// The inference program's `--benchmark`, and the runs of its `--profile`.
//
// Latency: 5 warm-up runs of one picture, then single runs for 2 s, at least ten; median and
// minimum. Throughput of a batch: 3 warm-up runs, then 5 windows of at least 0.6 s; the median
// window. Pictures are random.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "runtime/program/profile.h"
#include "runtime/program/session.h"

namespace emulsion {

struct Latency {
    double median = 0.0, minimum = 0.0;  // seconds
    int runs = 0;
};

struct Throughput {
    int batch = 1;
    double images_per_second = 0.0;
};

struct BenchmarkTimes {
    int warm_up_runs = 5;
    double latency_seconds = 2.0, window_seconds = 0.6;
    int windows = 5;
};

struct BenchmarkResult {
    Latency latency;
    std::vector<Throughput> throughput;  // in the order of the batches
};

BenchmarkResult run_benchmark(InferenceSession& session, std::span<const int> batches,
                              const BenchmarkTimes& times = {});

// Calls the library with pictures of each batch for about `seconds`, but at least ten times, and
// returns what `profile` has measured. The session must have been made with it.
std::vector<CallProfile> run_profile(InferenceSession& session, std::span<const int> batches,
                                     KernelProfile* profile, double seconds);

// Small fixed values in parameters and state, for measuring without weights.
void fill_parameters(const InferenceSession& session);

}  // namespace emulsion
