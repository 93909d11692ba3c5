// FMA peak (AVX-512 and AVX2) and triad bandwidth: ./fma_peak THREADS, pinned from outside.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;
constexpr long kRounds = 60'000'000;
constexpr int kChains = 12;  // independent accumulators, enough for 2 units of 4 cycles each

// Twelve chains in registers; the volatile sum keeps them alive.
#ifdef __AVX512F__
__attribute__((noinline)) void fma512() {
    __m512 a[kChains], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-6f);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) a[i] = _mm512_set1_ps(0.1f * i);
    for (long n = 0; n < kRounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < kChains; i++) a[i] = _mm512_fmadd_ps(a[i], x, y);
    }
    __m512 sum = a[0];
#pragma GCC unroll 12
    for (int i = 1; i < kChains; i++) sum = _mm512_add_ps(sum, a[i]);
    volatile float keep = _mm512_reduce_add_ps(sum);
    (void)keep;
}
#endif

__attribute__((noinline)) void fma256() {
    __m256 a[kChains], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-6f);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) a[i] = _mm256_set1_ps(0.1f * i);
    for (long n = 0; n < kRounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < kChains; i++) a[i] = _mm256_fmadd_ps(a[i], x, y);
    }
    __m256 sum = a[0];
#pragma GCC unroll 12
    for (int i = 1; i < kChains; i++) sum = _mm256_add_ps(sum, a[i]);
    volatile float keep = sum[0];
    (void)keep;
}

__attribute__((noinline)) void triad(float* a, const float* b, const float* c, size_t n) {
    for (size_t i = 0; i < n; i++) a[i] = b[i] + 3.0f * c[i];
}

// Seconds from the first start to the last end.
double parallel(int threads, const std::function<void(int)>& work) {
    std::atomic<int> ready{0};
    std::vector<std::thread> pool;
    std::vector<Clock::time_point> begin(threads), end(threads);
    for (int t = 0; t < threads; t++) {
        pool.emplace_back([&, t] {
            ready++;
            while (ready < threads) std::this_thread::yield();
            begin[t] = Clock::now();
            work(t);
            end[t] = Clock::now();
        });
    }
    for (auto& thread : pool) thread.join();
    auto span = *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end());
    return std::chrono::duration<double>(span).count();
}

void show(const char* name, std::vector<double> v, const char* unit) {
    std::sort(v.begin(), v.end());
    std::printf("%s: best %.1f, median %.1f, worst %.1f %s\n", name, v.back(), v[v.size() / 2], v[0], unit);
}

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
    const size_t floats = size_t(64) << 20;  // per array and thread: far beyond the caches
    std::vector<std::unique_ptr<float[]>> a, b, c;
    for (int t = 0; t < threads; t++) {
        for (auto* array : {&a, &b, &c}) {
            array->emplace_back(new float[floats]);
            std::fill_n(array->back().get(), floats, 1.0f);
        }
    }
    std::vector<double> wide, narrow, bandwidth;
    for (int r = 0; r < 7; r++) {
#ifdef __AVX512F__
        wide.push_back(kRounds * kChains * 32e-9 * threads / parallel(threads, [](int) { fma512(); }));
#endif
        narrow.push_back(kRounds * kChains * 16e-9 * threads / parallel(threads, [](int) { fma256(); }));
        double s = parallel(threads, [&](int t) { triad(a[t].get(), b[t].get(), c[t].get(), floats); });
        bandwidth.push_back(floats * 12e-9 * threads / s);
    }
    std::printf("%d threads\n", threads);
    if (!wide.empty()) show("AVX-512 FMA", wide, "GFLOP/s");
    show("AVX2 FMA", narrow, "GFLOP/s");
    show("triad, 12 bytes an element", bandwidth, "GB/s");
}
