// A file of records that several processes change.
#include "schedules/tune/records_lock.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "compiler/support/interrupts.h"
#include "schedules/tune/record_set.h"
#include "tests/support/test_folder.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

constexpr int kWriters = 4;
constexpr int kEach = 25;

// Adds its records to the file, one by one.
pid_t start_writer(const std::string& file, int writer) {
    const pid_t tester = getpid();
    const pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != tester) _exit(1);
    try {
        for (int i = 0; i < kEach; i++) {
            const std::string signature =
                "batch=" + std::to_string(writer) + " graph r" + std::to_string(i);
            change_records(file, [&](RecordSet& set) { set.add(some_record(signature, 2)); });
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "writer %d failed: %s\n", writer, error.what());
        _exit(1);
    }
    _exit(0);
}

TEST(RecordsLock, NoChangeIsLost) {
    const TestFolder folder;
    const std::string file = folder / "net.records", link = folder / "link";
    std::filesystem::create_symlink("net.records", link);
    for (int i = 0; i < kWriters; i++) start_writer(i % 2 == 0 ? file : link, i);
    for (int i = 0; i < kWriters; i++) {
        int status = 0;
        ASSERT_GT(wait(&status), 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(RecordSet::read_whole(file).size(), size_t{kWriters * kEach});
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"link", "net.records"}));
}

TEST(RecordsLock, ASignalEndsTheWait) {
    const TestFolder folder;
    const RecordsLock held(folder / "net.records");
    const CatchInterrupts interrupts;
    std::raise(SIGTERM);
    EXPECT_THROW(RecordsLock(folder / "net.records"), Interrupted);
}

TEST(RecordsLock, AFolderThatIsNotThereIsNotLocked) {
    const TestFolder folder;
    const RecordsLock first(folder / "none/net.records"), second(folder / "none/net.records");
}

}  // namespace
}  // namespace emulsion::test
