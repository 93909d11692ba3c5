// See machine_speed.h. The loops are written once, over vectors of the compiler's extension, and
// are inlined into one function for each instruction set. A multiply-add is written as a * x + y,
// so this file is compiled with -ffp-contract=fast.
#include "runtime/support/machine_speed.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "runtime/abi/instance.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kChains = 12;  // independent accumulators, enough for two units of four cycles each
constexpr int64_t kRounds = 10'000'000;
constexpr int kRepetitions = 5;
constexpr uint64_t kSmallestBlock = 256 << 10, kLargestBlock = 256 << 20;
constexpr uint64_t kMovedBytes = 256 << 20;  // by one measurement

template <int kLanes>
using Vector [[gnu::vector_size(4 * kLanes), gnu::may_alias]] = float;

// What the loops compute, so that they are not removed.
std::atomic<float> kept_result;

// ---- Loops ----

template <int kLanes>
[[gnu::always_inline]] inline float multiply_add(int64_t rounds) {
    Vector<kLanes> a[kChains];
    const Vector<kLanes> x = Vector<kLanes>{} + 0.999f, y = Vector<kLanes>{} + 1e-6f;
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) a[i] = Vector<kLanes>{} + 0.1f * static_cast<float>(i);
    for (int64_t n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < kChains; i++) a[i] = a[i] * x + y;
    }
#pragma GCC unroll 12
    for (int i = 1; i < kChains; i++) a[0] += a[i];
    return a[0][0];
}

// `count` is a multiple of 128.
template <int kLanes>
[[gnu::always_inline]] inline float read_block(const float* block, size_t count) {
    Vector<kLanes> sum[8] = {};
    for (size_t i = 0; i < count; i += 8 * kLanes) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++)
            sum[j] += *reinterpret_cast<const Vector<kLanes>*>(block + i + j * kLanes);
    }
#pragma GCC unroll 8
    for (size_t j = 1; j < 8; j++) sum[0] += sum[j];
    return sum[0][0];
}

template <int kLanes>
[[gnu::always_inline]] inline float write_block(float* block, size_t count) {
    const Vector<kLanes> value = Vector<kLanes>{} + 0.5f;
    for (size_t i = 0; i < count; i += 8 * kLanes) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++)
            *reinterpret_cast<Vector<kLanes>*>(block + i + j * kLanes) = value;
    }
    return block[0];
}

struct Loops {
    std::string_view isa;
    int lanes;
    float (*multiply_add)(int64_t rounds);
    float (*multiply_add_halves)(int64_t rounds);  // of vectors of half the length
    float (*read)(const float* block, size_t count);
    float (*write)(float* block, size_t count);
};

float multiply_add_2(int64_t rounds) { return multiply_add<2>(rounds); }
float multiply_add_4(int64_t rounds) { return multiply_add<4>(rounds); }
float read_4(const float* block, size_t count) { return read_block<4>(block, count); }
float write_4(float* block, size_t count) { return write_block<4>(block, count); }

#if defined(__x86_64__)
#define EMULSION_AVX2 [[gnu::target("avx2,fma")]]
#define EMULSION_AVX512 [[gnu::target("avx512f,prefer-vector-width=512")]]
EMULSION_AVX2 float multiply_add_fused_4(int64_t rounds) { return multiply_add<4>(rounds); }
EMULSION_AVX2 float multiply_add_8(int64_t rounds) { return multiply_add<8>(rounds); }
EMULSION_AVX2 float read_8(const float* block, size_t count) { return read_block<8>(block, count); }
EMULSION_AVX2 float write_8(float* block, size_t count) { return write_block<8>(block, count); }
EMULSION_AVX512 float multiply_add_16(int64_t rounds) { return multiply_add<16>(rounds); }
EMULSION_AVX512 float read_16(const float* block, size_t count) {
    return read_block<16>(block, count);
}
EMULSION_AVX512 float write_16(float* block, size_t count) { return write_block<16>(block, count); }
#endif

const Loops& loops_of(std::string_view isa) {
    static const Loops all[] = {
        {"x86-64", 4, multiply_add_4, multiply_add_2, read_4, write_4},
#if defined(__x86_64__)
        {"avx2", 8, multiply_add_8, multiply_add_fused_4, read_8, write_8},
        {"avx512", 16, multiply_add_16, multiply_add_8, read_16, write_16},
#endif
    };
    for (const Loops& loops : all) {
        if (loops.isa == isa) return loops;
    }
    return all[0];
}

// ---- Timing ----

// Runs work(thread) on all threads and returns the seconds from the first start to the last end.
// Throws RuntimeError where the system refuses a thread; those that wait for it leave then.
double time_parallel(int threads, const std::function<float(int)>& work) {
    std::atomic<int> ready{0};
    std::atomic<bool> is_refused{false};
    std::vector<Clock::time_point> begin(static_cast<size_t>(threads)), end(begin.size());
    const auto body = [&](int thread) {
        const auto t = static_cast<size_t>(thread);
        ready++;
        while (ready < threads && !is_refused) std::this_thread::yield();
        if (is_refused) return;
        begin[t] = Clock::now();
        kept_result = work(thread);
        end[t] = Clock::now();
    };
    std::vector<std::thread> others;
    others.reserve(begin.size());
    std::string problem;
    try {
        for (int thread = 1; thread < threads; thread++) others.emplace_back(body, thread);
    } catch (const std::system_error& error) {
        problem = error.what();
        is_refused = true;
    }
    body(0);
    for (std::thread& other : others) other.join();
    if (is_refused) {
        throw RuntimeError("machine speed", concat("the system refuses a thread: ", problem),
                           "measure with fewer --threads, or raise the limit (ulimit -u)");
    }
    const auto span =
        *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
    return std::chrono::duration<double>(span).count();
}

}  // namespace

bool can_run(std::string_view isa) {
    return (emulsion_isa_features(std::string(isa).c_str()) & ~emulsion_cpu_features()) == 0;
}

double measure_peak(std::string_view isa, int threads) {
    const Loops& loops = loops_of(isa);
    const double seconds = time_parallel(threads, [&](int) { return loops.multiply_add(kRounds); });
    return 2.0 * kRounds * kChains * loops.lanes * threads / seconds;
}

int measure_multiply_adds_per_cycle(std::string_view isa) {
    constexpr int kLoopRounds = 1000, kRuns = 1000;  // each run is shorter than a scheduler's slice
    const Loops& loops = loops_of(isa);
    const auto time = [](float (*loop)(int64_t)) {
        return time_parallel(1, [loop](int) { return loop(kLoopRounds); });
    };
    std::vector<double> ratios(kRuns);
    for (double& ratio : ratios) {
        const double halves = time(loops.multiply_add_halves);
        ratio = 2.0 * halves / time(loops.multiply_add);
    }
    const auto median = ratios.begin() + kRuns / 2;
    std::nth_element(ratios.begin(), median, ratios.end());
    return *median > std::sqrt(2.0) ? 2 * loops.lanes : loops.lanes;
}

Bandwidth measure_bandwidth(std::string_view isa, int threads, uint64_t bytes) {
    constexpr uint64_t kUnit = 128 * sizeof(float);  // what one turn of a loop covers at most
    const Loops& loops = loops_of(isa);
    const uint64_t share =
        std::max<uint64_t>(1, bytes / kUnit / static_cast<uint64_t>(threads)) * kUnit;
    const size_t count = share / sizeof(float);
    const auto block =
        std::make_unique_for_overwrite<std::byte[]>(share * static_cast<uint64_t>(threads) + kUnit);
    void* start = block.get();
    size_t space = share * static_cast<uint64_t>(threads) + kUnit;
    auto* floats = static_cast<float*>(std::align(64, space - kUnit, start, space));
    const auto passes = static_cast<int>(std::max<uint64_t>(1, kMovedBytes / bytes));
    const auto part = [&](int thread) { return floats + static_cast<size_t>(thread) * count; };
    const auto write = [&](int thread) {
        float sum = 0.0f;
        for (int pass = 0; pass < passes; pass++) sum += loops.write(part(thread), count);
        return sum;
    };
    const auto read = [&](int thread) {
        float sum = 0.0f;
        for (int pass = 0; pass < passes; pass++) sum += loops.read(part(thread), count);
        return sum;
    };
    // The first touch brings the pages.
    time_parallel(threads, [&](int thread) { return loops.write(part(thread), count); });
    const double moved = static_cast<double>(share) * threads * passes;
    Bandwidth result{bytes, 0.0, 0.0};
    for (int repetition = 0; repetition < kRepetitions; repetition++) {
        result.read = std::max(result.read, moved / time_parallel(threads, read));
        result.write = std::max(result.write, moved / time_parallel(threads, write));
    }
    return result;
}

MachineSpeed measure_machine(std::string_view isa, int threads) {
    MachineSpeed speed;
    for (int repetition = 0; repetition < 2 * kRepetitions; repetition++)
        speed.peak = std::max(speed.peak, measure_peak(isa, threads));
    for (uint64_t bytes = kSmallestBlock; bytes <= kLargestBlock; bytes *= 4)
        speed.bandwidth.push_back(measure_bandwidth(isa, threads, bytes));
    return speed;
}

}  // namespace emulsion
