// See fuzz_support.h.
#include "tests/fuzz/fuzz_support.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "compiler/support/diagnostic.h"
#include "runtime/support/error.h"

namespace emulsion::fuzz {

namespace {

constexpr double kMostSeconds = 2;  // an input has some kilobytes

double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

std::string path_of(Data input) {
    static const int file = memfd_create("input", MFD_CLOEXEC);
    require(file >= 0 && ftruncate(file, 0) == 0, "no file in memory");
    const auto bytes = static_cast<ssize_t>(input.size());
    require(pwrite(file, input.data(), input.size(), 0) == bytes, "no file in memory");
    return "/proc/self/fd/" + std::to_string(file);
}

std::string text_of(Data input) { return {input.begin(), input.end()}; }

void read(const std::function<void()>& body) {
    const double start = cpu_seconds();
    try {
        body();
    } catch (const RuntimeError&) {
    } catch (const Error&) {
    }
    require(cpu_seconds() - start < kMostSeconds, "the input takes too long");
}

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "fuzz: %s\n", what);
    std::abort();
}

}  // namespace emulsion::fuzz
