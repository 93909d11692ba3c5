// Programs are found on the PATH, run, and their failures told.
#include "compiler/support/host.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>

#include "compiler/support/diagnostic.h"
#include "compiler/support/interrupts.h"
#include "compiler/support/process.h"
#include "compiler/support/temporary_folder.h"

namespace emulsion {
namespace {

TEST(Host, RunsProgramsWithTheirArguments) {
    std::string output;
    EXPECT_EQ(
        run_program({"sh", "-c", "printf '%s|' \"$@\"; echo err >&2; exit 3", "x", "a b", "$c"},
                    {.output = &output, .temporary = {}}),
        3);
    EXPECT_EQ(output, "a b|$c|err\n");
}

TEST(Host, TellsTheSignalThatEndedAProgram) {
    EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}), 128 + SIGKILL);
}

TEST(Host, RefusesProgramsThatCannotBeRun) {
    for (std::string name : {"no-such-program", "./no-such-program", "/etc/passwd"}) {
        try {
            run_program({name});
            FAIL() << name;
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()),
                      "error[program]: the program '" + name +
                          "' cannot be run: it is missing or not executable\n"
                          "  fix: check the path and its permissions");
        }
    }
}

TEST(Host, TemporaryFoldersVanish) {
    std::filesystem::path path;
    {
        TemporaryFolder folder;
        path = folder.path();
        std::filesystem::create_directories(path / "a/b");
        std::ofstream(path / "a/file") << "text";
        EXPECT_TRUE(std::filesystem::exists(path / "a/file"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

// What a killed process leaves, the next one removes; what a living one uses, stays.
TEST(Host, LeftOverTemporaryFoldersVanish) {
    TemporaryFolder mine;
    const std::filesystem::path left = mine.path() / "emulsion-build-abcdef";
    const std::filesystem::path other = mine.path() / "emulsion-test-abcdef";
    std::filesystem::create_directories(left / "deep");
    std::filesystem::create_directories(other);
    std::ofstream(left / "deep/file") << "text";
    const std::string before = std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR");
    setenv("TMPDIR", mine.path().c_str(), 1);
    {
        TemporaryFolder first, second;
        EXPECT_FALSE(std::filesystem::exists(left));
        EXPECT_TRUE(std::filesystem::exists(other));
        EXPECT_TRUE(std::filesystem::exists(first.path()));
        EXPECT_EQ(first.path().parent_path(), mine.path());
    }
    before.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", before.c_str(), 1);
}

// Runs the action in a child of this process and returns how that ended, as waitpid tells it.
int status_in_child(const std::function<void()>& action) {
    const pid_t child = fork();
    if (child == 0) {
        action();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

// A signal ends a tool with all that it started, then what waited for it.
TEST(Host, ASignalEndsToolsWhole) {
    for (int signal : {SIGTERM, SIGHUP, SIGINT}) {
        TemporaryFolder folder;
        const std::string file = (folder.path() / "number").string();
        const int status = status_in_child([&] {
            std::signal(signal, SIG_DFL);
            int arrived = 0;
            const std::string script =
                fmt::format("sleep 1000 & echo $! >{}; kill -{} {}; wait", file, signal, getpid());
            try {
                CatchInterrupts interrupts;
                run_program({"sh", "-c", script});
            } catch (const Interrupted& interrupted) {
                arrived = interrupted.signal;
            }
            if (arrived != 0) end_by_signal(arrived);
        });
        EXPECT_TRUE(WIFSIGNALED(status)) << status;
        EXPECT_EQ(WTERMSIG(status), signal);
        pid_t sleeper = 0;
        std::ifstream(file) >> sleeper;
        ASSERT_GT(sleeper, 0);
        // The kernel ends it when it runs next; its adoptive parent takes it away after that.
        std::string state;
        do {
            state = "Z";
            std::ifstream(fmt::format("/proc/{}/stat", sleeper)) >> state >> state >> state;
        } while (state == "R");
        EXPECT_TRUE(state == "Z" || state == "X") << state;
    }
}

TEST(Host, AProcessThatIgnoresASignalGoesOnIgnoringIt) {
    const int status = status_in_child([&] {
        std::signal(SIGHUP, SIG_IGN);
        CatchInterrupts interrupts;
        raise(SIGHUP);
        check_interrupts();
        _exit(7);
    });
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

// Signals for this process are for its successor, which may make of them what it likes.
TEST(Host, SuccessorsGetSignals) {
    for (int signal : {SIGTERM, SIGHUP, SIGINT, SIGUSR1}) {
        const int status = status_in_child([&] {
            std::signal(SIGINT, SIG_DFL);
            CatchInterrupts interrupts;
            Successor successor({"sh", "-c",
                                 fmt::format("trap 'exit 9' {0}; kill -{0} {1}; "
                                             "while true; do sleep 0.01; done",
                                             signal, getpid())});
            const Successor::End end = successor.wait();
            _exit(end.signal == 0 ? end.status : 1);
        });
        EXPECT_EQ(WEXITSTATUS(status), 9) << signal;
    }
}

// A stage that hangs asks nobody: the second request ends the process, unless it came with the
// first.
TEST(Host, ASecondRequestEndsAHang) {
    for (int signal : {SIGTERM, SIGHUP, SIGINT}) {
        const auto hang = [&](bool waits) {
            return status_in_child([&] {
                std::signal(signal, SIG_DFL);
                CatchInterrupts interrupts;
                raise(SIGTERM);
                if (waits) std::this_thread::sleep_for(std::chrono::milliseconds(1001));
                raise(signal);
                _exit(7);
            });
        };
        EXPECT_EQ(WEXITSTATUS(hang(false)), 7);
        const int status = hang(true);
        EXPECT_TRUE(WIFSIGNALED(status)) << status;
        EXPECT_EQ(WTERMSIG(status), signal);
    }
}

// What a successor makes of the second request is its own affair as well.
TEST(Host, SuccessorsGetTheSecondRequest) {
    const int status = status_in_child([&] {
        CatchInterrupts interrupts;
        Successor successor({"sh", "-c",
                             fmt::format("trap 'count=x$count; test $count = xx && exit 9' TERM; "
                                         "kill {0}; sleep 1.1; kill {0}; "
                                         "while true; do sleep 0.01; done",
                                         getpid())});
        const Successor::End end = successor.wait();
        _exit(end.signal == 0 ? end.status : 1);
    });
    EXPECT_EQ(WEXITSTATUS(status), 9);
}

TEST(Host, MakesOutputFolders) {
    TemporaryFolder folder;
    make_output_folder(folder.path() / "x/y");
    EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "x/y"));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "x/y"));
}

}  // namespace
}  // namespace emulsion
