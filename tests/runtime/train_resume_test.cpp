// --resume: what a checkpoint may say, and what the command line may change.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "runtime/data/checkpoint.h"
#include "runtime/support/limits.h"
#include "runtime/train/run.h"
#include "runtime/train/session.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

class TrainResumeTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    // A run of 13 steps an epoch that stands before step 16.
    void begin_run(const std::vector<std::string>& more = {}) {
        std::vector<std::string> options{"--data",  data_.path(), "--checkpoint", run_,
                                         "--steps", "15",         "--quiet",      "--overwrite"};
        options.insert(options.end(), more.begin(), more.end());
        ASSERT_EQ(run_fake_train(options).exit_code, 0);
    }
    ProgramResult resume(std::vector<std::string> options = {}) {
        options.insert(options.begin(), {"--checkpoint", run_, "--resume"});
        return run_fake_train(std::move(options));
    }
    // Writes the checkpoint anew, whole but for what `change` does.
    void forge(const std::function<void(RunPosition&, Json&)>& change) {
        TrainingSession session(fake_train_library(), *fake_infer_library().info(), 1, Device{});
        RunPosition position =
            load_checkpoint(run_, session.info(), session.sizes(), session.memory());
        Json json = Json::parse(position.metrics);
        change(position, json);
        position.metrics = json.dump();
        save_checkpoint(run_, session.info(), session.sizes(), session.memory(), position);
    }

    TestFolder data_, runs_;
    const std::string run_ = runs_ / "run";
};

TEST_F(TrainResumeTest, WhatNoRunWritesIsRefused) {
    struct Case {
        std::function<void(RunPosition&, Json&)> change;
        const char* problem;
    };
    const Case cases[] = {
        {[](auto&, Json& json) { json["settings"]["batch"] = 0; },
         "its field 'settings.batch' is 0, not a number from 1 to 2147483647"},
        {[](auto&, Json& json) { json["settings"]["batch"] = 4294967300; },
         "its field 'settings.batch' is 4294967300, not a number from 1 to 2147483647"},
        {[](auto&, Json& json) { json["settings"]["epochs"] = -3; },
         "its field 'settings.epochs' is -3, not a number from 1 to 100000"},
        {[](auto&, Json& json) { json["settings"]["steps"] = 1e300; },
         "its field 'settings.steps' is 1e+300, not a number from 0 to 1000000000000"},
        {[](auto&, Json& json) { json["settings"]["data"] = 5; },
         "its field 'settings.data' is 5, not a text"},
        {[](auto&, Json& json) { json["settings"]["schedule"]["kind"] = "square"; },
         "names an unknown schedule 'square'"},
        {[](auto&, Json& json) { json["settings"]["schedule"]["at"] = {1, "b"}; },
         "its field 'settings.schedule.at[1]' is \"b\", not a number"},
        {[](auto&, Json& json) { json["settings"]["schedule"]["metric"] = "speed"; },
         "names an unknown metric 'speed'"},
        {[](auto&, Json& json) { json["settings"]["schedule"]["step_size"] = 0; },
         "its field 'settings.schedule.step_size' is 0, not a number from 1 to "
         "9223372036854775807"},
        {[](auto&, Json& json) { json["settings"]["schedule"]["base"] = -0.5; },
         "its field 'settings.schedule.base' is -0.5, not a number from 0 to 3e+38"},
        {[](auto&, Json& json) { json["settings"].erase("seed"); },
         "its field 'settings.seed' is missing"},
        {[](auto&, Json& json) { json["settings"]["seed"] = 7; }, "it names the seeds 1 and 7"},
        {[](auto&, Json& json) { json["sums"]["samples"] = 3; },
         "its sums are over 3 pictures, but its epoch has trained on 8"},
        {[](auto&, Json& json) { json["sums"]["heads"] = {{{"name", "b"}, {"correct", 1}}}; },
         "its sums are of the further classifiers 'b', but this program has none"},
        {[](auto&, Json& json) { json["history"][0]["metrics"]["heads"] = 5; },
         "its field 'history[0].metrics.heads' is 5, not a list"},
        {[](auto&, Json& json) { json["history"].clear(); },
         "it stands in epoch 1, counted from 0, but tells of 0 finished ones"},
        {[](auto&, Json& json) { json["history"][0]["epoch"] = 9; }, "its epoch 1 is numbered 9"},
        {[](auto&, Json& json) { json["part"]["epoch"] = 1; },
         "its part of an epoch is of epoch 1 and 8 pictures, but it stands in epoch 2 after 8"},
        {[](auto&, Json& json) { json["part"]["metrics"]["samples"] = 7; },
         "its part of an epoch is of epoch 2 and 7 pictures, but it stands in epoch 2 after 8"},
        {[](auto&, Json& json) { json["history"][0]["metrics"]["loss_sum"] = nullptr; },
         "its field 'history[0].metrics.loss_sum' is null, not a number from "},
        {[](auto&, Json& json) { json = Json::array(); }, "its field 'settings' is missing"},
    };
    for (const auto& [change, problem] : cases) {
        begin_run();
        forge(change);
        const ProgramResult result = resume();
        EXPECT_EQ(result.exit_code, 1) << problem << result.signal;
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err.find("error: " + run_ + "/checkpoint: " + problem), 0u) << result.err;
        EXPECT_NE(result.err.find("\n  fix: "), std::string::npos) << result.err;
    }
}

// A batch beyond the epoch.
TEST_F(TrainResumeTest, PlaceOutsideTheEpochIsRefused) {
    begin_run();
    forge([](RunPosition& position, Json&) { position.batch = 1000000; });
    const ProgramResult result = resume();
    EXPECT_EQ(result.exit_code, 1) << result.signal;
    EXPECT_EQ(result.err.find("error: " + run_ + "/checkpoint: "), 0u) << result.err;
    EXPECT_NE(result.err.find("1000000"), std::string::npos) << result.err;
}

TEST_F(TrainResumeTest, ProgramForASmallerBatch) {
    begin_run();
    FakeNetwork network;
    network.batch = 2;
    use_fake_network(network);
    const ProgramResult result = resume();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err,
              "error: " + run_ +
                  "/checkpoint: its run trains with batches of 4 pictures, but this program is "
                  "compiled for at most 2\n"
                  "  fix: build the program with --batch 4 to resume this run\n");
}

TEST_F(TrainResumeTest, ProgramWithOtherParts) {
    FakeNetwork network;
    network.batch = 2;
    use_fake_network(network);
    begin_run({"--batch", "4"});
    EXPECT_EQ(resume().exit_code, 0);
    use_fake_network(FakeNetwork());
    EXPECT_EQ(resume().err,
              "error: " + run_ +
                  "/checkpoint: its run computes a batch in parts of 2 pictures, but this program "
                  "in parts of 4\n"
                  "  fix: build the program with --batch 2 to resume this run\n");
}

// The same graph made with something else: another normalisation of the input, other classes,
// another optimiser. Neither a run goes on with it, nor are its weights taken; both values are
// named.
TEST_F(TrainResumeTest, AProgramMadeWithSomethingElse) {
    FakeNetwork network;
    network.is_normalized = true, network.mean = 0.5f, network.deviation = 0.25f;
    network.class_names = {"boot", "coat", "dress"};
    network.optimizer = "sgd learning_rate=0.1 momentum=0.9";
    use_fake_network(network);
    begin_run();
    FakeNetwork other = network;
    other.mean = 0.125f;
    const auto expect_both = [](const ProgramResult& result, const char* stored, const char* own) {
        EXPECT_EQ(result.exit_code, 1) << result.err;
        EXPECT_EQ(result.out, "");
        EXPECT_NE(result.err.find(stored), std::string::npos) << result.err;
        EXPECT_NE(result.err.find(own), std::string::npos) << result.err;
    };
    const auto infer = [&] {
        return run_fake_infer({"--weights", run_ + "/weights.safetensors", "--data", data_.path(),
                               "--part", "train"});
    };
    use_fake_network(other);
    expect_both(resume(), "0.5", "0.125");
    expect_both(infer(), "0.5", "0.125");
    other = network;
    other.class_names = {"dress", "coat", "boot"};
    use_fake_network(other);
    expect_both(resume(), "boot", "dress");
    expect_both(infer(), "boot", "dress");
    other = network;
    other.optimizer = "sgd learning_rate=0.1 momentum=0.5";
    use_fake_network(other);
    expect_both(resume(), "momentum=0.9", "momentum=0.5");
    EXPECT_EQ(infer().exit_code, 0);
    use_fake_network(network);
    EXPECT_EQ(resume().exit_code, 0);
}

// A position is read back as it was written, its history and validation included.
TEST_F(TrainResumeTest, PositionsAreReadBack) {
    RunState state;
    state.settings.data = "a \"set\"";
    state.settings.schedule = {
        ScheduleKind::kStep, 0.1, 0.01, 77, -0.5, {3, 9}, 1.5, 2, 0.25, 0.5, 0.75, 4, 5, 1e-3};
    state.settings.schedule.metric = ScheduleMetric::kAccuracy;
    state.settings.schedule.warm_up = 6, state.settings.schedule.warm_up_epochs = 7;
    state.settings.schedule.in_epochs = true;
    state.settings.validation = "0.1";
    state.settings.seed = INT64_MAX;
    state.data_samples = 10, state.data_checksum = UINT32_MAX;
    state.epoch = 1, state.batch = 2, state.step = 5;
    state.sums.add(0.1, std::vector<HeadCount>{{"", 3}, {"b", 2}, {"c", 1}}, 8);
    state.history.resize(1);
    state.history[0].epoch = 1;
    state.history[0].learning_rate = 0.05f;
    state.history[0].validation =
        Evaluation{{1.5, 2.0, 3, {{"b", 1}}}, /*has_loss=*/true, /*counts_pixels=*/false, 1};
    const RunPosition position = to_position(state);
    const RunState found = from_position(position, "checkpoint");
    EXPECT_EQ(to_position(found).metrics, position.metrics);
    EXPECT_EQ(found.settings.schedule, state.settings.schedule);
    EXPECT_EQ(found.settings.seed, uint64_t(INT64_MAX));
    EXPECT_EQ(found.history[0].validation->not_finite, 1);
    EXPECT_EQ(found.sums.loss_sum, state.sums.loss_sum);
    ASSERT_EQ(found.sums.heads.size(), 2u);
    EXPECT_EQ(found.sums.heads[1].name, "c");
    EXPECT_EQ(found.sums.heads[0].correct, 2);
    EXPECT_EQ(found.history[0].validation->metrics.heads.size(), 1u);
}

// The longest history that a run can have fits into a checkpoint that is read, with two further
// classifiers too. (Of far more of them a run that long is refused when it is saved.)
TEST_F(TrainResumeTest, ThereIsRoomForTheLongestHistory) {
    const Metrics longest{-1.2345678901234567e-300,
                          1234567890123456768.0,
                          INT64_MAX / 2,
                          {{"first", 1e9}, {"second", 1e9}}};
    EpochRecord record;
    record.epoch = kMostEpochs;
    record.metrics = longest;
    record.learning_rate = 1.2345678e-38f;
    record.validation = Evaluation{.metrics = longest, .not_finite = INT64_MAX / 2};
    RunState state;
    state.history.assign(1000, record);
    const uint64_t each = to_position(state).metrics.size() / state.history.size();
    EXPECT_GT(each, 200u);
    EXPECT_LT(each * kMostEpochs + kMebi, kMostCheckpointHead);
    const ProgramResult result =
        run_fake_train({"--data", data_.path(), "--steps", "1300001", "--quiet"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err,
              "error: --steps: 1300001 steps of 13 an epoch are 100001 epochs; a run has at most "
              "100000\n  fix: give at most 1300000\n");
}

// Another length is another cosine, and that is said with both rates.
TEST_F(TrainResumeTest, AnotherLengthIsAnotherCosine) {
    begin_run();
    const ProgramResult longer = resume({"--steps", "30"});
    EXPECT_EQ(longer.exit_code, 0);
    EXPECT_NE(longer.err.find("note: the run now has 30 steps instead of 15, and the cosine "
                              "schedule spans all of them: the rate goes from 0.001092"),
              std::string::npos)
        << longer.err;
    EXPECT_NE(longer.err.find(" in step 15 to 0.05 in step 16\n"), std::string::npos) << longer.err;
    EXPECT_EQ(resume({"--steps", "30"}).err.find("note: the run now"), std::string::npos);
}

TEST_F(TrainResumeTest, LessThanIsDoneIsRefused) {
    begin_run();
    for (auto [option, value, steps] :
         {std::tuple("--epochs", "1", "13"), std::tuple("--steps", "14", "14")}) {
        const ProgramResult result = resume({option, value});
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.err, std::string("error: ") + option + ": is " + value + ", which is " +
                                  steps +
                                  " steps in all, but the run of the checkpoint has done 15\n"
                                  "  fix: give more, or leave the option out\n");
    }
    EXPECT_EQ(resume({"--steps", "15"}).exit_code, 0);
}

}  // namespace
}  // namespace emulsion
