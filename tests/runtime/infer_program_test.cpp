// The inference program over the fake library: classes, tables, JSON, data sets, refusals with
// their whole message.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/data/picture.h"
#include "runtime/data/weights.h"
#include "runtime/program/evaluate.h"
#include "tests/support/comma_locale.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

FakeNetwork clothes() {
    FakeNetwork network;
    network.class_names = {"shirt", "Ankle boot", "T-shirt/top"};
    network.infer_batch = 2;
    return network;
}

class InferTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network(clothes());
        write_easy_set(folder_.path(), /*is_test=*/false, 60, 4, 4, 3);
        write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
        const ProgramResult trained = run_fake_train(
            {"--data", folder_.path(), "--epochs", "10", "--weights", weights_, "--quiet"});
        ASSERT_EQ(trained.exit_code, 0) << trained.err;
    }

    // A picture that lights up the pixels of a class.
    std::string write_picture(const std::string& name, int label, int height = 4, int width = 4) {
        Picture picture{{1, height, width}, {}};
        for (int i = 0; i < height * width; i++)
            picture.pixels.push_back(i % 3 == label ? 200 : 10);
        write_png(folder_ / name, picture);
        return folder_ / name;
    }

    ProgramResult infer(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--weights", weights_});
        return run_fake_infer(std::move(arguments));
    }

    void expect_failure(const ProgramResult& result, int code, const std::string& message) {
        EXPECT_EQ(result.exit_code, code);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err, message);
    }

    TestFolder folder_;
    const std::string weights_ = folder_ / "w.safetensors";
};

TEST_F(InferTest, TableOfPictures) {
    const std::string boot = write_picture("boot.png", 1), top = write_picture("top.png", 2);
    const ProgramResult result = infer({boot, top, "--top", "2"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    std::istringstream lines(result.out);
    std::string header, first, second, rest;
    std::getline(lines, header), std::getline(lines, first), std::getline(lines, second);
    EXPECT_TRUE(header.starts_with("picture ")) << header;
    EXPECT_NE(header.find("  class        probability  then"), std::string::npos) << header;
    EXPECT_TRUE(first.starts_with(boot + "  Ankle boot ")) << first;
    EXPECT_NE(first.find(" %  "), std::string::npos) << first;
    EXPECT_TRUE(second.starts_with(top + "   T-shirt/top ")) << second;
    EXPECT_FALSE(std::getline(lines, rest));
}

TEST_F(InferTest, JsonHasEveryClassAskedFor) {
    const ProgramResult result = infer({write_picture("boot.png", 1), "--json", "--top", "3"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["class"], "Ankle boot");
    EXPECT_EQ(json["index"], 1);
    double sum = 0.0, last = 1.0;
    for (const auto& entry : json["top"]) {
        const double probability = entry["probability"].get<double>();
        EXPECT_LE(probability, last);
        sum += probability, last = probability;
    }
    EXPECT_EQ(json["top"].size(), 3u);
    EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST_F(InferTest, ScoresThatAreNoProbabilitiesAreCalledScores) {
    FakeNetwork network = clothes();
    network.score_name = "scores";
    use_fake_network(network);
    const ProgramResult result = infer({write_picture("boot.png", 1)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find(" score "), std::string::npos) << result.out;
    EXPECT_EQ(result.out.find('%'), std::string::npos) << result.out;
}

// The scores of the only named classifier are as good as those of one without a name.
TEST_F(InferTest, ProbabilitiesOfANamedClassifier) {
    FakeNetwork network = clothes();
    network.score_name = "main.probabilities";
    use_fake_network(network);
    const ProgramResult result = infer({write_picture("boot.png", 1)});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find(" probability "), std::string::npos) << result.out;
}

TEST_F(InferTest, AProfileNeverReplacesTheWeights) {
    const std::string path = folder_ / "./w.safetensors";
    expect_failure(infer({"--profile=" + path}), 1,
                   "error: --profile " + path +
                       ": is the place of the weights\n  fix: choose another one for --profile\n");
    const std::string beside = folder_ / "v.tmp";
    std::filesystem::copy(weights_, beside);
    EXPECT_EQ(run_fake_infer({"--weights", beside, "--profile=" + (folder_ / "v")}).exit_code, 1);
    EXPECT_EQ(read_text(beside), read_text(weights_));
    EXPECT_EQ(infer({"--data", folder_.path()}).exit_code, 0);
}

// Results that nobody gets are a failure, whatever was asked for.
TEST_F(InferTest, LostResultsAreAFailure) {
    const std::string boot = write_picture("boot.png", 1);
    const std::vector<std::vector<std::string>> forms{
        {"--weights", weights_, boot},
        {"--weights", weights_, boot, "--json"},
        {"--weights", weights_, "--data", folder_.path()},
        {"--data", folder_.path(), "--write-pictures", folder_ / "pictures"},
        {"--help"},
        {"--version"},
    };
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    for (const auto& form : forms) {
        for (int out : {full, ProgramStreams::kClosed}) {
            const ProgramResult result = start_fake_infer(form, {.out = out})->wait();
            EXPECT_EQ(result.exit_code, 1) << form.back();
            EXPECT_EQ(result.err,
                      std::string("error: standard output: cannot be written: ") +
                          (out == full ? "No space left on device" : "Bad file descriptor") +
                          "\n  fix: free space on the disk it goes to, or send it "
                          "elsewhere\n");
        }
    }
    close(full);
}

TEST_F(InferTest, AccuracyOfADataSet) {
    const ProgramResult result = infer({"--data", folder_.path()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with("accuracy 100.00 % (30 of 30), loss ")) << result.out;
    const ProgramResult train = infer({"--data", folder_.path(), "--part", "train"});
    EXPECT_TRUE(train.out.starts_with("accuracy 100.00 % (60 of 60), loss ")) << train.out;
}

TEST_F(InferTest, FirstPicturesOfADataSetWithTheirLabels) {
    const ProgramResult result = infer({"--data", folder_.path(), "--take", "3", "--top", "1"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::istringstream lines(result.out);
    std::vector<std::string> rows;
    for (std::string line; std::getline(lines, line);) rows.push_back(line);
    ASSERT_EQ(rows.size(), 5u) << result.out;
    EXPECT_TRUE(rows[0].ends_with("  label")) << rows[0];
    EXPECT_TRUE(rows[1].ends_with("  shirt")) << rows[1];
    EXPECT_TRUE(rows[2].ends_with("  Ankle boot")) << rows[2];
    EXPECT_TRUE(rows[4].starts_with("accuracy 100.00 % (3 of 3), loss ")) << rows[4];
}

TEST_F(InferTest, IdxFilesWithAndWithoutLabels) {
    const std::string images = folder_ / "t10k-images-idx3-ubyte",
                      labels = folder_ / "t10k-labels-idx1-ubyte";
    const ProgramResult known = infer({"--idx", images, "--labels", labels});
    EXPECT_EQ(known.out, infer({"--data", folder_.path()}).out);
    const ProgramResult unknown = infer({"--idx", images, "--json"});
    EXPECT_EQ(unknown.exit_code, 0) << unknown.err;
    std::istringstream lines(unknown.out);
    int count = 0;
    for (std::string line; std::getline(lines, line); count++) {
        EXPECT_EQ(nlohmann::json::parse(line)["index"], count * 7 % 3) << line;
    }
    EXPECT_EQ(count, 30);
}

TEST_F(InferTest, WritesPicturesThatClassifyAlike) {
    const std::string out = folder_ / "pictures";
    const ProgramResult written =
        run_fake_infer({"--data", folder_.path(), "--take", "3", "--write-pictures", out});
    EXPECT_EQ(written.exit_code, 0) << written.err;
    EXPECT_EQ(written.out, out + "/00000-shirt.png\n" + out + "/00001-ankle-boot.png\n" + out +
                               "/00002-t-shirt-top.png\n");
    const ProgramResult files = infer({out + "/00000-shirt.png", out + "/00001-ankle-boot.png",
                                       out + "/00002-t-shirt-top.png", "--json"});
    const ProgramResult set = infer({"--data", folder_.path(), "--take", "3", "--json"});
    std::istringstream a(files.out), b(set.out);
    for (int i = 0; i < 3; i++) {
        std::string left, right;
        std::getline(a, left), std::getline(b, right);
        EXPECT_EQ(nlohmann::json::parse(left)["top"], nlohmann::json::parse(right)["top"]);
    }
}

TEST_F(InferTest, PictureOfAnotherSizeNamesBoth) {
    const std::string path = write_picture("big.png", 1, 5, 7);
    const ProgramResult result = infer({path});
    expect_failure(result, 1,
                   "error: " + path +
                       ": the picture is 7 wide and 5 high; the network expects 4 wide and 4 high\n"
                       "  fix: resize the picture to 4 x 4, or add --resize bilinear\n");
}

// What can be classified is, and the exit code says that not all could.
TEST_F(InferTest, OneBadPictureAmongGoodOnes) {
    const std::string text = folder_ / "text.png";
    std::ofstream(text) << "this is no picture";
    const ProgramResult result = infer({write_picture("a.png", 0), text, folder_ / "none.png",
                                        write_picture("b.png", 1), "--json"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2) << result.out;
    EXPECT_NE(result.err.find(text), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("none.png"), std::string::npos) << result.err;
}

TEST_F(InferTest, ScoresThatAreNotFiniteAreNoClass) {
    fake_hooks().has_nan_scores = true;
    const std::string boot = write_picture("boot.png", 1);
    const ProgramResult result = infer({boot});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.out.find(boot + "  (scores are not finite)\n"), std::string::npos)
        << result.out;
    EXPECT_EQ(result.out.find("Ankle"), std::string::npos) << result.out;
    EXPECT_EQ(result.err, "error: " + weights_ +
                              ": the scores of 1 pictures are NaN or infinite\n"
                              "  fix: train again with a lower learning rate\n");
    const auto json = nlohmann::json::parse(infer({boot, "--json"}).out);
    EXPECT_TRUE(json["class"].is_null());
    EXPECT_EQ(json["error"], "scores are not finite");
    const ProgramResult set = infer({"--data", folder_.path()});
    EXPECT_EQ(set.exit_code, 1);
    EXPECT_EQ(set.out, "accuracy 0.00 % (0 of 30), scores not finite for 30\n");
}

TEST_F(InferTest, WeightsOfAnotherNetwork) {
    FakeNetwork other = clothes();
    other.signature = "fedcba9876543210";
    use_fake_network(other);
    const ProgramResult result = infer({write_picture("boot.png", 1)});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("0123456789abcdef"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("fedcba9876543210"), std::string::npos) << result.err;
}

TEST_F(InferTest, UsageErrors) {
    expect_failure(infer({}), 2,
                   "error: pictures: there is nothing to classify\n"
                   "  fix: fake-infer --weights FILE PICTURE..., or --data NAME\n");
    expect_failure(run_fake_infer({"a.png"}), 2,
                   "error: --weights: is missing\n"
                   "  fix: give the weights.safetensors that the trainer has written\n");
    expect_failure(infer({"a.png", "--threads", "0"}), 2,
                   "error: --threads: '0' is not a whole number from 1 to 256\n  fix: for example "
                   "--threads 1\n");
    expect_failure(infer({"--data", "x", "--part", "all"}), 2,
                   "error: --part: 'all' is no part of a data set\n  fix: choose train or test\n");
    expect_failure(infer({"--data", "synthetic:0"}), 2,
                   "error: --data: '0' is no number of made-up pictures from 1 to 2147483647\n"
                   "  fix: write synthetic:512, or synthetic\n");
    expect_failure(infer({"a.png", "--data", "x"}), 2,
                   "error: pictures: cannot be combined with --data or --idx\n  fix: give one "
                   "source of pictures\n");
    expect_failure(
        infer({"--idx", "y", "--data", "x"}), 2,
        "error: --idx: cannot be combined with --data\n  fix: give one source of pictures\n");
    expect_failure(infer({"a.png", "--labels", "x"}), 2,
                   "error: --labels: belongs to --idx\n"
                   "  fix: add --idx FILE, or leave it out (--data has labels)\n");
    expect_failure(
        infer({"a.png", "--take", "2"}), 2,
        "error: --take: needs the pictures of a data set\n  fix: add --data NAME or --idx FILE\n");
    expect_failure(infer({"--write-pictures", "d"}), 2,
                   "error: --write-pictures: needs the pictures of a data set\n  fix: add --data "
                   "NAME or --idx FILE\n");
    expect_failure(infer({"--profile", "a.png"}), 2,
                   "error: pictures: cannot be combined with --profile, which measures with random "
                   "pictures\n  fix: leave them out; a file for the times of --profile is named "
                   "--profile=FILE\n");
    expect_failure(infer({"a.png", "--rotate", "2"}), 2,
                   "error: command line: the following argument was not expected: --rotate\n"
                   "  fix: fake-infer --help lists the options\n");
}

// What a mode has no use for is refused by its name, never ignored.
TEST_F(InferTest, NothingIsIgnoredBesideAMeasurement) {
    const std::string fix = "\n  fix: leave one of the two out\n";
    const auto problem = [](const std::string& option, const std::string& mode) {
        return "error: " + option + ": cannot be combined with " + mode +
               ", which measures with random pictures";
    };
    expect_failure(run_fake_infer({"--benchmark", "nosuch.png"}), 2,
                   problem("pictures", "--benchmark") +
                       "\n  fix: leave them out; a file for the times of --profile is named "
                       "--profile=FILE\n");
    using Options = std::vector<std::string>;
    for (const Options& options :
         {Options{"--write-pictures", "d", "--data", "x"}, Options{"--take", "1", "--data", "x"},
          Options{"--labels", "y", "--idx", "x"}, Options{"--data", "x"}, Options{"--idx", "x"},
          Options{"--top", "2"}}) {
        for (const char* mode : {"--benchmark", "--profile"}) {
            Options all = options;
            all.push_back(mode);
            expect_failure(run_fake_infer(all), 2, problem(options[0], mode) + fix);
        }
    }
    expect_failure(run_fake_infer({"--trace", "t", "nosuch.png"}), 2,
                   problem("pictures", "--trace") + "\n  fix: leave them out\n");
    expect_failure(run_fake_infer({"--profile", "--stay-awake"}), 2,
                   "error: --stay-awake: is for --benchmark\n  fix: add --benchmark, or leave it "
                   "out\n");
    expect_failure(infer({"a.png", "--stay-awake"}), 2,
                   "error: --stay-awake: is for --benchmark\n  fix: add --benchmark, or leave it "
                   "out\n");
    expect_failure(infer({"a.png", "--part", "train"}), 2,
                   "error: --part: belongs to --data\n  fix: add --data NAME, or leave it out\n");
}

TEST_F(InferTest, NothingIsIgnoredBesideWritingPictures) {
    using Options = std::vector<std::string>;
    for (const Options& options :
         {Options{"--top", "2"}, Options{"--json"}, Options{"--weights", "nosuch"},
          Options{"--threads", "1"}, Options{"--variant", "avx2"}}) {
        Options all = options;
        all.insert(all.end(), {"--write-pictures", folder_ / "d", "--data", folder_.path()});
        expect_failure(run_fake_infer(all), 2,
                       "error: " + options[0] +
                           ": cannot be combined with --write-pictures, which classifies nothing"
                           "\n  fix: leave one of the two out\n");
    }
}

TEST_F(InferTest, ClassesThatNobodyWouldSeeAreNotAskedFor) {
    const std::string message =
        "error: --top: has no part in the accuracy of a set with labels\n"
        "  fix: add --take N to see the classes of its first pictures, or leave it out\n";
    expect_failure(infer({"--data", folder_.path(), "--top", "2"}), 2, message);
    expect_failure(infer({"--idx", "x", "--labels", "y", "--top", "2"}), 2, message);
}

TEST_F(InferTest, HelpAndVersion) {
    const ProgramResult help = run_fake_infer({"--help"});
    EXPECT_EQ(help.exit_code, 0);
    for (const char* text : {"--weights", "--json", "--benchmark", "--profile", "--trace",
                             "--threads", "--top", "--data", "--idx", "--take", "--labels",
                             "--write-pictures", "--version", "Exit codes: 0 done"}) {
        EXPECT_NE(help.out.find(text), std::string::npos) << text;
    }
    EXPECT_EQ(run_fake_infer({"--version"}).out, "fake-infer 0.1.0 (0123456789abcdef)\n");
}

TEST_F(InferTest, ProfileListsEveryKernel) {
    const ProgramResult result = run_fake_infer({"--profile"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("     3.00   75.0 %  fake dense\n"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("     1.00   25.0 %  fake softmax\n"), std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find("     4.00  100.0 %  all kernels, medians of "), std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find(" calls with 2 pictures\n"), std::string::npos) << result.out;
}

TEST_F(InferTest, BenchmarkGivesLatencyAndThroughput) {
    const ProgramResult result = run_fake_infer({"--benchmark", "--json", "--threads", "1"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_GE(json["latency"]["runs"], 10);
    EXPECT_GT(json["latency"]["minimum_ms"], 0.0);
    EXPECT_GE(json["latency"]["median_ms"], json["latency"]["minimum_ms"]);
    EXPECT_EQ(json["throughput"][0]["batch"], 2);
    EXPECT_GT(json["throughput"][0]["images_per_second"], 0.0);
    EXPECT_EQ(json["threads"], 1);
}

TEST_F(InferTest, DecimalCommaChangesNothing) {
    const std::string boot = write_picture("boot.png", 1);
    const ProgramResult expected = infer({boot});
    const ProgramResult found = run_program(
        [&](int argc, char** argv) {
            if (!use_comma_locale(folder_ / "locale")) return 77;
            return emulsion_infer_main(argc, argv, &fake_infer_library(), nullptr,
                                       fake_description().c_str());
        },
        {"fake-infer", "--weights", weights_, boot});
    EXPECT_EQ(found.exit_code, 0) << found.err;
    EXPECT_EQ(found.out, expected.out);
}

uint64_t resident_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
    }
    return 0;
}

// Runs of changing size take no memory that stays.
TEST(InferenceSession, MemoryDoesNotGrowWithCalls) {
    FakeNetwork network;
    network.infer_batch = 8;
    use_fake_network(network);
    InferenceSession session(fake_infer_library(), {});
    session.prepare();
    const AlignedBlock images = allocate_aligned(8 * session.shape().elements() * sizeof(float));
    uint64_t early = resident_kib();  // the first look takes memory of its own
    for (int call = 0; call < 40000; call++) {
        session.run(static_cast<const float*>(images.get()), call % 8 + 1);
        if (call == 100) early = resident_kib();
    }
    EXPECT_GT(early, 0u);
    // Sanitizers take some dozens of KiB at any time; less than a pointer a call is that.
    EXPECT_LE(resident_kib(), early + 256);
}

TEST(RankClasses, EqualScoresKeepTheirOrder) {
    const std::vector<float> scores{0.2f, 0.5f, 0.2f, 0.5f};
    const auto ranked = rank_classes(scores, 3);
    ASSERT_EQ(ranked.size(), 3u);
    EXPECT_EQ(ranked[0].index, 1);
    EXPECT_EQ(ranked[1].index, 3);
    EXPECT_EQ(ranked[2].index, 0);
    EXPECT_EQ(rank_classes(scores, 10).size(), 4u);
}

TEST(RankClasses, FiniteMeansFinite) {
    EXPECT_TRUE(has_finite_scores(std::vector<float>{0.0f, -1e38f}));
    EXPECT_FALSE(has_finite_scores(std::vector<float>{0.0f, NAN}));
    EXPECT_FALSE(has_finite_scores(std::vector<float>{-INFINITY, 0.0f}));
}

}  // namespace
}  // namespace emulsion
