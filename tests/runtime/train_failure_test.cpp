// Failures of the system itself, told without what has failed: memory that is gone, threads that
// are refused.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

#include "runtime/program/command_line.h"
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
