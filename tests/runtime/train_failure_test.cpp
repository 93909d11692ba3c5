// Failures of the system itself, told without what has failed: memory that is gone, threads that
// are refused.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <functional>
#include <new>
#include <stdexcept>

#include "runtime/data/dataset.h"
#include "runtime/data/loader.h"
#include "runtime/data/normalize.h"
#include "runtime/program/command_line.h"
#include "runtime/program/memory.h"
#include "runtime/support/machine_speed.h"
#include "tests/support/count_allocations.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

TEST(GuardMain, TellsOfMissingMemoryWithoutMemory) {
    const auto main = [](int, char**) {
        std::fputs("", stderr);
        const auto fail = []() -> int { throw std::bad_alloc(); };
        const std::function<int()> body = fail;
        const long before = allocation_count();
        const int code = guard_main(body);
        return allocation_count() - before > 1 ? 99 : code;  // the exception itself may take one
    };
    const ProgramResult result = run_program(main, {"program"});
    EXPECT_EQ(result.exit_code, kExitFailed);
    EXPECT_EQ(result.err, "error: memory: the system refuses more\n  fix: free memory\n");
}

TEST(GuardMain, TellsOfWhatNobodyExpects) {
    const auto tell = [](const std::function<int()>& body) {
        return run_program([&](int, char**) { return guard_main(body); }, {"program"});
    };
    EXPECT_EQ(tell([]() -> int { throw std::logic_error("odd"); }).err,
              "error: program: odd\n  fix: report it, as this is not expected\n");
    const ProgramResult unknown = tell([]() -> int { throw 1; });
    EXPECT_EQ(unknown.exit_code, kExitFailed);
    EXPECT_EQ(unknown.err, "error: program: unknown exception\n  fix: report it\n");
}

// Leaves so many bytes of address space. False where that is not possible.
bool limit_address_space(uint64_t bytes) {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    uint64_t pages = 0;
    if (file == nullptr || std::fscanf(file, "%" SCNu64, &pages) != 1) return false;
    std::fclose(file);
    const rlim_t limit = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + bytes;
    const rlimit both{limit, limit};
    return setrlimit(RLIMIT_AS, &both) == 0;
}

// Threads from here on want stacks of 64 MiB, more than the C library keeps of those that have
// ended.
bool want_large_stacks() {
    pthread_attr_t attributes;
    return pthread_attr_init(&attributes) == 0 &&
           pthread_attr_setstacksize(&attributes, 64 << 20) == 0 &&
           pthread_setattr_default_np(&attributes) == 0;
}

// What a program says that has 4 MiB of address space left.
void expect_refused_for_space(const std::function<void()>& body, const std::string& message) {
#ifdef EMULSION_SANITIZER_HAS_MALLOC
    GTEST_SKIP() << "the sanitizers need address space of their own";
#endif
    const auto main = [&](int, char**) {
        if (!want_large_stacks() || !limit_address_space(4 << 20)) return 77;
        return guard_main([&] {
            body();
            return kExitDone;
        });
    };
    const ProgramResult result = run_program(main, {"program"});
    ASSERT_NE(result.exit_code, 77);
    EXPECT_EQ(result.exit_code, kExitFailed) << result.signal;
    EXPECT_EQ(result.err, message);
}

TEST(AddressSpace, ALoaderWithoutAThreadIsAnError) {
    Dataset dataset;
    dataset.shape = {1, 2, 2};
    dataset.pixels.resize(4);
    dataset.labels.resize(1);
    const emulsion_info info{};
    expect_refused_for_space(
        [&] { Loader(dataset, {0}, Normalizer(1, info), LoaderOptions{.batch = 1}); },
        "error: loader: the system refuses a thread: Resource temporarily unavailable\n"
        "  fix: raise the limits of threads and of memory (ulimit -u, ulimit -v)\n");
}

TEST(AddressSpace, ABlockThatIsRefusedIsAnError) {
    emulsion_sizes sizes{};
    sizes.bytes[EMULSION_PARAMETERS] = 4096;
    sizes.bytes[EMULSION_WORKSPACE] = 16 << 20;
    expect_refused_for_space(
        [&] { MemoryBlocks{sizes}; },
        "error: memory for workspace: the system refuses 16777216 bytes: Cannot allocate memory\n"
        "  fix: free memory, raise the limit (ulimit -v), or build the network for a smaller "
        "batch\n");
}

// A thread that the system refuses is an error of the measurement; those already there leave.
TEST(MachineSpeed, ARefusedThreadIsAnError) {
    const auto main = [](int, char**) {
        const rlimit none{1, 1};
        if (setrlimit(RLIMIT_NPROC, &none) != 0) return 77;
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 77;
        return guard_main([] {
            measure_peak("x86-64", 16);
            return kExitDone;
        });
    };
    const ProgramResult result = run_program(main, {"program"});
    if (result.exit_code == 77) GTEST_SKIP() << "limits of processes cannot be set here";
    EXPECT_EQ(result.exit_code, kExitFailed) << result.signal;
    EXPECT_EQ(result.err.find("error: machine speed: the system refuses a thread: "), 0u)
        << result.err;
}

}  // namespace
}  // namespace emulsion
