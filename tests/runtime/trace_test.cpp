// `--trace` of the trainer over the fake library (profile_test.cpp has that of inference): which
// calls are traced, and the whole text of the file. Of real programs, check_trace.py reads it.
#include "runtime/program/trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/program/profile.h"
#include "runtime/support/path.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

using Json = nlohmann::json;

// Those of the row 1 are calls, those of the row 2 their kernels.
std::vector<Json> events_of_row(const Json& trace, int row) {
    std::vector<Json> events;
    for (const Json& event : trace["traceEvents"]) {
        if (event["ph"] == "X" && event["tid"] == row) events.push_back(event);
    }
    return events;
}

TEST(Trace, IsTheTextThatPerfettoReads) {
    use_fake_network({});
    const std::vector<TracedCall> calls{{4, 4, 1'000'000, 1'020'500, {{0, 1'001'000, 1'009'000}}},
                                        {4, 1, 1'030'000, 1'040'000, {}}};
    ProfileFacts facts{fake_train_library().info(), "training", "avx2", 2, {}};
    const std::string head =
        "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
        R"({"ph":"M","name":"process_name","pid":1,"tid":1,"args":{"name":"fake, training"}},)"
        "\n"
        R"({"ph":"M","name":"thread_name","pid":1,"tid":1,"args":{"name":"calls"}},)"
        "\n"
        R"({"ph":"M","name":"thread_name","pid":1,"tid":2,)";
    EXPECT_EQ(trace_json(facts, calls),
              head + R"("args":{"name":"kernels on avx2, 2 threads"}},)"
                     "\n"
                     R"({"ph":"X","name":"step of 4 samples","pid":1,"tid":1,"ts":0.0,"dur":20.5,)"
                     R"("args":{"batch":4,"kernels_us":8.0,"between_us":12.5}},)"
                     "\n"
                     R"({"ph":"X","name":"fake dense","pid":1,"tid":2,"ts":1.0,"dur":8.0,)"
                     R"("args":{"kernel":0}},)"
                     "\n"
                     R"({"ph":"X","name":"step of 1 sample","pid":1,"tid":1,"ts":30.0,"dur":10.0,)"
                     R"("args":{"batch":4,"kernels_us":0.0,"between_us":10.0}})"
                     "\n]}\n");
    facts.variant = "opencl", facts.device.option = "opencl:1", facts.device.interface = "opencl",
    facts.mode = "inference";
    const Json there = Json::parse(trace_json(facts, calls));
    EXPECT_EQ(there["traceEvents"][2]["args"]["name"], "launches on opencl:1");
    EXPECT_EQ(there["traceEvents"][3]["name"], "run of 4 samples");
}

// Of each start the first calls behind the warm-up with all samples; what is measured outside of
// calls is not traced.
TEST(Trace, HoldsTheFirstCallsThatCount) {
    use_fake_network({});
    KernelProfile profile(*fake_train_library().info());
    KernelProfile::record(&profile, 0, 1.0);
    const auto call = [&](int samples) {
        profile.begin_call();
        KernelProfile::record(&profile, 0, 0.0);
        KernelProfile::record(&profile, 1, 0.0);
        profile.end_call(samples);
    };
    profile.start(/*batch=*/4, /*samples=*/4, /*warm_up=*/2);
    for (int i = 0; i < 30; i++) call(4), call(3);
    EXPECT_EQ(profile.result().calls, 28);
    EXPECT_EQ(profile.trace().size(), KernelProfile::kMostTraced);
    profile.start(8, 8, 0);
    for (int i = 0; i < 3; i++) call(8);
    ASSERT_EQ(profile.trace().size(), KernelProfile::kMostTraced + 3);
    EXPECT_EQ(profile.trace().back().batch, 8);
    int64_t end = 0;
    for (const TracedCall& traced : profile.trace()) {
        EXPECT_LE(end, traced.begin);
        end = traced.begin;
        ASSERT_EQ(traced.kernels.size(), 2u);
        for (const TracedKernel& kernel : traced.kernels) {
            EXPECT_LE(end, kernel.begin);
            EXPECT_LE(kernel.begin, kernel.end);
            end = kernel.end;
        }
        EXPECT_LE(end, traced.end);
        end = traced.end;
    }
}

class TraceTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(folder_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    ProgramResult train(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--data", folder_.path(), "--threads", "1"});
        return run_fake_train(std::move(arguments));
    }

    TestFolder folder_;
    const std::string file_ = folder_ / "t.json";
};

// 50 pictures in batches of 4: the first step is warm-up, the last of an epoch holds 2.
TEST_F(TraceTest, OfTheTrainer) {
    const ProgramResult result = train({"--steps", "14", "--trace", file_});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(
        result.err.find("trace of 12 calls written to " + file_ + "; ui.perfetto.dev opens it\n"),
        std::string::npos)
        << result.err;
    EXPECT_EQ(result.err.find("profile"), std::string::npos) << result.err;
    EXPECT_EQ(result.out.find("us a call"), std::string::npos) << result.out;
    const Json trace = Json::parse(read_text(file_));
    EXPECT_EQ(events_of_row(trace, 1).size(), 12u);
    EXPECT_EQ(events_of_row(trace, 2).size(), 24u);
}

TEST_F(TraceTest, BesideAProfile) {
    const ProgramResult result = train({"--steps", "30", "--trace", file_, "--profile"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("all kernels, medians of 27 calls with 4 pictures\n"),
              std::string::npos)
        << result.out;
    EXPECT_EQ(events_of_row(Json::parse(read_text(file_)), 1).size(), 20u);
}

TEST_F(TraceTest, WithoutAStepToTrace) {
    const ProgramResult result = train({"--steps", "1", "--trace", file_});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.err.find("note: --trace: the run had no step of 4 pictures after the first "
                              "1, so nothing was measured\n"),
              std::string::npos)
        << result.err;
    EXPECT_FALSE(is_file(file_));
}

// Found out before anything is measured.
TEST_F(TraceTest, PlacesThatAreRefused) {
    const ProgramResult nowhere = train({"--steps", "2", "--quiet", "--trace", folder_ / "no/t"});
    EXPECT_EQ(nowhere.exit_code, 1);
    EXPECT_EQ(nowhere.err, "error: --trace " + (folder_ / "no/t") +
                               ": cannot write the file: no such file or folder\n"
                               "  fix: check the path\n");
    const ProgramResult double_place =
        run_fake_infer({"--profile=" + file_, "--trace", folder_ / "./t.json"});
    EXPECT_EQ(double_place.exit_code, 1);
    EXPECT_EQ(double_place.err, "error: --trace " + (folder_ / "./t.json") +
                                    ": is the place of the profile\n"
                                    "  fix: choose another one for --trace\n");
    EXPECT_FALSE(is_file(file_));
}

}  // namespace
}  // namespace emulsion
