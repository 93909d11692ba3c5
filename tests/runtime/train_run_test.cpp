// Whole runs of the trainer over the fake library: values by hand, part batches, resuming,
// validation, results.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/data/checkpoint.h"
#include "runtime/data/split.h"
#include "runtime/data/weights.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "runtime/train/run_data.h"
#include "runtime/train/session.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

// The values of a tensor in a weights file, in the order of the file.
std::vector<float> read_weights(const std::string& path, const std::string& name) {
    const std::string text = read_text(path);
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    const SafetensorsHeader header = parse_safetensors({bytes, text.size()}, path);
    const TensorEntry* entry = header.find(name);
    if (entry == nullptr) return {};
    std::vector<float> values((entry->end - entry->begin) / sizeof(float));
    std::memcpy(values.data(), bytes + header.data_begin + entry->begin,
                values.size() * sizeof(float));
    return values;
}

std::vector<nlohmann::json> read_lines(const std::string& text) {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(nlohmann::json::parse(line));
    return lines;
}

// One weight and pictures of one pixel, which reach the network as they are.
FakeNetwork quadratic(int batch, float momentum) {
    FakeNetwork network;
    network.kind = FakeKind::kQuadratic;
    network.shape = {1, 1, 1};
    network.classes = 2;
    network.batch = batch;
    network.momentum = momentum;
    network.is_normalized = true;
    network.mean = 0.0f;
    network.deviation = 1.0f / 255.0f;
    network.score_name = "scores";
    return network;
}

class TrainRunTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(folder_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    ProgramResult train(std::vector<std::string> arguments, const std::string& changes = "{}") {
        arguments.insert(arguments.begin(), {"--data", folder_.path()});
        return run_fake_train(std::move(arguments), changes);
    }

    TestFolder folder_;
};

// (w - b)^2 / 2 over b = 1 .. 10 in batches of 4, 4 and 2: each step divides by what its batch
// holds. The order of the pictures is the seed's, so the run is followed with the order that the
// loader has.
TEST_F(TrainRunTest, PartBatchDividesByItsSamples) {
    use_fake_network(quadratic(4, 0.0f));
    write_idx_set(folder_.path(), false, 1, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
                  std::vector<uint8_t>(10, 0));
    const ProgramResult result =
        train({"--epochs", "1", "--schedule", "constant", "--learning-rate", "0.1", "--weights",
               folder_ / "w.safetensors", "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::vector<uint32_t> order = epoch_order(whole_set(10), /*seed=*/1, /*epoch=*/0);
    double w = 1.0, loss = 0.0;
    for (size_t begin = 0; begin < 10; begin += 4) {
        const size_t end = std::min<size_t>(begin + 4, 10);
        double gradient = 0.0;
        for (size_t i = begin; i < end; i++) {
            const double difference = w - (order[i] + 1.0);
            loss += 0.5 * difference * difference;
            gradient += difference;
        }
        w -= 0.1 * gradient / static_cast<double>(end - begin);
    }
    const auto weights = read_weights(folder_ / "w.safetensors", "w");
    ASSERT_EQ(weights.size(), 1u);
    EXPECT_NEAR(weights[0], w, 1e-5);
    const auto epoch = read_lines(result.out)[1];
    EXPECT_NEAR(epoch["loss"].get<double>(), loss / 10, 1e-5);
    EXPECT_EQ(epoch["samples"], 10);
    EXPECT_EQ(epoch["step"], 3);
}

// The same in the order of the data, 2.4665, through the session itself.
TEST(TrainingSession, PartBatchByHand) {
    use_fake_network(quadratic(4, 0.0f));
    TrainingSession session(fake_train_library(), 1, Device{});
    session.initialize(1);
    session.bind(0);
    const AlignedBlock images = allocate_aligned(4 * sizeof(float)),
                       labels = allocate_aligned(4 * sizeof(int32_t));
    Batch batch;
    batch.images = static_cast<const float*>(images.get());
    batch.labels = static_cast<const int32_t*>(labels.get());
    for (int begin = 1; begin <= 10; begin += 4) {
        batch.samples = std::min(4, 11 - begin);
        for (int i = 0; i < batch.samples; i++)
            static_cast<float*>(images.get())[i] = static_cast<float>(begin + i);
        EXPECT_EQ(session.step(batch, 0.1f).fault, nullptr);
    }
    EXPECT_NEAR(*static_cast<float*>(session.memory().block[EMULSION_PARAMETERS]), 2.4665, 1e-5);
}

// w^2 / 2 with momentum 0.9 and rate 0.1, three steps and two more after a resume: with the
// momentum lost it would be 0.34992.
TEST_F(TrainRunTest, ResumeKeepsMomentum) {
    use_fake_network(quadratic(1, 0.9f));
    write_idx_set(folder_.path(), false, 1, 1, {0, 0, 0, 0, 0}, std::vector<uint8_t>(5, 0));
    const std::vector<std::string> run{"--schedule", "constant", "--learning-rate", "0.1"};
    auto first = run, second = run, whole = run;
    first.insert(first.end(), {"--steps", "3", "--checkpoint", folder_ / "run"});
    second.insert(second.end(), {"--steps", "5", "--checkpoint", folder_ / "run", "--resume"});
    whole.insert(whole.end(), {"--steps", "5", "--checkpoint", folder_ / "whole"});
    ASSERT_EQ(train(first).exit_code, 0);
    ASSERT_EQ(train(second).exit_code, 0);
    ASSERT_EQ(train(whole).exit_code, 0);
    EXPECT_NEAR(read_weights(folder_ / "run/weights.safetensors", "w")[0], -0.02916, 1e-6);
    EXPECT_EQ(read_text(folder_ / "run/weights.safetensors"),
              read_text(folder_ / "whole/weights.safetensors"));
    EXPECT_EQ(read_text(folder_ / "run/checkpoint"), read_text(folder_ / "whole/checkpoint"));
}

TEST_F(TrainRunTest, DecayOfTheRateReachesTheStep) {
    use_fake_network(quadratic(1, 0.0f));
    write_idx_set(folder_.path(), false, 1, 1, {0, 0, 0, 0}, std::vector<uint8_t>(4, 0));
    const std::string changes = R"({"schedule": {"kind": "step", "step_size": 2, "gamma": 0.1}})";
    ASSERT_EQ(train({"--epochs", "1", "--weights", folder_ / "w"}, changes).exit_code, 0);
    EXPECT_NEAR(read_weights(folder_ / "w", "w")[0], 0.9 * 0.9 * 0.99 * 0.99, 1e-6);
}

// Momentum when the rate changes, the rate outside of the buffer: gradient 1 comes from w - b, so
// here the rates act on w^2 / 2 as m = 0.9 m + w, w -= rate m.
TEST_F(TrainRunTest, RateActsOutsideTheMomentum) {
    use_fake_network(quadratic(1, 0.9f));
    write_idx_set(folder_.path(), false, 1, 1, {0, 0, 0}, std::vector<uint8_t>(3, 0));
    const std::string changes = R"({"schedule": {"kind": "step", "step_size": 2, "gamma": 0.1}})";
    ASSERT_EQ(train({"--epochs", "1", "--weights", folder_ / "w"}, changes).exit_code, 0);
    double w = 1.0, m = 0.0;
    for (double rate : {0.1, 0.1, 0.01}) m = 0.9 * m + w, w -= rate * m;
    EXPECT_NEAR(read_weights(folder_ / "w", "w")[0], w, 1e-6);
}

TEST_F(TrainRunTest, AValidationThatFailsCostsNoWeights) {
    ASSERT_EQ(train({"--weights", folder_ / "whole", "--validation", "0.2"}).exit_code, 0);
    fake_hooks().failing_run = 1;
    const ProgramResult result =
        train({"--weights", folder_ / "w", "--validation", "0.2", "--json"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("the fake refuses to run"), std::string::npos) << result.err;
    EXPECT_EQ(read_text(folder_ / "w"), read_text(folder_ / "whole"));
}

// What the training part takes is not there for the test part.
TEST_F(TrainRunTest, BothPartsShareTheMemory) {
    write_easy_set(folder_.path(), /*is_test=*/true, 20, 4, 4, 3);
    RunSettings settings;
    settings.data = folder_.path();
    constexpr uint64_t kTrain = 50 * (16 + 4), kTest = 20 * (16 + 4 + 1);
    EXPECT_EQ(open_run_data(settings, {1, 4, 4}, 3, kTrain + kTest).test.count(), 20u);
    try {
        open_run_data(settings, {1, 4, 4}, 3, kTrain + kTest - 1);
        FAIL() << "one byte too many";
    } catch (const RuntimeError& error) {
        EXPECT_EQ(error.where(), folder_ / "t10k-images-idx3-ubyte");
        EXPECT_EQ(error.problem(),
                  "20 pictures of 1x4x4 need more memory than 419 bytes, what is "
                  "left of three quarters of all memory");
    }
}

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

TEST_F(TrainRunTest, ThreadsDoNotChangeTheFiles) {
    ASSERT_EQ(train({"--checkpoint", folder_ / "a", "--threads", "1"}).exit_code, 0);
    ASSERT_EQ(train({"--checkpoint", folder_ / "b", "--threads", "3"}).exit_code, 0);
    EXPECT_EQ(read_text(folder_ / "a/checkpoint"), read_text(folder_ / "b/checkpoint"));
    EXPECT_EQ(read_text(folder_ / "a/weights.safetensors"),
              read_text(folder_ / "b/weights.safetensors"));
}

TEST_F(TrainRunTest, SeedChangesTheRun) {
    ASSERT_EQ(train({"--checkpoint", folder_ / "a", "--seed", "1"}).exit_code, 0);
    ASSERT_EQ(train({"--checkpoint", folder_ / "b", "--seed", "2"}).exit_code, 0);
    EXPECT_NE(read_text(folder_ / "a/weights.safetensors"),
              read_text(folder_ / "b/weights.safetensors"));
}

TEST_F(TrainRunTest, TestAccuracyIsReportedAtTheEnd) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const ProgramResult text = train({"--epochs", "20"});
    ASSERT_EQ(text.exit_code, 0) << text.err;
    EXPECT_NE(text.out.find("test accuracy 100.00 % (30 of 30), loss "), std::string::npos)
        << text.out;
    const auto lines = read_lines(train({"--epochs", "20", "--json"}).out);
    EXPECT_EQ(lines.back()["event"], "test");
    EXPECT_EQ(lines.back()["accuracy"], 1.0);
}

// The row of validation is that of the inference program over the same pictures.
TEST_F(TrainRunTest, ValidationOnTheTestPartEqualsInference) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const ProgramResult trained =
        train({"--epochs", "1", "--validation", "test", "--weights", folder_ / "w", "--json"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const auto epoch = read_lines(trained.out)[1];
    const ProgramResult inferred =
        run_fake_infer({"--weights", folder_ / "w", "--data", folder_.path(), "--json"});
    ASSERT_EQ(inferred.exit_code, 0) << inferred.err;
    const auto accuracy = nlohmann::json::parse(inferred.out);
    EXPECT_EQ(epoch["validation"]["accuracy"], accuracy["accuracy"]);
    EXPECT_EQ(epoch["validation"]["loss"], accuracy["loss"]);
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

TEST_F(TrainRunTest, MadeUpPicturesAreTestedWhereThatIsAskedFor) {
    const ProgramResult trained =
        run_fake_train({"--data", "synthetic:60", "--epochs", "20", "--validation", "test",
                        "--weights", folder_ / "w", "--json"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const auto test = read_lines(trained.out).back();
    EXPECT_EQ(test["event"], "test");
    EXPECT_GE(test["accuracy"], 0.9);
    const ProgramResult inferred =
        run_fake_infer({"--weights", folder_ / "w", "--data", "synthetic:60", "--json"});
    ASSERT_EQ(inferred.exit_code, 0) << inferred.err;
    EXPECT_EQ(nlohmann::json::parse(inferred.out)["loss"], test["loss"]);
    const ProgramResult train = run_fake_infer(
        {"--weights", folder_ / "w", "--data", "synthetic", "--part", "train", "--json"});
    EXPECT_EQ(nlohmann::json::parse(train.out)["pictures"], 512) << train.out;
}

TEST_F(TrainRunTest, TableOfEpochs) {
    const ProgramResult result = train({"--epochs", "2", "--validation", "0.2"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    std::istringstream lines(result.out);
    std::string header, first, second, rest;
    std::getline(lines, header), std::getline(lines, first), std::getline(lines, second);
    EXPECT_EQ(header,
              "epoch     loss   accuracy  valid. loss  valid. acc       rate     img/s    time");
    EXPECT_EQ(first.substr(0, 7), "    1  ");
    EXPECT_EQ(second.substr(0, 7), "    2  ");
    EXPECT_EQ(first.size(), header.size());
    EXPECT_FALSE(std::getline(lines, rest));
}

// A network that counts no correct answers has no accuracy of training, rather than one of 0.
TEST_F(TrainRunTest, WithoutACountThereIsNoAccuracy) {
    FakeNetwork network;
    network.heads = {};
    use_fake_network(network);
    const auto train_here = [this](std::vector<std::string> options) {
        options.insert(options.begin(), {"--data", folder_.path(), "--validation", "0.2"});
        return run_fake_train(std::move(options));
    };
    const std::string run = folder_ / "uncounted";
    const auto event =
        read_lines(train_here({"--epochs", "1", "--json", "--checkpoint", run}).out)[1];
    EXPECT_EQ(event["event"], "epoch");
    EXPECT_TRUE(event["accuracy"].is_null()) << event;
    EXPECT_TRUE(event["validation"]["accuracy"].is_number()) << event;
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", run, "--resume", "--epochs", "2", "--json"});
    EXPECT_TRUE(read_lines(resumed.out)[1]["accuracy"].is_null()) << resumed.out << resumed.err;
    const ProgramResult table = train_here({"--epochs", "1"});
    EXPECT_EQ(table.out.find(" 0.00 %"), std::string::npos) << table.out;
    EXPECT_NE(table.out.find("  -  "), std::string::npos) << table.out;
}

// Every classifier is shown by its name: in the rows of epochs and of the test, in JSON, and by the
// inference program. `b` takes every picture for the class 0, which is that of each third.
TEST_F(TrainRunTest, SeveralClassifiers) {
    FakeNetwork network;
    network.heads = {"a", "b"};
    use_fake_network(network);
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const std::vector<std::string> options{"--epochs", "20", "--validation", "test"};
    const ProgramResult table = train(options);
    ASSERT_EQ(table.exit_code, 0) << table.err;
    EXPECT_TRUE(
        table.out.starts_with("epoch     loss   accuracy          a          b  valid. "
                              "loss  valid. acc   valid. a   valid. b       rate"))
        << table.out;
    const std::string test = table.out.substr(table.out.find("test accuracy"));
    EXPECT_TRUE(test.starts_with("test accuracy 100.00 % (30 of 30), loss ")) << test;
    EXPECT_TRUE(test.ends_with(", a 100.00 %, b 33.33 %\n")) << test;

    auto json = options;
    json.insert(json.end(), {"--json", "--weights", folder_ / "w"});
    const auto lines = read_lines(train(json).out);
    const auto heads = [](double a, double b) { return nlohmann::json{{"a", a}, {"b", b}}; };
    EXPECT_EQ(lines[20]["accuracy"], 1.0) << lines[20];
    EXPECT_EQ(lines[20]["heads"], heads(1.0, 17.0 / 50)) << lines[20];
    EXPECT_EQ(lines[20]["validation"]["heads"], heads(1.0, 10.0 / 30)) << lines[20];
    EXPECT_TRUE(lines[20]["validation"]["loss"].is_number()) << lines[20];
    EXPECT_EQ(lines.back()["heads"], heads(1.0, 10.0 / 30)) << lines.back();
    const std::vector<std::string> set{"--weights", folder_ / "w", "--data", folder_.path()};
    const ProgramResult text = run_fake_infer(set);
    EXPECT_TRUE(text.out.ends_with(", a 100.00 %, b 33.33 %\n")) << text.out;
    auto set_json = set;
    set_json.push_back("--json");
    const auto inferred = nlohmann::json::parse(run_fake_infer(set_json).out);
    EXPECT_EQ(inferred["heads"], heads(1.0, 10.0 / 30)) << inferred;
}

// A classifier without a name is the one that decides; with a single one nothing is said twice.
TEST_F(TrainRunTest, TheUnnamedClassifierDecides) {
    FakeNetwork network;
    network.heads = {"", "b"};
    use_fake_network(network);
    const ProgramResult table = train({"--epochs", "20"});
    EXPECT_TRUE(table.out.starts_with("epoch     loss   accuracy          b       rate"))
        << table.out;
    EXPECT_NE(table.out.find("  100.00 %    34.00 %  "), std::string::npos) << table.out;
    network.heads = {"b"};
    use_fake_network(network);
    const auto lines = read_lines(train({"--epochs", "20", "--json"}).out);
    EXPECT_EQ(lines[20]["accuracy"], 1.0) << lines[20];
    EXPECT_FALSE(lines[20].contains("heads")) << lines[20];
}

// Wherever they stand among the outputs.
TEST(Heads, TheOneWithoutANameComesFirst) {
    emulsion_port ports[5]{};
    const char* names[] = {"a.correct", "loss", "correct", "b.correct", ".correct"};
    for (size_t i = 0; i < 5; i++) ports[i].name = names[i];
    emulsion_info info{};
    info.outputs = ports;
    info.output_count = 5;
    std::string found;
    for (const Head& head : find_heads(info, "correct"))
        found += concat(" ", quoted(head.name), " ", head.output);
    EXPECT_EQ(found, " '' 2 'a' 0 'b' 3");
    EXPECT_TRUE(find_heads(info, "probabilities").empty());
}

// An epoch goes on with the counts of its first part.
TEST_F(TrainRunTest, SeveralClassifiersAreResumed) {
    FakeNetwork network;
    network.heads = {"", "b"};
    use_fake_network(network);
    const std::vector<std::string> run{"--checkpoint", folder_ / "run", "--json"};
    auto first = run, second = run;
    first.insert(first.end(), {"--steps", "5"});
    second.insert(second.end(), {"--steps", "13", "--resume"});
    ASSERT_EQ(train(first).exit_code, 0);
    const ProgramResult resumed = train(second);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(read_lines(resumed.out)[1]["heads"]["b"], 17.0 / 50) << resumed.out;
}

// A label that a further classifier does not know is found in the data, before training.
TEST_F(TrainRunTest, LabelsAreThoseOfEveryClassifier) {
    FakeNetwork network;
    network.label_classes = 2;
    use_fake_network(network);
    const ProgramResult result = train({});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("2 classes"), std::string::npos) << result.err;
}

TEST_F(TrainRunTest, NoBarAndNoColourWithoutATerminal) {
    const ProgramResult result = train({});
    EXPECT_EQ((result.out + result.err).find('\x1b'), std::string::npos);
    EXPECT_EQ((result.out + result.err).find('\r'), std::string::npos);
}

TEST_F(TrainRunTest, QuietSaysNothing) {
    const ProgramResult result = train({"--quiet"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
    EXPECT_NE(result.out, "");
}

TEST_F(TrainRunTest, DryRunPrintsWhatIsUsedAndWritesNothing) {
    const ProgramResult result = train(
        {"--dry-run", "--steps", "5", "--schedule", "constant", "--checkpoint", folder_ / "run"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_FALSE(has_checkpoint(folder_ / "run"));
    EXPECT_NE(result.out.find("run        5 steps of 4 pictures, 13 an epoch, its last one of 2\n"),
              std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find("rate       constant at 0.1\n"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("  step 4  0.1\n"), std::string::npos) << result.out;
    const auto json = nlohmann::json::parse(train({"--dry-run", "--json"}).out);
    EXPECT_EQ(json["steps"], 26);
    EXPECT_EQ(json["learning_rates"][0]["rate"], 0.1f);
    EXPECT_EQ(json["bytes"]["parameters"], 16 * 16 * 4 + 16 * 4);
}

TEST_F(TrainRunTest, SmallerBatchThanCompiled) {
    const auto lines = read_lines(train({"--batch", "3", "--epochs", "1", "--json"}).out);
    EXPECT_EQ(lines[0]["steps_per_epoch"], 17);
    EXPECT_EQ(lines[1]["samples"], 50);
}

// What looks like a path is one, whatever $EMULSION_DATA holds.
TEST_F(TrainRunTest, PathsAreNoNames) {
    const TestFolder others;
    write_easy_set(others.path(), /*is_test=*/false, 20, 4, 4, 3);
    std::filesystem::create_directory(folder_ / "sub");
    std::filesystem::create_directory(others / "sub");
    write_easy_set(folder_ / "sub", /*is_test=*/false, 30, 4, 4, 3);
    write_easy_set(others / "sub", /*is_test=*/false, 40, 4, 4, 3);
    const auto pictures = [&](const std::string& data) -> int {
        const auto main = [&](int argc, char** argv) {
            setenv("EMULSION_DATA", others.path().c_str(), 1);
            if (chdir(folder_.path().c_str()) != 0) return 77;
            return emulsion_train_main(argc, argv, &fake_train_library(), &fake_infer_library(),
                                       fake_description().c_str());
        };
        const ProgramResult result =
            run_program(main, {"fake-train", "--data", data, "--dry-run", "--json"});
        EXPECT_EQ(result.exit_code, 0) << data << ": " << result.err;
        return read_lines(result.out)[0]["train_pictures"];
    };
    EXPECT_EQ(pictures("."), 50);
    EXPECT_EQ(pictures("./sub"), 30);
    EXPECT_EQ(pictures("sub/.."), 50);
    EXPECT_EQ(pictures("sub/"), 30);
    EXPECT_EQ(pictures("sub"), 40);
}

// Pictures without labels, or labels without pictures, are no missing test part.
// Files that are there but cannot be read are no missing part.
TEST_F(TrainRunTest, ATestPartOfLinksThatLeadNowhereIsRefused) {
    for (const char* name : {"t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"})
        std::filesystem::create_symlink("unmounted/" + std::string(name), folder_ / name);
    const ProgramResult result = train({});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err.find("error: " + folder_.path() + "/t10k-"), 0u) << result.err;
    EXPECT_NE(result.err.find("no such file"), std::string::npos) << result.err;
}

TEST_F(TrainRunTest, HalfATestPartIsRefused) {
    for (const char* missing : {"t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"}) {
        write_easy_set(folder_.path(), /*is_test=*/true, 10, 4, 4, 3);
        std::filesystem::remove(folder_ / missing);
        const ProgramResult result = train({});
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.err.find("error: " + folder_.path() + ": the folder holds none of " +
                                  missing + ", "),
                  0u)
            << result.err;
    }
}

}  // namespace
}  // namespace emulsion
