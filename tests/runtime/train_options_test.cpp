// The trainer's command line: each mistake with its whole message, exit code 2, and nothing on
// stdout.
#include <gtest/gtest.h>

#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

class TrainOptionsTest : public testing::Test {
  protected:
    void SetUp() override { use_fake_network({}); }

    void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
        const ProgramResult result = run_fake_train(arguments);
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err, message);
    }
};

TEST_F(TrainOptionsTest, DataMissing) {
    expect_usage_error({},
                       "error: --data: is missing\n  fix: fake-train --data fashion-mnist, or a "
                       "folder of pictures\n");
}

TEST_F(TrainOptionsTest, UnknownOption) {
    expect_usage_error({"--data", "x", "--epoch", "3"},
                       "error: command line: the following arguments were not expected: 3 --epoch\n"
                       "  fix: fake-train --help lists the options\n");
}

TEST_F(TrainOptionsTest, ValueMissing) {
    expect_usage_error({"--data"},
                       "error: command line: --data: 1 required NAME|PATH missing\n"
                       "  fix: fake-train --help lists the options\n");
}

// As of a variable of the shell that is not set.
TEST_F(TrainOptionsTest, EmptyValuesAreRefused) {
    for (const std::string option : {"--checkpoint", "--weights", "--validation", "--epochs",
                                     "--batch", "--data", "--variant"}) {
        expect_usage_error({option, ""}, "error: " + option +
                                             ": the value is empty\n"
                                             "  fix: give a value, or leave the option out\n");
    }
}

TEST_F(TrainOptionsTest, NumbersOutOfRange) {
    expect_usage_error({"--data", "x", "--threads", "0"},
                       "error: --threads: '0' is not a whole number from 1 to 256\n  fix: for "
                       "example --threads 1\n");
    expect_usage_error({"--data", "x", "--epochs", "0"},
                       "error: --epochs: '0' is not a whole number from 1 to 100000\n  fix: for "
                       "example --epochs 1\n");
    expect_usage_error({"--data", "x", "--epochs", "2.5"},
                       "error: --epochs: '2.5' is not a whole number from 1 to 100000\n  fix: for "
                       "example --epochs 1\n");
    expect_usage_error(
        {"--data", "x", "--batch", "131073"},
        "error: --batch: '131073' is not a whole number from 1 to 131072\n  fix: for example "
        "--batch 131072\n");
    expect_usage_error({"--data", "x", "--learning-rate", "0,05"},
                       "error: --learning-rate: '0,05' is not a number from 0 to 3e+38\n"
                       "  fix: write it with a decimal point, such as 0.05\n");
    expect_usage_error({"--data", "x", "--learning-rate", "nan"},
                       "error: --learning-rate: 'nan' is not a number from 0 to 3e+38\n"
                       "  fix: write it with a decimal point, such as 0.05\n");
}

TEST_F(TrainOptionsTest, UnknownNames) {
    expect_usage_error({"--data", "x", "--schedule", "square"},
                       "error: --schedule: there is no schedule 'square'\n  fix: choose constant, "
                       "step, multi_step, exponential, linear, polynomial, cosine, "
                       "cosine_restarts, cyclic, one_cycle or plateau\n");
    expect_usage_error({"--data", "x", "--variant", "avx512"},
                       "error: --variant: the program holds no variant 'avx512'\n"
                       "  fix: choose one of x86-64, avx2, or leave the option out\n");
}

TEST_F(TrainOptionsTest, Combinations) {
    expect_usage_error(
        {"--data", "x", "--steps", "3", "--epochs", "1"},
        "error: --steps: cannot be combined with --epochs\n  fix: give one length of the run\n");
    expect_usage_error(
        {"--data", "x", "--resume"},
        "error: --resume: needs the folder of the run\n  fix: add --checkpoint FOLDER\n");
    expect_usage_error(
        {"--checkpoint", "x", "--resume", "--overwrite"},
        "error: --overwrite: cannot be combined with --resume\n  fix: give one of the two\n");
    expect_usage_error(
        {"--data", "x", "--overwrite"},
        "error: --overwrite: needs the folder of the run\n  fix: add --checkpoint FOLDER\n");
    expect_usage_error({"--data", "x", "--checkpoint-minutes", "1"},
                       "error: --checkpoint-minutes: needs the folder of the run\n  fix: add "
                       "--checkpoint FOLDER\n");
}

// A rate below the one that the schedule ends at would rise.
TEST_F(TrainOptionsTest, RateBelowTheFinalOne) {
    const std::string changes = R"({"schedule": {"kind": "cosine", "final": 0.04}})";
    const auto train = [&](std::vector<std::string> options) {
        options.insert(options.begin(), {"--data", "x"});
        return run_fake_train(options, changes).err;
    };
    EXPECT_EQ(
        train({"--learning-rate", "0"}),
        "error: --learning-rate: is 0, but the network's cosine schedule ends at 0.04, so the "
        "rate would rise\n"
        "  fix: give a rate of at least 0.04, or add --schedule constant\n");
    const std::string unknown = "error: x: there is no such folder";
    EXPECT_EQ(train({"--learning-rate", "0.04"}).substr(0, unknown.size()), unknown);
    EXPECT_EQ(train({"--learning-rate", "0", "--schedule", "constant"}).substr(0, unknown.size()),
              unknown);
}

// What a schedule needs that the command line cannot say, or has not said.
TEST_F(TrainOptionsTest, SchedulesThatLackSomething) {
    expect_usage_error({"--data", "x", "--schedule", "multi_step"},
                       "error: --schedule: multi_step needs the steps to fall at\n"
                       "  fix: name them in the model, with multi_step_rate({.at = {…}})\n");
    expect_usage_error({"--data", "x", "--schedule", "plateau"},
                       "error: --validation: is missing, but the plateau schedule lowers the rate "
                       "by what it finds\n"
                       "  fix: add --validation 0.1, or --schedule constant\n");
}

TEST_F(TrainOptionsTest, MomentumThatGoesAgainstTheRate) {
    const std::string option = "error: --cycle-momentum: ";
    const auto expect = [&](std::vector<std::string> more, const std::string& what) {
        more.insert(more.begin(), {"--data", "x", "--cycle-momentum"});
        expect_usage_error(more, option + what);
    };
    expect({"0.85"}, "'0.85' is no pair LOW:HIGH\n  fix: for example --cycle-momentum 0.85:0.95\n");
    expect({"0.95:0.85"}, "is 0.95 to 0.85, which falls\n  fix: write the lower one first\n");
    expect({"0.85:0.95", "--momentum", "0.9"},
           "cannot be combined with --momentum\n  fix: leave one of the two out\n");
    expect({"0.85:0.95", "--rate-test", "r.csv"},
           "cannot be combined with --rate-test\n  fix: leave one of the two out\n");
    expect({"0.85:0.95"},
           "goes against the rates of one_cycle and cyclic, but the schedule is cosine\n"
           "  fix: add --schedule one_cycle, or leave it out\n");
    expect({"0.85:0.95", "--schedule", "one_cycle"},
           "is compiled into this program, or of no use to it\n"
           "  fix: leave the option out, or build the model with .adjustable = true in the options "
           "of its optimizer\n");
}

TEST_F(TrainOptionsTest, NumbersThatAreCompiledIn) {
    for (const std::string option : {"--momentum", "--weight-decay"}) {
        expect_usage_error({"--data", "x", option, "0.5"},
                           "error: " + option +
                               ": is compiled into this program, or of no use to it\n"
                               "  fix: leave the option out, or build the model with .adjustable = "
                               "true in the options of its optimizer\n");
    }
    expect_usage_error({"--data", "x", "--momentum", "1.5"},
                       "error: --momentum: '1.5' is not a number from 0 to 1\n"
                       "  fix: write it with a decimal point, such as 0.05\n");
}

TEST_F(TrainOptionsTest, ValidationIsNoFraction) {
    const ProgramResult result = run_fake_train({"--data", "x", "--validation", "half"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("--validation"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("'half'"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\n  fix: "), std::string::npos) << result.err;
}

TEST_F(TrainOptionsTest, SyntheticIsNoCount) {
    expect_usage_error({"--data", "synthetic:many"},
                       "error: --data: 'many' is no number of made-up pictures from 1 to "
                       "2147483647\n  fix: write synthetic:512, or synthetic\n");
}

TEST_F(TrainOptionsTest, HelpGoesToStandardOutput) {
    const ProgramResult result = run_fake_train({"--help"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
    for (const char* text :
         {"--data NAME|PATH", "synthetic[:N], N made-up pictures (512)",
          "Exit codes: 0 done, 1 failed, 2 wrong usage; 130 stopped by Ctrl-C, 143 by SIGTERM"}) {
        EXPECT_NE(result.out.find(text), std::string::npos) << text;
    }
}

TEST_F(TrainOptionsTest, Version) {
    const ProgramResult result = run_fake_train({"--version"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.out, "fake-train 0.1.0 (0123456789abcdef)\n");
}

}  // namespace
}  // namespace emulsion
