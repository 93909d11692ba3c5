// Whole runs of the trainer over the fake library: values by hand, part batches, validation,
// results, options.
#include <filesystem>

#include "runtime/data/checkpoint.h"
#include "runtime/data/split.h"
#include "runtime/support/error.h"
#include "runtime/train/run_data.h"
#include "runtime/train/session.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

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
    TrainingSession session(fake_train_library(), *fake_infer_library().info(), 1, Device{});
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

// Batches of 10 in parts of 4, 4 and 2, which make one update: as if they were computed at once,
// and after a resume, too.
TEST_F(TrainRunTest, BatchesInParts) {
    write_idx_set(folder_.path(), false, 1, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
                  std::vector<uint8_t>(13, 0));
    const auto run = [&](int compiled, const char* epochs, const char* folder, bool resumes) {
        use_fake_network(quadratic(compiled, 0.9f));
        std::vector<std::string> options{"--epochs", epochs,         "--batch",
                                         "10",       "--schedule",   "constant",
                                         "--json",   "--checkpoint", folder_ / folder};
        if (resumes) options.push_back("--resume");
        const ProgramResult result = train(options);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return result;
    };
    const auto at_once = read_lines(run(10, "3", "at_once", false).out);
    const auto in_parts = read_lines(run(4, "3", "parts", false).out);
    EXPECT_NEAR(read_weights(folder_ / "parts/weights.safetensors", "w")[0],
                read_weights(folder_ / "at_once/weights.safetensors", "w")[0], 1e-5);
    EXPECT_EQ(in_parts[0]["steps_per_epoch"], 2);
    EXPECT_EQ(in_parts[3]["step"], 6);
    EXPECT_EQ(in_parts[3]["samples"], 13);
    EXPECT_NEAR(in_parts[3]["loss"].get<double>(), at_once[3]["loss"].get<double>(), 1e-5);
    run(4, "1", "resumed", false);
    run(4, "3", "resumed", true);
    EXPECT_EQ(read_text(folder_ / "resumed/checkpoint"), read_text(folder_ / "parts/checkpoint"));
}

TEST_F(TrainRunTest, PartsHaveNoProfile) {
    const ProgramResult result = train({"--batch", "5", "--profile"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err,
              "error: --profile: measures steps of at most 4 pictures, but the run has batches of "
              "5\n  fix: leave the option out, or give a smaller --batch\n");
}

// The weights of w^2 / 2 are 0.9, 0.81, 0.729 after three steps: with a decay of 0.5 their average
// is 0.9, 0.855, 0.792. Weights, validation and test are of it; the training itself goes on
// without.
TEST_F(TrainRunTest, AveragedWeightsByHand) {
    FakeNetwork network = quadratic(1, 0.0f);
    use_fake_network(network);
    write_idx_set(folder_.path(), false, 1, 1, {0, 0, 0}, std::vector<uint8_t>(3, 0));
    const std::vector<std::string> run{"--schedule", "constant", "--learning-rate", "0.1",
                                       "--checkpoint"};
    auto first = run, second = run, whole = run;
    first.insert(first.end(), {folder_ / "run", "--steps", "2", "--ema", "0.5"});
    second.insert(second.end(), {folder_ / "run", "--steps", "3", "--resume"});
    whole.insert(whole.end(), {folder_ / "whole", "--steps", "3", "--ema", "0.5"});
    ASSERT_EQ(train(first).exit_code, 0);
    EXPECT_NEAR(read_weights(folder_ / "run/weights.safetensors", "w")[0], 0.855, 1e-6);
    ASSERT_EQ(train(second).exit_code, 0);
    ASSERT_EQ(train(whole).exit_code, 0);
    EXPECT_NEAR(read_weights(folder_ / "run/weights.safetensors", "w")[0], 0.792, 1e-6);
    for (const char* file : {"/checkpoint", "/weights.safetensors"})
        EXPECT_EQ(read_text(folder_ / "run" + file), read_text(folder_ / "whole" + file)) << file;
    auto other = second;
    other.insert(other.end(), {"--ema", "0.25"});
    EXPECT_EQ(
        train(other).err,
        "error: --ema: is 0.25, but the run of the checkpoint has 0.5\n  fix: leave the option "
        "out with --resume, or begin a new run in another folder\n");
    EXPECT_EQ(train({"--ema", "1"}).err,
              "error: --ema: '1' is not a number from 0.001 to 0.9999999\n  fix: write it with a "
              "decimal point, such as 0.05\n");
}

// Validation reads the parameters where the training has them, unless its library keeps them in
// other places: then it has a copy of what they are by then.
TEST_F(TrainRunTest, ParametersAreThereOnce) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const std::vector<std::string> run{"--epochs", "2", "--validation", "test", "--json"};
    fake_hooks().refuses_copies = true;
    const ProgramResult shared = train(run);
    ASSERT_EQ(shared.exit_code, 0) << shared.err;
    auto averaged = run;  // the average is looked at instead
    averaged.insert(averaged.end(), {"--ema", "0.5"});
    EXPECT_NE(train(averaged).exit_code, 0);
    FakeNetwork network;
    network.has_other_layout = true;
    use_fake_network(network);
    const ProgramResult copied = train(run);
    ASSERT_EQ(copied.exit_code, 0) << copied.err;
    const auto expected = read_lines(shared.out), lines = read_lines(copied.out);
    for (const size_t epoch : {1, 2})
        EXPECT_EQ(lines[epoch]["validation"], expected[epoch]["validation"]) << epoch;
    fake_hooks().refuses_copies = true;
    EXPECT_NE(train(run).exit_code, 0);
}

// Validation and test look at what is written.
TEST_F(TrainRunTest, AveragedWeightsAreLookedAt) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const ProgramResult trained = train({"--epochs", "1", "--validation", "test", "--weights",
                                         folder_ / "w", "--ema", "0.95", "--json"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const auto lines = read_lines(trained.out);
    const auto inferred = nlohmann::json::parse(
        run_fake_infer({"--weights", folder_ / "w", "--data", folder_.path(), "--json"}).out);
    EXPECT_EQ(lines[0]["ema"], 0.95);
    EXPECT_EQ(lines[1]["validation"]["loss"], inferred["loss"]);
    EXPECT_EQ(lines.back()["loss"], inferred["loss"]);
    const ProgramResult plain =
        train({"--epochs", "1", "--validation", "test", "--weights", folder_ / "plain", "--json"});
    EXPECT_EQ(read_lines(plain.out)[1]["loss"], lines[1]["loss"]);
    EXPECT_NE(read_lines(plain.out)[1]["validation"]["loss"], inferred["loss"]);
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
    DataRequest request;
    request.shape = {1, 4, 4};
    request.classes = 3;
    request.bytes = kTrain + kTest;
    EXPECT_EQ(open_run_data(settings, request).test->count(), 20u);
    try {
        request.bytes--;
        open_run_data(settings, request);
        FAIL() << "one byte too many";
    } catch (const RuntimeError& error) {
        EXPECT_EQ(error.where(), folder_ / "t10k-images-idx3-ubyte");
        EXPECT_EQ(error.problem(),
                  "20 pictures of 1x4x4 need more memory than 419 bytes, what is "
                  "left of three quarters of all memory");
    }
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

TEST_F(TrainRunTest, DryRunDrawsTheRates) {
    const std::string changes = R"({"schedule": {"kind": "linear", "warm_up": 2}})";
    const ProgramResult result = train({"--dry-run", "--steps", "10"}, changes);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("rate       linear from 0.1 to 0, behind a warm-up of 2 steps\n"),
              std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find("  step 1   0.05\n  step 2   0.1\n"), std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find("0.1 | **\n    |   *\n    |    *\n    |     *\n"
                              "    |*     **\n    |        *\n    |         *\n  0 |\n"),
              std::string::npos)
        << result.out;
}

// Weights that do not move have the same accuracy after every epoch: never better than the first.
TEST_F(TrainRunTest, PlateauLowersTheRateAndGoesOnWithIt) {
    const std::string changes =
        R"({"schedule": {"kind": "plateau", "gamma": 0.5, "patience": 1, "metric": "accuracy"}})";
    const std::vector<std::string> run{"--learning-rate", "1e-30", "--validation", "0.2", "--json"};
    const auto with = [&](std::vector<std::string> options, const char* folder) {
        options.insert(options.end(), run.begin(), run.end());
        options.insert(options.end(), {"--checkpoint", folder_ / folder});
        return train(options, changes);
    };
    const auto lines = read_lines(with({"--epochs", "6"}, "whole").out);
    const double parts[] = {1, 1, 1, 0.5, 0.5, 0.25};
    for (size_t i = 0; i < 6; i++) {
        EXPECT_EQ(lines[i + 1]["learning_rate"].get<float>(), static_cast<float>(1e-30 * parts[i]))
            << "epoch " << i + 1;
    }
    ASSERT_EQ(with({"--epochs", "4"}, "run").exit_code, 0);
    ASSERT_EQ(with({"--epochs", "6", "--resume"}, "run").exit_code, 0);
    EXPECT_EQ(read_text(folder_ / "run/checkpoint"), read_text(folder_ / "whole/checkpoint"));
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
