// Runs that cannot go on: loss that is not finite, kill -9, a full disk, folders and files that do
// not fit. Each message in full.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "runtime/data/checkpoint.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"
#include "tests/support/count_allocations.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

class TrainStopTest : public ::testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    ProgramResult train(std::vector<std::string> arguments, const std::string& changes = "{}") {
        arguments.insert(arguments.begin(), {"--data", data_.path(), "--quiet"});
        return run_fake_train(std::move(arguments), changes);
    }

    TestFolder data_;
    TestFolder runs_;
    const std::string run_ = runs_ / "run";
};

constexpr const char* kFixRate =
    "\n  fix: lower --learning-rate, or look for values in the data that are far from the others\n";

// A rate of 1e38 from step 5 on: the update of step 5 leaves infinities or a loss that step 6
// finds. The checkpoint of before stays, loads, and its weights are finite.
TEST_F(TrainStopTest, LossNotFinite) {
    const std::string changes = R"({"schedule": {"kind": "step", "step_size": 4, "gamma": 1e39}})";
    const ProgramResult result =
        train({"--checkpoint", run_, "--checkpoint-minutes", "0"}, changes);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, std::string("error: step 7 (epoch 1): the loss is NaN or infinite at "
                                      "learning rate 1e+38; the checkpoint "
                                      "of step 0 is kept") +
                              kFixRate);
    EXPECT_TRUE(has_checkpoint(run_));
    EXPECT_FALSE(is_file(run_ + "/weights.safetensors"));
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", run_, "--resume", "--steps", "3", "--quiet"}, changes);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(is_file(run_ + "/weights.safetensors"));
}

// The last update of an epoch writes an infinity: the checkpoint of that epoch is not written.
TEST_F(TrainStopTest, WeightsNotFiniteAreNeverSaved) {
    fake_hooks().infinite_step = 26;
    const ProgramResult result = train({"--checkpoint", run_});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(
        result.err.find(
            "error: step 26 (epoch 2): tensor 'dense1.w' holds NaN or infinity after the update at "
            "learning rate "),
        std::string::npos)
        << result.err;
    EXPECT_NE(result.err.find("; the checkpoint of step 13 is kept"), std::string::npos)
        << result.err;
    fake_hooks() = {};
    EXPECT_EQ(run_fake_train({"--checkpoint", run_, "--resume"}).exit_code, 0);
}

TEST_F(TrainStopTest, LossNotFiniteWithoutCheckpoint) {
    const ProgramResult result = train({"--learning-rate", "3e38", "--schedule", "constant"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(
        result.err,
        std::string("error: step 3 (epoch 1): the loss is NaN or infinite at learning rate 3e+38; "
                    "nothing is kept without --checkpoint") +
            kFixRate);
}

// Killed at any moment while every step writes a checkpoint: the run goes on from what is there, to
// the same bits. It stops in its last step, so that none is over before it is killed.
TEST_F(TrainStopTest, KilledAtAnyMoment) {
    const std::vector<std::string> options{"--epochs", "8", "--checkpoint-minutes", "0.0000001"};
    auto whole = options;
    whole.insert(whole.end(), {"--checkpoint", runs_ / "whole"});
    ASSERT_EQ(train(whole).exit_code, 0);
    for (int attempt = 0; attempt < 8; attempt++) {
        fake_hooks().signal = SIGSTOP;
        fake_hooks().signal_step = 8 * 13;
        const std::string run = runs_ / ("killed" + std::to_string(attempt));
        auto arguments = options;
        arguments.insert(arguments.begin(),
                         {"fake-train", "--data", data_.path(), "--quiet", "--checkpoint", run});
        const pid_t child = fork();
        if (child == 0) {
            std::vector<char*> pointers;
            for (std::string& argument : arguments) pointers.push_back(argument.data());
            if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(1);
            _exit(emulsion_train_main(static_cast<int>(pointers.size()), pointers.data(),
                                      &fake_train_library(), &fake_infer_library(),
                                      fake_description().c_str()));
        }
        while (!has_checkpoint(run)) usleep(200);
        usleep(static_cast<useconds_t>(1000 * attempt));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << status;
        fake_hooks() = {};
        const ProgramResult resumed = run_fake_train(
            {"--checkpoint", run, "--resume", "--quiet", "--checkpoint-minutes", "0"});
        ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
        EXPECT_EQ(read_text(run + "/weights.safetensors"),
                  read_text(runs_ / "whole/weights.safetensors"));
    }
}

TEST_F(TrainStopTest, DiskFullAtTheStart) {
    emulsion::testing::faults.fail_after = 100;
    emulsion::testing::faults.code = ENOSPC;
    const ProgramResult result = train({"--checkpoint", run_});
    emulsion::testing::faults = {};
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, "error: " + run_ +
                              "/checkpoint: cannot write the file: the disk is full\n"
                              "  fix: free some space, or choose a place on another disk\n");
}

// Later the run goes on with a warning, and the end that cannot be written fails.
TEST_F(TrainStopTest, DiskFullLater) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    const uint64_t once = std::filesystem::file_size(run_ + "/checkpoint");
    std::filesystem::remove_all(run_);
    emulsion::testing::faults.fail_after = static_cast<int64_t>(once + 100);
    emulsion::testing::faults.code = ENOSPC;
    const ProgramResult result = train({"--checkpoint", run_});
    emulsion::testing::faults = {};
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("warning: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\n  the former checkpoint is kept and training goes on\n"),
              std::string::npos);
    EXPECT_NE(result.err.find("error: "), std::string::npos);
    EXPECT_EQ(run_fake_train({"--checkpoint", run_, "--resume"}).exit_code, 0);
}

// Memory that lacks for a moment costs a checkpoint, not the run.
TEST_F(TrainStopTest, NoMemoryForACheckpoint) {
#ifndef EMULSION_COUNTS_ALLOCATIONS
    GTEST_SKIP() << "malloc cannot be replaced here";
#endif
    const std::vector<std::string> options{"--checkpoint-minutes", "0.0000001", "--weights"};
    auto whole = options, hungry = options;
    whole.insert(whole.end(), {runs_ / "whole", "--checkpoint", runs_ / "other"});
    hungry.insert(hungry.end(), {runs_ / "hungry", "--checkpoint", run_});
    ASSERT_EQ(train(whole).exit_code, 0);
    fake_hooks().hungry_step = 3;
    const ProgramResult result = train(hungry);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "warning: " + run_ +
                              ": there is no memory to write a checkpoint\n  fix: free memory\n"
                              "  the former checkpoint is kept and training goes on\n"
                              "warning: " +
                              (runs_ / "hungry") +
                              ": there is no memory to write weights\n  fix: free memory\n"
                              "  the former weights are kept and training goes on\n");
    EXPECT_TRUE(read_text(runs_ / "hungry") == read_text(runs_ / "whole"));
    EXPECT_TRUE(read_text(run_ + "/checkpoint") == read_text(runs_ / "other/checkpoint"));
}

TEST_F(TrainStopTest, FolderCannotBeMade) {
    const ProgramResult result = train({"--checkpoint", data_ / "train-labels-idx1-ubyte/run"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, "error: " + (data_ / "train-labels-idx1-ubyte/run") +
                              ": cannot make the folder: a part of the path is no folder\n"
                              "  fix: choose another path\n");
}

TEST_F(TrainStopTest, FolderOfTheWeightsMissing) {
    const ProgramResult result = train({"--weights", runs_ / "none/w.safetensors"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, "error: --weights " + (runs_ / "none/w.safetensors") +
                              ": cannot write the file: no such file or folder\n"
                              "  fix: check the path\n");
}

TEST_F(TrainStopTest, FolderHoldsAnotherRun) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    const ProgramResult result = train({"--checkpoint", run_});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, "error: " + run_ +
                              ": holds the checkpoint of another run\n"
                              "  fix: continue it with --resume, or begin anew with --overwrite\n");
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite"}).exit_code, 0);
}

TEST_F(TrainStopTest, NothingToResume) {
    const ProgramResult result = train({"--checkpoint", run_, "--resume"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err,
              "error: " + run_ +
                  ": holds no checkpoint\n  fix: leave out --resume to begin a run there\n");
}

TEST_F(TrainStopTest, ResumeWithOtherSettings) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    const char* fix =
        "\n  fix: leave the option out with --resume, or begin a new run in another folder\n";
    struct Case {
        std::string option, value, problem;
    };
    for (const auto& [option, value, problem] :
         {Case{"--batch", "3", "is 3, but the run of the checkpoint has 4"},
          Case{"--seed", "5", "is 5, but the run of the checkpoint has 1"},
          Case{"--learning-rate", "0.2", "is 0.2, but the run of the checkpoint has 0.1"},
          Case{"--schedule", "step", "is step, but the run of the checkpoint has cosine"},
          Case{"--validation", "0.5", "is 0.5, but the run of the checkpoint has none"}}) {
        const ProgramResult result = train({"--checkpoint", run_, "--resume", option, value});
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.err, "error: " + option + ": " + problem + fix);
    }
}

TEST_F(TrainStopTest, ResumeWithOtherData) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    TestFolder other;
    write_easy_set(other.path(), /*is_test=*/false, 49, 4, 4, 3);
    const ProgramResult result =
        run_fake_train({"--data", other.path(), "--checkpoint", run_, "--resume", "--quiet"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("holds 49 pictures with checksum "), std::string::npos) << result.err;
    EXPECT_NE(
        result.err.find(", but the run of the checkpoint began with 50 pictures with checksum "),
        std::string::npos);
    EXPECT_NE(result.err.find(
                  "\n  fix: give the data of that run, or begin a new run in another folder\n"),
              std::string::npos);
}

// Labels 0 .. 5 in a network of 5 classes: refused with file, index and label.
TEST_F(TrainStopTest, LabelOutOfRange) {
    FakeNetwork network;
    network.classes = 5;
    use_fake_network(network);
    std::vector<uint8_t> labels(50, 1);
    labels[37] = 5;
    write_idx_set(data_.path(), false, 4, 4, std::vector<uint8_t>(50 * 16, 9), labels);
    const ProgramResult result = train({});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    for (const char* part : {"train-labels-idx1-ubyte", "37", "5", "\n  fix: "}) {
        EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    }
}

TEST_F(TrainStopTest, ValidationLeavesNothing) {
    const ProgramResult result = train({"--validation", "0.01"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(
        result.err,
        "error: --validation: 0.01 of 50 pictures leaves 50 to train on and 0 to validate with\n"
        "  fix: choose a fraction between 0 and 1 that leaves pictures for both\n");
}

TEST_F(TrainStopTest, ValidationOnATestPartThatIsMissing) {
    const ProgramResult result = train({"--validation", "test"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err,
              "error: --validation: '" + data_.path() +
                  "' has no test part\n  fix: give a fraction of the training part, such as "
                  "--validation 0.1\n");
}

TEST_F(TrainStopTest, BindFails) {
    fake_hooks().bind_status = EMULSION_NO_THREADS;
    const ProgramResult result = train({});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(
        result.err,
        "error: fake bind: the fake refuses to bind\n  fix: use fewer threads with --threads\n");
}

TEST_F(TrainStopTest, CheckpointOfAnotherNetwork) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    FakeNetwork other;
    other.signature = "fedcba9876543210";
    use_fake_network(other);
    const ProgramResult result = train({"--checkpoint", run_, "--resume"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("0123456789abcdef"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("fedcba9876543210"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace emulsion
