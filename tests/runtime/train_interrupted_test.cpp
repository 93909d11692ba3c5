// Runs of the trainer that are stopped, or made longer, and resumed: files and rows are those of
// one run.
#include <csignal>

#include "runtime/data/checkpoint.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

// Ctrl-C at any step, then --resume: checkpoint, weights and the rows of the epochs are those of
// one run.
TEST_F(TrainRunTest, InterruptedAndResumedEqualsOneRun) {
    const ProgramResult whole =
        train({"--checkpoint", folder_ / "whole", "--validation", "0.2", "--json"});
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    // 41 pictures to train on: 11 steps an epoch, 2 epochs.
    for (int step : {1, 4, 10, 11, 12, 21}) {
        const std::string run = folder_ / ("run" + std::to_string(step));
        fake_hooks().signal = SIGINT;
        fake_hooks().signal_step = step;
        const ProgramResult stopped = train({"--checkpoint", run, "--validation", "0.2", "--json"});
        EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
        EXPECT_NE(stopped.err.find("stopped by a signal after step " + std::to_string(step) +
                                   "; the checkpoint is saved, --resume goes on from it\n"),
                  std::string::npos)
            << stopped.err;
        fake_hooks() = {};
        const ProgramResult resumed = run_fake_train({"--checkpoint", run, "--resume", "--json"});
        EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
        EXPECT_EQ(read_text(run + "/weights.safetensors"),
                  read_text(folder_ / "whole/weights.safetensors"));
        const auto expected = read_lines(whole.out), found = read_lines(resumed.out);
        const auto& last = expected[expected.size() - 2];
        const auto& last_found = found[found.size() - 2];
        EXPECT_EQ(last_found["epoch"], last["epoch"]);
        EXPECT_EQ(last_found["loss"], last["loss"]) << step;
        EXPECT_EQ(last_found["accuracy"], last["accuracy"]);
        EXPECT_EQ(last_found["validation"], last["validation"]);
    }
}

// Stopped or killed while validation looks at its pictures, after the first epoch and after the
// last, or the part of one that the run ends in: the epoch stays trained, and whoever resumes
// validates it and completes its record.
TEST_F(TrainRunTest, InterruptedInValidation) {
    for (const char* steps : {"22", "13"}) {  // 11 an epoch
        const std::vector<std::string> length{"--steps", steps, "--validation", "0.2"};
        const auto with = [&](std::vector<std::string> options) {
            options.insert(options.end(), length.begin(), length.end());
            return options;
        };
        const std::string whole_run = folder_ / ("whole" + std::string(steps));
        const ProgramResult whole = train(with({"--checkpoint", whole_run, "--json"}));
        ASSERT_EQ(whole.exit_code, 0);
        for (int number : {SIGINT, SIGKILL}) {
            for (int run : {5, 14}) {  // of 9 pictures after each of two epochs
                const std::string name = steps + std::to_string(number) + "-" + std::to_string(run);
                fake_hooks().signal = number;
                fake_hooks().signal_run = run;
                const ProgramResult stopped = train(with({"--checkpoint", folder_ / name}));
                EXPECT_EQ(stopped.exit_code, number == SIGKILL ? -1 : 130) << stopped.err;
                EXPECT_EQ(stopped.err.find("stopped by a signal") != std::string::npos,
                          number == SIGINT)
                    << stopped.err;
                EXPECT_EQ(stopped.out.find("            -           -  ") != std::string::npos,
                          number == SIGINT)
                    << stopped.out;
                fake_hooks() = {};
                const ProgramResult resumed =
                    run_fake_train({"--checkpoint", folder_ / name, "--resume", "--json"});
                EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
                for (const char* file : {"/checkpoint", "/weights.safetensors"})
                    EXPECT_EQ(read_text((folder_ / name) + file), read_text(whole_run + file));
                const auto expected = read_lines(whole.out), found = read_lines(resumed.out);
                const size_t epoch = run == 5 ? 1 : 2;
                EXPECT_EQ(found[1]["epoch"], epoch);
                EXPECT_EQ(found[1]["validation"], expected[epoch]["validation"]);
                EXPECT_EQ(found[1]["loss"], expected[epoch]["loss"]);
                EXPECT_FALSE(found[1].contains("seconds"));
            }
        }
    }
}

// A run that is made longer does not look where it no longer ends.
TEST_F(TrainRunTest, InterruptedInTheLastValidationAndMadeLonger) {
    const auto begin = [&](const char* name, const char* steps) {
        return train({"--checkpoint", folder_ / name, "--validation", "0.2", "--schedule",
                      "constant", "--steps", steps})
            .exit_code;
    };
    ASSERT_EQ(begin("whole", "15"), 0);
    fake_hooks().signal = SIGINT;
    fake_hooks().signal_run = 14;
    EXPECT_EQ(begin("run", "13"), 130);
    fake_hooks() = {};
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", folder_ / "run", "--resume", "--steps", "15"});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(read_text(folder_ / "run/checkpoint") == read_text(folder_ / "whole/checkpoint"));
}

// Stopped when all steps are trained: what is left out is said, and how to get it.
TEST_F(TrainRunTest, InterruptedAtTheEnd) {
    write_easy_set(folder_.path(), /*is_test=*/true, 20, 4, 4, 3);
    const std::string begin = "stopped by a signal after the last step; skipped: ";
    struct Case {
        std::vector<std::string> options;
        int run;
        std::string end;
    };
    const std::string run = folder_ / "run", weights = folder_ / "w";
    for (const auto& [options, at, end] :
         {Case{{"--checkpoint", run}, 3, "the test; --resume makes up for it\n"},
          Case{{"--checkpoint", folder_ / "looking", "--validation", "0.2"},
               14,
               "the validation and the test; --resume makes up for it\n"},
          Case{{"--weights", weights},
               3,
               "the test; fake-infer --weights " + weights + " --data " + folder_.path() +
                   " does the test\n"},
          Case{{}, 3, "the test; nothing is kept to make up for it\n"}}) {
        fake_hooks().signal = SIGINT;
        fake_hooks().signal_run = at;
        const ProgramResult result = train(options);
        fake_hooks() = {};
        EXPECT_EQ(result.exit_code, 130) << result.err;
        EXPECT_NE(result.err.find(begin + end), std::string::npos) << result.err;
    }
    const ProgramResult resumed = run_fake_train({"--checkpoint", run, "--resume"});
    EXPECT_EQ(resumed.exit_code, 0);
    EXPECT_NE(resumed.out.find("test accuracy "), std::string::npos) << resumed.out;
    const ProgramResult tested = run_fake_infer({"--weights", weights, "--data", folder_.path()});
    EXPECT_EQ(tested.exit_code, 0) << tested.err;
}

TEST_F(TrainRunTest, ResumingACompleteRunWritesItsWeightsAgain) {
    ASSERT_EQ(train({"--checkpoint", folder_ / "run"}).exit_code, 0);
    const std::string weights = read_text(folder_ / "run/weights.safetensors");
    std::remove((folder_ / "run/weights.safetensors").c_str());
    const ProgramResult resumed = run_fake_train({"--checkpoint", folder_ / "run", "--resume"});
    EXPECT_EQ(resumed.exit_code, 0);
    EXPECT_NE(
        resumed.err.find("resumed after step 26: the run is complete, nothing is left to train\n"),
        std::string::npos)
        << resumed.err;
    EXPECT_EQ(read_text(folder_ / "run/weights.safetensors"), weights);
}

TEST_F(TrainRunTest, TerminateStopsLikeCtrlC) {
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 3;
    const ProgramResult result = train({"--checkpoint", folder_ / "run"});
    EXPECT_EQ(result.exit_code, 143);
    EXPECT_TRUE(has_checkpoint(folder_ / "run"));
}

// The checkpoint holds their number, and whoever resumes makes them again.
TEST_F(TrainRunTest, MadeUpPicturesAreLearnedAndResumed) {
    const ProgramResult whole =
        run_fake_train({"--data", "synthetic:60", "--epochs", "20", "--threads", "1",
                        "--checkpoint", folder_ / "whole", "--json"});
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    const auto lines = read_lines(whole.out);
    EXPECT_EQ(lines.front()["data"], "synthetic:60");
    EXPECT_EQ(lines.front()["train_pictures"], 60);
    EXPECT_EQ(lines.front()["test_pictures"], 0);
    EXPECT_LT(lines[20]["loss"], 0.5 * lines[1]["loss"].get<double>()) << whole.out;

    const std::string run = folder_ / "run";
    fake_hooks().signal = SIGINT;
    fake_hooks().signal_step = 100;
    ASSERT_EQ(run_fake_train({"--data", "synthetic:60", "--epochs", "20", "--threads", "2",
                              "--checkpoint", run})
                  .exit_code,
              130);
    fake_hooks() = {};
    const ProgramResult other =
        run_fake_train({"--data", "synthetic:61", "--checkpoint", run, "--resume"});
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_TRUE(other.err.starts_with("error: synthetic: holds 61 pictures with checksum "))
        << other.err;
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", run, "--resume", "--threads", "3"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(read_text(run + "/weights.safetensors"),
              read_text(folder_ / "whole/weights.safetensors"));
}

}  // namespace
}  // namespace emulsion
