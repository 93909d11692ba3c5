// Streams that break or are closed: they never cost a run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/data/checkpoint.h"
#include "runtime/support/path.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

// A pipe whose reader has gone away.
int broken_pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    return ends[1];
}

size_t count_of(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) count++;
    return count;
}

class TrainStreamsTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
        EXPECT_EQ(run_fake_train(options("whole")).exit_code, 0);
    }

    std::vector<std::string> options(const std::string& run) {
        return {"--data", data_.path(), "--checkpoint", runs_ / run, "--epochs", "3"};
    }
    // The run went to its end, with the bits of one whose streams were whole.
    void expect_whole(const std::string& run) {
        for (const char* name : {"/checkpoint", "/weights.safetensors"})
            EXPECT_EQ(read_text((runs_ / run) + name), read_text((runs_ / "whole") + name));
        EXPECT_FALSE(is_file((runs_ / run) + "/lock"));
    }

    TestFolder data_, runs_;
};

TEST_F(TrainStreamsTest, StandardOutputBreaks) {
    struct Case {
        const char* name;
        int out;
        const char* reason;
    };
    for (const auto& [name, out, reason] :
         {Case{"full", open("/dev/full", O_WRONLY | O_CLOEXEC), "No space left on device"},
          Case{"pipe", broken_pipe(), "Broken pipe"},
          Case{"closed", ProgramStreams::kClosed, "Bad file descriptor"}}) {
        const ProgramResult result = start_fake_train(options(name), {.out = out})->wait();
        if (out >= 0) close(out);
        EXPECT_EQ(result.exit_code, 1) << name << result.signal;
        const std::string problem =
            std::string(": standard output: cannot be written: ") + reason +
            "\n  fix: free space on the disk it goes to, or send it elsewhere\n";
        EXPECT_EQ(count_of(result.err, "warning" + problem +
                                           "  the results from here on are lost, and training goes "
                                           "on\n"),
                  1u)
            << result.err;
        EXPECT_EQ(count_of(result.err, "error" + problem), 1u) << result.err;
        expect_whole(name);
    }
}

// A pipe that does not block and is full for a moment is waited for, as one that blocks is.
TEST_F(TrainStreamsTest, StandardOutputIsFullForAMoment) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    ASSERT_EQ(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    char bytes[4096] = {};
    size_t filled = 0;
    for (ssize_t count; (count = write(ends[1], bytes, sizeof bytes)) > 0;)
        filled += static_cast<size_t>(count);
    const auto program = start_fake_train(options("pipe"), {.out = ends[1]});
    close(ends[1]);
    usleep(300000);  // for the first result to meet the full pipe
    std::string text;
    for (ssize_t count; (count = read(ends[0], bytes, sizeof bytes)) > 0;)
        text.append(bytes, static_cast<size_t>(count));
    close(ends[0]);
    const ProgramResult result = program->wait();
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(count_of(text, "loss"), 1u) << text.substr(filled);  // the head of the table
    EXPECT_TRUE(text.ends_with("weights written to " + (runs_ / "pipe/weights.safetensors") + "\n"))
        << text.substr(filled);
    expect_whole("pipe");
}

// A file at the limit of what the process may write is an error like a full disk, no signal.
TEST_F(TrainStreamsTest, StandardOutputMeetsTheLimitOfFiles) {
    const std::string log = runs_ / "log";
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    constexpr rlim_t kLimit = 256 << 10;  // more than a checkpoint takes
    ASSERT_EQ(ftruncate(out, kLimit), 0);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit limit{kLimit, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    const auto program = start_fake_train(options("limited"), {.out = out});
    setrlimit(RLIMIT_FSIZE, &old);
    const ProgramResult result = program->wait();
    close(out);
    EXPECT_EQ(result.exit_code, 1) << result.signal;
    EXPECT_NE(result.err.find("standard output: cannot be written: File too large"),
              std::string::npos)
        << result.err;
    expect_whole("limited");
}

TEST_F(TrainStreamsTest, StandardErrorBreaks) {
    const int pipe = broken_pipe();
    EXPECT_EQ(start_fake_train(options("pipe"), {.err = pipe})->wait().exit_code, 0);
    close(pipe);
    expect_whole("pipe");
    EXPECT_EQ(
        start_fake_train(options("closed"), {.err = ProgramStreams::kClosed})->wait().exit_code, 0);
    expect_whole("closed");
}

// With both closed, files get the numbers of neither: what is printed must not end up in them.
TEST_F(TrainStreamsTest, BothClosed) {
    const ProgramStreams closed{ProgramStreams::kClosed, ProgramStreams::kClosed};
    EXPECT_EQ(start_fake_train(options("closed"), closed)->wait().exit_code, 1);
    expect_whole("closed");
}

}  // namespace
}  // namespace emulsion
