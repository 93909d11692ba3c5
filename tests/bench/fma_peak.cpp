// What this machine does at most, with the loops that profiles quote: fma_peak THREADS, pinned from
// outside. Prints best, median and worst of several measurements.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "runtime/support/machine_speed.h"

namespace {

void show(const char* name, std::vector<double> values, const char* unit) {
    std::sort(values.begin(), values.end());
    std::printf("%s: best %.1f, median %.1f, worst %.1f %s\n", name, 1e-9 * values.back(),
                1e-9 * values[values.size() / 2], 1e-9 * values[0], unit);
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
    if (threads < 1 || threads > 256) {
        std::fprintf(stderr, "fma_peak: %d threads\n  fix: give 1 to 256\n", threads);
        return 2;
    }
    std::printf("%d threads\n", threads);
    const char* best = "x86-64";
    for (const char* isa : {"avx512", "avx2"}) {
        if (!emulsion::can_run(isa)) continue;
        if (best[1] != 'v') best = isa;
        std::vector<double> peaks;
        for (int i = 0; i < 25; i++) peaks.push_back(emulsion::measure_peak(isa, threads));
        show(isa[3] == '5' ? "AVX-512 FMA" : "AVX2 FMA", peaks, "GFLOP/s");
    }
    std::vector<double> read, write;
    for (int i = 0; i < 5; i++) {
        const auto bytes = static_cast<uint64_t>(threads) << 28;  // far beyond the caches
        const emulsion::Bandwidth bandwidth = emulsion::measure_bandwidth(best, threads, bytes);
        read.push_back(bandwidth.read);
        write.push_back(bandwidth.write);
    }
    show("read", read, "GB/s");
    show("write", write, "GB/s");
    return 0;
}
