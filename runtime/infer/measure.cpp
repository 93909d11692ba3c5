// See measure.h.
#include "runtime/infer/measure.h"

#include <algorithm>
#include <chrono>

namespace emulsion {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMinRuns = 10;
constexpr int kBatchWarmUpRuns = 3;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Equal from call to call: a linear congruential generator, upper bits.
class Noise {
  public:
    float next() {  // in [-1, 1)
        bits_ = bits_ * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<float>(static_cast<int32_t>(bits_ >> 32)) / 2147483648.0f;
    }

    int32_t below(int32_t limit) {
        next();
        return static_cast<int32_t>((bits_ >> 33) % static_cast<uint64_t>(limit));
    }

  private:
    uint64_t bits_ = 1;
};

// Random rows of all that a network reads.
class RandomRows {
  public:
    RandomRows(const InferenceSession& session, int samples) {
        for (int i = 0; i < session.info().input_count; i++)
            blocks_.push_back(fill(session.info().inputs[i], static_cast<uint64_t>(samples)));
        for (size_t i = 1; i < blocks_.size(); i++)
            extras_.push_back(static_cast<const int32_t*>(blocks_[i].get()));
    }
    void run(InferenceSession& session, int samples) const {
        session.run(static_cast<const float*>(blocks_[0].get()), samples, extras_);
    }

  private:
    // Numbers, or indices.
    AlignedBlock fill(const emulsion_port& port, uint64_t samples) {
        AlignedBlock block = allocate_aligned(port.bytes * samples);
        auto* values = static_cast<float*>(block.get());
        auto* indices = static_cast<int32_t*>(block.get());
        const int64_t limit = index_range(port).limit;
        for (uint64_t i = 0; i < port.bytes * samples / sizeof(float); i++) {
            if (limit == 0) values[i] = noise_.next();
            if (limit > 0) indices[i] = noise_.below(static_cast<int32_t>(limit));
        }
        return block;
    }

    Noise noise_;
    std::vector<AlignedBlock> blocks_;
    std::vector<const int32_t*> extras_;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

Latency measure_latency(InferenceSession& session, const BenchmarkTimes& times) {
    const RandomRows rows(session, 1);
    for (int i = 0; i < times.warm_up_runs; i++) rows.run(session, 1);
    std::vector<double> seconds;
    const auto start = Clock::now();
    while (seconds_since(start) < times.latency_seconds || seconds.size() < kMinRuns) {
        const auto run_start = Clock::now();
        rows.run(session, 1);
        seconds.push_back(seconds_since(run_start));
    }
    Latency latency;
    latency.minimum = *std::min_element(seconds.begin(), seconds.end());
    latency.runs = static_cast<int>(seconds.size());
    latency.median = median(std::move(seconds));
    return latency;
}

Throughput measure_throughput(InferenceSession& session, int batch, const BenchmarkTimes& times) {
    const RandomRows rows(session, batch);
    for (int i = 0; i < kBatchWarmUpRuns; i++) rows.run(session, batch);
    std::vector<double> rates;
    for (int window = 0; window < times.windows; window++) {
        const auto start = Clock::now();
        int64_t pictures = 0;
        double passed = 0.0;
        do {
            rows.run(session, batch);
            pictures += batch;
            passed = seconds_since(start);
        } while (passed < times.window_seconds);
        rates.push_back(static_cast<double>(pictures) / passed);
    }
    return {batch, median(std::move(rates))};
}

}  // namespace

BenchmarkResult run_benchmark(InferenceSession& session, std::span<const int> batches,
                              const BenchmarkTimes& times) {
    BenchmarkResult result;
    result.latency = measure_latency(session, times);
    for (int batch : batches) {
        if (batch >= 1 && batch <= session.batch()) {
            result.throughput.push_back(measure_throughput(session, batch, times));
        }
    }
    return result;
}

std::vector<CallProfile> run_profile(InferenceSession& session, std::span<const int> batches,
                                     KernelProfile* profile, double seconds) {
    std::vector<CallProfile> results;
    for (int batch : batches) {
        if (batch < 1 || batch > session.batch()) continue;
        const int warm_up = BenchmarkTimes{}.warm_up_runs;
        profile->start(batch, batch, warm_up);
        const RandomRows rows(session, batch);
        const auto start = Clock::now();
        for (int runs = 0; runs < warm_up + kMinRuns || seconds_since(start) < seconds; runs++) {
            profile->begin_call();
            rows.run(session, batch);
            profile->end_call(batch);
        }
        results.push_back(profile->result());
    }
    return results;
}

void fill_parameters(const InferenceSession& session) {
    Noise noise;
    for (int i = 0; i < session.info().tensor_count; i++) {
        const emulsion_tensor& tensor = session.info().tensors[i];
        if (tensor.type != EMULSION_F32) continue;
        auto* block = static_cast<std::byte*>(session.memory().block[tensor.memory_class]);
        float* values = reinterpret_cast<float*>(block + tensor.offset);
        // Running variances must be positive; every value of the state is 1.
        const bool is_state = tensor.memory_class == EMULSION_STATE;
        for (uint64_t v = 0; v < tensor.bytes / sizeof(float); v++) {
            values[v] = is_state ? 1.0f : 0.1f * noise.next();
        }
    }
}

}  // namespace emulsion
