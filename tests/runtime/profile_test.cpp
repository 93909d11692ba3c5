// `--profile` of both programs over the fake library: which calls count, what the file holds, the
// table, refusals with their whole message; and the machine's rates.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "runtime/program/profile.h"
#include "runtime/support/path.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

class ProfileTest : public testing::Test {
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
    const std::string file_ = folder_ / "p.json";
};

void expect_machine(const nlohmann::json& machine) {
    EXPECT_GT(machine["peak"].get<double>(), 1e9);
    ASSERT_EQ(machine["bandwidth"].size(), 6u);
    uint64_t bytes = 256 << 10;
    for (const auto& entry : machine["bandwidth"]) {
        EXPECT_EQ(entry["bytes"], bytes);
        EXPECT_GT(entry["read"].get<double>(), 1e8);
        EXPECT_GT(entry["write"].get<double>(), 1e8);
        bytes *= 4;
    }
}

// 50 pictures in batches of 4: the first step is warm-up, the last of an epoch holds 2.
TEST_F(ProfileTest, TrainerWritesTheFile) {
    const ProgramResult result = train({"--steps", "14", "--profile=" + file_});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(
        result.err.find("profile written to " + file_ +
                        "; emulsion show MODEL --emit=roofline --profile=" + file_ + " reads it\n"),
        std::string::npos)
        << result.err;
    const auto json = nlohmann::json::parse(read_text(file_));
    EXPECT_EQ(json["format"], "emulsion-profile");
    EXPECT_EQ(json["format_version"], 1);
    EXPECT_EQ(json["network"], "fake");
    EXPECT_EQ(json["signature"], "0123456789abcdef");
    EXPECT_EQ(json["mode"], "training");
    EXPECT_EQ(json["variant"], can_run("avx2") ? "avx2" : "x86-64");
    EXPECT_EQ(json["threads"], 1);
    expect_machine(json["machine"]);
    ASSERT_EQ(json["calls"].size(), 1u);
    const auto& call = json["calls"][0];
    EXPECT_EQ(call["batch"], 4);
    EXPECT_EQ(call["samples"], 4);
    EXPECT_EQ(call["warm_up"], 1);
    EXPECT_EQ(call["measured"], 12);
    EXPECT_GT(call["seconds"].get<double>(), 0);
    const auto kernels = nlohmann::json::parse(
        R"([{"name": "fake dense", "seconds": 8e-6}, {"name": "fake softmax", "seconds": 1e-6}])");
    EXPECT_EQ(call["kernels"], kernels);
}

TEST_F(ProfileTest, TrainerProfilesTheBatchAskedFor) {
    ASSERT_EQ(train({"--batch", "2", "--epochs", "1", "--profile=" + file_}).exit_code, 0);
    const auto call = nlohmann::json::parse(read_text(file_))["calls"][0];
    EXPECT_EQ(call["batch"], 4);
    EXPECT_EQ(call["samples"], 2);
    EXPECT_EQ(call["measured"], 24);
    EXPECT_EQ(call["kernels"][0]["seconds"], 4e-6);
}

TEST_F(ProfileTest, TrainerPrintsTheTable) {
    const ProgramResult result = train({"--steps", "3", "--profile", "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::string table =
        "us a call    share  kernel\n"
        "     8.00   88.9 %  fake dense\n"
        "     1.00   11.1 %  fake softmax\n"
        "     9.00  100.0 %  all kernels, medians of 2 calls with 4 pictures\n";
    EXPECT_NE(result.out.find(table), std::string::npos) << result.out;
    const ProgramResult json = train({"--steps", "3", "--profile", "--json", "--quiet"});
    EXPECT_NE(json.out.find("{\"event\":\"kernel\",\"kernel\":1,\"samples\":4,\"microseconds\":1."),
              std::string::npos)
        << json.out;
}

// A run of warm-up alone says so, and ends like any other.
TEST_F(ProfileTest, TrainerWithoutAStepToMeasure) {
    write_easy_set(folder_.path(), /*is_test=*/true, 10, 4, 4, 3);
    const ProgramResult result =
        train({"--steps", "1", "--profile=" + file_, "--weights", folder_ / "w"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_NE(result.err.find("note: --profile: the run had no step of 4 pictures after the first "
                              "1, so nothing was measured\n"),
              std::string::npos)
        << result.err;
    EXPECT_NE(result.out.find("test accuracy "), std::string::npos) << result.out;
    EXPECT_FALSE(is_file(file_));
    EXPECT_NE(read_text(folder_ / "w"), "");
}

TEST_F(ProfileTest, TrainerKeepsTheExitCodeOfASignal) {
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 1;
    const ProgramResult result = train({"--profile=" + file_, "--checkpoint", folder_ / "run"});
    EXPECT_EQ(result.exit_code, 143) << result.err;
}

TEST_F(ProfileTest, TrainerRefusesAFolderThatIsNotThere) {
    const std::string file = folder_ / "none/p.json";
    const ProgramResult result = train({"--steps", "2", "--quiet", "--profile=" + file});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "error: --profile " + file +
                              ": cannot write the file: no such file or folder\n"
                              "  fix: check the path\n");
}

// Found out before anything is measured.
TEST_F(ProfileTest, InferenceRefusesAFolder) {
    const ProgramResult result = run_fake_infer({"--profile=" + folder_.path(), "--benchmark"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "error: " + folder_.path() +
                              ": cannot write the file: it is a folder\n"
                              "  fix: choose another path\n");
}

TEST_F(ProfileTest, InferenceWritesEveryBatch) {
    FakeNetwork network;
    network.infer_batch = 2;
    use_fake_network(network);
    const std::string trace = folder_ / "t.json";
    const ProgramResult result =
        run_fake_infer({"--profile=" + file_, "--trace", trace, "--threads", "1"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    const auto json = nlohmann::json::parse(read_text(file_));
    EXPECT_EQ(json["mode"], "inference");
    const auto& call = json["calls"][0];
    EXPECT_EQ(call["batch"], 2);
    EXPECT_EQ(call["samples"], 2);
    EXPECT_EQ(call["warm_up"], 5);
    EXPECT_GE(call["measured"], 10);
    EXPECT_EQ(call["kernels"][1]["seconds"], 1e-6);
    EXPECT_NE(result.err.find("trace of 20 calls written to " + trace), std::string::npos)
        << result.err;
    EXPECT_EQ(nlohmann::json::parse(read_text(trace))["traceEvents"][3]["name"],
              "run of 2 samples");
}

// The median of calls that count: others, however slow, change nothing.
TEST(KernelProfile, CountsFullCallsAfterTheWarmUp) {
    use_fake_network({});
    const emulsion_info& info = *fake_train_library().info();
    KernelProfile profile(info);
    profile.start(/*batch=*/4, /*samples=*/4, /*warm_up=*/1);
    const auto call = [&](int samples, double seconds) {
        profile.begin_call();
        KernelProfile::record(&profile, 1, seconds);
        profile.end_call(samples);
    };
    call(4, 9.0), call(4, 1.0), call(3, 8.0), call(4, 3.0), call(4, 2.0), call(4, 2.5);
    const CallProfile result = profile.result();
    EXPECT_EQ(result.calls, 4);
    ASSERT_EQ(result.kernels.size(), 1u);
    EXPECT_EQ(result.kernels[0].kernel, 1);
    EXPECT_FLOAT_EQ(static_cast<float>(result.kernels[0].seconds), 2.25f);
    profile.start(4, 4, 0);
    EXPECT_EQ(profile.result().calls, 0);
    EXPECT_TRUE(profile.result().kernels.empty());
}

// Wider vectors do more, and no memory is faster than the first cache.
TEST(MachineSpeed, IsPlausible) {
    EXPECT_TRUE(can_run("x86-64"));
    EXPECT_FALSE(can_run("mmx"));
    double plain = 0.0, wide = 0.0;
    for (int i = 0; i < 5; i++) {
        plain = std::max(plain, measure_peak("x86-64", 1));
        if (can_run("avx2")) wide = std::max(wide, measure_peak("avx2", 1));
    }
    EXPECT_GT(plain, 1e9);
    EXPECT_TRUE(wide > 1.2 * plain || !can_run("avx2")) << plain << " " << wide;
    const Bandwidth small = measure_bandwidth("x86-64", 1, 16 << 10);
    const Bandwidth odd = measure_bandwidth("x86-64", 3, 100'001);
    EXPECT_EQ(small.bytes, 16u << 10);
    EXPECT_GT(small.read, 1e9);
    EXPECT_GT(odd.write, 1e8);
}

}  // namespace
}  // namespace emulsion
