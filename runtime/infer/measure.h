/* The inference program's `--benchmark` and `--profile`: time of whole runs, and of every kernel of
 * a run.
 *
 * Latency: 5 warm-up runs of one picture, then single runs for 2 s, at least ten; median and
 * minimum. Throughput of a batch: 3 warm-up runs, then 5 windows of at least 0.6 s; the median
 * window. Pictures are random. */
#pragma once
#include <span>
#include <string>
#include <vector>

#include "runtime/infer/session.h"

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

// Text for people, or one JSON object.
std::string benchmark_text(const BenchmarkResult& result, const emulsion_info& info, int threads,
                           bool is_json);

// Sums the times of each kernel; the pointer to it goes into SessionOptions::profile_self.
struct KernelTimes {
    std::vector<double> seconds;  // by kernel
    bool is_recording = false;

    static void record(void* self, int kernel, double seconds);
};

// Runs single pictures for about `seconds` and returns how many. The session must have been made
// with `times`.
int run_profile(InferenceSession& session, KernelTimes* times, double seconds);

// One row a kernel in the order of the calls: microseconds a run, share, signature.
std::string profile_text(const KernelTimes& times, int runs, const emulsion_info& info,
                         bool is_json);

// Small fixed values in parameters and state, for measuring without weights.
void fill_parameters(const InferenceSession& session);

}  // namespace emulsion
