// Signals to a trainer that runs as a process of its own: each that asks for the end, in pairs, and
// where the parent has switched it off.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "runtime/data/checkpoint.h"
#include "runtime/support/path.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

class TrainSignalTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    std::vector<std::string> options(const std::string& run) {
        return {"--data", data_.path(), "--checkpoint", run, "--epochs", "4"};
    }
    ProgramResult resume(const std::string& run) {
        return run_fake_train({"--checkpoint", run, "--resume"});
    }

    TestFolder data_, runs_;
    const std::string run_ = runs_ / "run";
};

// Once, and twice in a row as `timeout` sends it to a process and to its group: the run stops after
// the step, with the checkpoint of that step, and goes on to the bits of an uninterrupted one.
TEST_F(TrainSignalTest, EverySignalSavesAndStops) {
    ASSERT_EQ(run_fake_train(options(runs_ / "whole")).exit_code, 0);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU}) {
        for (int count : {1, 2, 5}) {
            const std::string run = runs_ / (std::to_string(number) + "x" + std::to_string(count));
            fake_hooks() = {};
            fake_hooks().signal = number;
            fake_hooks().signal_step = 20;
            fake_hooks().signal_count = count;
            const ProgramResult stopped = run_fake_train(options(run));
            EXPECT_EQ(stopped.exit_code, 128 + number) << stopped.signal << stopped.err;
            EXPECT_NE(
                stopped.err.find("stopped by a signal after step 20; the checkpoint is saved, "
                                 "--resume goes on from it\n"),
                std::string::npos)
                << stopped.err;
            fake_hooks() = {};
            ASSERT_EQ(resume(run).exit_code, 0);
            EXPECT_EQ(read_text(run + "/checkpoint"), read_text(runs_ / "whole/checkpoint"));
            EXPECT_EQ(read_text(run + "/weights.safetensors"),
                      read_text(runs_ / "whole/weights.safetensors"));
        }
    }
}

TEST_F(TrainSignalTest, NothingButCheckpointAndWeightsAreLeft) {
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 3;
    ASSERT_EQ(run_fake_train(options(run_)).exit_code, 143);
    fake_hooks() = {};
    const auto names = [&] {
        std::vector<std::string> found;
        for (const char* name : {"checkpoint", "checkpoint.tmp", "lock", "weights.safetensors",
                                 "weights.safetensors.tmp"}) {
            if (is_file(join_path(run_, name))) found.emplace_back(name);
        }
        return found;
    };
    EXPECT_EQ(names(), (std::vector<std::string>{"checkpoint", "weights.safetensors"}));
    ASSERT_EQ(resume(run_).exit_code, 0);
    EXPECT_EQ(names(), (std::vector<std::string>{"checkpoint", "weights.safetensors"}));
}

// The same request again, as late as it can come: the run is over, the process is not.
TEST_F(TrainSignalTest, TheSameRequestDoesNotCutTheEndShort) {
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 3;
    auto arguments = options(run_);
    arguments.insert(arguments.begin(), "fake-train");
    const auto main = [&](int argc, char** argv) {
        const int code = emulsion_train_main(argc, argv, &fake_train_library(),
                                             &fake_infer_library(), fake_description().c_str());
        std::raise(SIGTERM);
        return code;
    };
    const ProgramResult result = run_program(main, arguments);
    EXPECT_EQ(result.exit_code, 143) << result.signal << result.err;
}

// A program that hangs can be ended: the second request, once a second has passed.
TEST_F(TrainSignalTest, TheSecondRequestEndsAHangingStep) {
    for (int number : {SIGTERM, SIGINT}) {
        fake_hooks().signal = number;
        fake_hooks().signal_step = 3;
        fake_hooks().signal_count = 2;
        fake_hooks().signal_pause = 1.01;
        const ProgramResult result = run_fake_train(options(runs_ / std::to_string(number)));
        EXPECT_EQ(result.signal, number) << result.exit_code << result.err;
    }
}

// A warning of the job system is no first request: the SIGTERM that follows still saves.
TEST_F(TrainSignalTest, AWarningIsNoRequestToHurry) {
    const auto program = [&] {
        fake_hooks().seconds_per_step = 1.5;
        return start_fake_train(options(run_));
    }();
    while (!has_checkpoint(run_)) usleep(1000);
    program->send(SIGUSR1);
    usleep(1100000);
    program->send(SIGTERM);
    const ProgramResult result = program->wait();
    EXPECT_EQ(result.exit_code, 128 + SIGUSR1) << result.signal << result.err;
}

// nohup, a job in the background of a plain shell: what the parent has switched off stays off.
TEST_F(TrainSignalTest, IgnoredSignalsStayIgnored) {
    for (int number : {SIGHUP, SIGINT, SIGUSR1}) {
        fake_hooks() = {};
        fake_hooks().signal = number;
        fake_hooks().signal_step = 3;
        auto arguments = options(runs_ / std::to_string(number));
        arguments.insert(arguments.begin(), "fake-train");
        const auto main = [&](int argc, char** argv) {
            std::signal(number, SIG_IGN);
            return emulsion_train_main(argc, argv, &fake_train_library(), &fake_infer_library(),
                                       fake_description().c_str());
        };
        const ProgramResult result = run_program(main, arguments);
        EXPECT_EQ(result.exit_code, 0) << result.err;
    }
}

}  // namespace
}  // namespace emulsion
