// The roofline table of a plan with times written by hand, bounds on paper, and what is refused:
// files that are no profile, profiles of other networks and other builds, with their whole message.
#include "compiler/plan/roofline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "compiler/pipeline.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/message_of.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

constexpr const char* kFix =
    "\n  fix: write one with NET-train --profile=FILE or NET-infer --profile=FILE, where NET is "
    "the "
    "network";

Plan training_plan(const std::string& network) {
    return plan_network(golden_network(network), {.training = true, .batches = {64}});
}

// A machine of 100 GFLOP/s, 100 GB/s read and 50 written up to 1 MiB, a tenth of it beyond.
MachineSpeed round_machine() { return {100e9, {{256 << 10, 100e9, 50e9}, {1 << 20, 10e9, 5e9}}}; }

// Every call of the plan's first batch takes 1 ms, or what `seconds` says of its name.
Profile profile_of(const Plan& plan, const std::map<std::string, double>& seconds = {}) {
    const VariantPlan& variant = plan.variants[0];
    const BatchPlan& batch = variant.batches[0];
    Profile profile;
    profile.file = "p.json";
    profile.training = plan.training;
    profile.network = plan.network;
    profile.variant = variant.isa.name;
    profile.machine = round_machine();
    ProfiledCall measured{batch.batch, batch.batch, 1, 9, 0.5e-3, {}};
    for (const PlannedCall& call : batch.calls) {
        const auto found = seconds.find(call.name);
        measured.kernels.push_back(
            {call_line(variant, call), found == seconds.end() ? 1e-3 : found->second});
        measured.seconds += measured.kernels.back().seconds;
    }
    profile.calls = {measured};
    return profile;
}

// The row of a kernel: its words.
std::vector<std::string> row_of(const std::string& table, const std::string& kernel) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
        if (line.find("  " + kernel + " ") == std::string::npos) continue;
        std::istringstream stream(line);
        std::vector<std::string> words;
        for (std::string word; stream >> word;) words.push_back(word);
        return words;
    }
    ADD_FAILURE() << "no row of " << kernel << " in\n" << table;
    return std::vector<std::string>(16);
}

TEST(Roofline, Table) {
    const Plan plan = training_plan("mlp");
    const Profile profile =
        profile_of(plan, {{"dense1", 2e-3}, {"dense1.dw", 3e-3}, {"dense2", 1e-6}});
    expect_golden("golden/mlp.roofline.txt", roofline_text(plan, profile));
}

// dense1 of mlp: 784 to 800 for 64 samples, 0.080 Gop in 0.803 ms at 100 GFLOP/s; 2,712,704 bytes
// read (filter 800 x 784, bias 800, input 64 x 784) and 204,800 written: 0.312 ms beyond 1 MiB.
TEST(Roofline, BoundsOnPaper) {
    const Plan plan = plan_network(golden_network("mlp"), {.batches = {64}});
    const std::string text = roofline_text(plan, profile_of(plan, {{"dense1", 2e-3}}));
    const std::vector<std::string> row = row_of(text, "dense1");
    const std::vector<std::string> expected = {"1.197", "2.000", "0.803", "40",    "%",
                                               "16",    "%",     "0.080", "2.918", "dense1"};
    EXPECT_EQ(std::vector<std::string>(row.begin(), row.begin() + 10), expected) << text;
}

// Half the samples: half the operations, and the filter's bytes stay.
TEST(Roofline, FewerSamplesThanTheBatch) {
    const Plan plan = plan_network(golden_network("mlp"), {.batches = {64}});
    Profile profile = profile_of(plan, {{"dense1", 2e-3}});
    profile.calls[0].samples = 32;
    const std::string text = roofline_text(plan, profile);
    EXPECT_EQ(row_of(text, "dense1")[7], "0.040") << text;
    EXPECT_EQ(row_of(text, "dense1")[8], "2.715") << text;
}

// On a device no kernel is faster than a launch, and the table names the device.
TEST(Roofline, OfADevice) {
    const Plan plan =
        plan_network(golden_network("mlp"), {.batches = {64}, .isas = {isa_opencl()}});
    Profile profile = profile_of(plan, {{"dense1", 2e-3}});
    profile.device = "opencl:1";
    profile.machine.launch = 10e-6;
    std::string text = roofline_text(plan, profile);
    const std::string head =
        "mlp, inference of 64 samples on opencl:1: medians of 9 calls after 1 to warm up\n"
        "peak 100.0 GFLOP/s; a launch 10.0 us; GB/s read/written within blocks of these sizes:\n";
    EXPECT_EQ(text.substr(0, head.size()), head);
    const std::vector<std::string> row = row_of(text, "dense1");
    EXPECT_EQ(row[2], "0.803") << text;  // as on processors
    EXPECT_EQ(row[3], "40") << text;
    EXPECT_NE(text.find("bound = the longest of a launch,\noperations"), std::string::npos) << text;
    profile.machine.launch = 1.5e-3;
    text = roofline_text(plan, profile);
    EXPECT_EQ(row_of(text, "dense1")[0], "0.500") << text;
    EXPECT_EQ(row_of(text, "dense1")[2], "1.500") << text;
}

// The first rows have most to gain; Winograd is bound by the products it does, and its share of the
// peak is that of the operations it stands for.
TEST(Roofline, SortedByGainAndWinogradByItsOwnProducts) {
    const Plan plan = training_plan("lenet");
    const std::string text = roofline_text(plan, profile_of(plan, {{"conv2", 8e-3}}));
    EXPECT_LT(text.find("  conv2 "), text.find("  conv1 "));
    const std::vector<std::string> row = row_of(text, "conv2");
    EXPECT_EQ(row[7], "1.285") << text;  // 2 x 10,035,200 x 64
    EXPECT_EQ(row[3], "161") << text;    // of 12.85 ms in 8
    // 49 tiles x 36 points x 32 x 64 channels instead of 14 x 14 x 25 x 32 x 64
    EXPECT_EQ(row[2], "4.624") << text;
    EXPECT_NE(text.find("\nwinograd differs from double precision by at most 2e-05 of the largest "
                        "value\n"),
              std::string::npos)
        << text;
}

TEST(Roofline, FitsAHundredColumns) {
    const Plan plan = training_plan("resnet20");
    Profile profile = profile_of(plan);
    profile.machine.bandwidth.clear();
    for (uint64_t bytes = 256 << 10; bytes <= 256 << 20; bytes *= 4)
        profile.machine.bandwidth.push_back({bytes, 167e9, 57e9});
    std::istringstream lines(roofline_text(plan, profile));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(Roofline, OtherKernels) {
    const Plan plan = training_plan("mlp");
    Profile profile = profile_of(plan);
    const std::string first = profile.calls[0].kernels[0].name;
    const std::string start =
        "error[profile]: 'p.json' was measured on other kernels than those of the plan: ";
    const std::string fix =
        "\n  fix: give show the options of that build, such as --exact or --machine, or build and "
        "profile anew";
    profile.calls[0].kernels[0].name = "forward dense9 matmul kw=1";
    EXPECT_EQ(message_of([&] { roofline_text(plan, profile); }),
              start + "'forward dense9 matmul kw=1' is not among them" + fix);
    profile.calls[0].kernels.erase(profile.calls[0].kernels.begin());
    EXPECT_EQ(message_of([&] { roofline_text(plan, profile); }),
              start + "'" + first + "' was not measured" + fix);
}

// ---- Files ----

class ProfileFile : public testing::Test {
  protected:
    std::string write(const std::string& text) {
        std::ofstream(file_) << text;
        return file_;
    }
    std::string refusal(const std::string& text) {
        write(text);
        return message_of([&] { read_profile(file_); });
    }
    // The file with one piece of text replaced.
    std::string refusal_with(const std::string& piece, const std::string& other) {
        std::string text = read_test_file("plan/small_profile.json");
        const size_t at = text.find(piece);
        EXPECT_NE(at, std::string::npos) << piece;
        return refusal(text.replace(at, piece.size(), other));
    }
    std::string expected(const std::string& problem) {
        return "error[profile]: '" + file_ + "' is no profile: " + problem + kFix;
    }

    TestFolder folder_;
    const std::string file_ = folder_ / "p.json";
};

TEST_F(ProfileFile, IsRead) {
    const Profile profile = read_profile(write(read_test_file("plan/small_profile.json")));
    EXPECT_EQ(profile.network, "small");
    EXPECT_TRUE(profile.training);
    EXPECT_EQ(profile.variant, "avx2");
    EXPECT_EQ(profile.threads, 1);
    EXPECT_EQ(profile.planned_threads, 2);
    EXPECT_EQ(profile.machine.peak, 100e9);
    ASSERT_EQ(profile.machine.bandwidth.size(), 2u);
    EXPECT_EQ(profile.machine.bandwidth[1].bytes, 1048576u);
    EXPECT_EQ(profile.machine.bandwidth[1].write, 5e9);
    ASSERT_EQ(profile.calls.size(), 1u);
    EXPECT_EQ(profile.calls[0].batch, 8);
    EXPECT_EQ(profile.calls[0].samples, 4);
    EXPECT_EQ(profile.calls[0].measured, 9);
    EXPECT_EQ(profile.calls[0].seconds, 0.003);
    ASSERT_EQ(profile.calls[0].kernels.size(), 1u);
    EXPECT_EQ(profile.calls[0].kernels[0].name, "forward dense1 matmul kw=16");
    EXPECT_EQ(profile.calls[0].kernels[0].seconds, 0.002);
}

TEST_F(ProfileFile, OfADevice) {
    std::string text = read_test_file("plan/small_profile.json");
    const auto replace = [&](const std::string& piece, const std::string& other) {
        text.replace(text.find(piece), piece.size(), other);
    };
    replace("\"avx2\"", "\"opencl\", \"device\": \"opencl:0\"");
    EXPECT_EQ(refusal(text), expected("\"machine\" has no field \"launch\""));
    replace("\"peak\": 100e9", "\"peak\": 100e9, \"launch\": 5e-6");
    const Profile profile = read_profile(write(text));
    EXPECT_EQ(profile.device, "opencl:0");
    EXPECT_EQ(profile.variant, "opencl");
    EXPECT_EQ(profile.machine.launch, 5e-6);
    replace("\"opencl:0\"", "\"vulkan:0\"");
    EXPECT_EQ(refusal(text), expected("its variant 'opencl' is not that of its device 'vulkan:0'"));
    replace("\"opencl\", \"device\": \"vulkan:0\"", "\"avx2\", \"device\": \"avx2:0\"");
    EXPECT_EQ(refusal(text), expected("its variant 'avx2' is not that of its device 'avx2:0'"));
    replace("\"avx2\", \"device\": \"avx2:0\"", "\"cuda\", \"device\": \"cuda:1\"");
    replace("\"machine\"", "\"no machine\"");
    EXPECT_EQ(refusal(text),
              "error[profile]: '" + file_ +
                  "' was measured on the device 'cuda:1', whose own speed could not be measured\n"
                  "  fix: measure again, with more of its memory free");
}

TEST_F(ProfileFile, Missing) {
    EXPECT_EQ(
        message_of([] { read_profile("no/such.json"); }),
        std::string("error[profile]: 'no/such.json': cannot open the profile: no such file or "
                    "folder") +
            kFix);
}

TEST_F(ProfileFile, FolderInsteadOfAFile) {
    EXPECT_EQ(message_of([&] { read_profile(folder_.path()); }),
              "error[profile]: '" + folder_.path() + "': expected a profile, but this is a folder" +
                  kFix);
}

TEST_F(ProfileFile, FarLargerThanOneCanBe) {
    write("{");
    std::filesystem::resize_file(file_, (uintmax_t{16} << 20) + 1);
    EXPECT_EQ(message_of([&] { read_profile(file_); }),
              "error[profile]: '" + file_ +
                  "': the profile has 16777217 bytes; the limit is 16777216" + kFix);
}

// Cut anywhere, it is refused; nothing is guessed.
TEST_F(ProfileFile, TruncatedAtAnyByte) {
    const std::string text = read_test_file("plan/small_profile.json");
    const size_t end = text.find_last_of('}');
    for (size_t bytes = 1; bytes <= end; bytes++) {
        EXPECT_EQ(
            refusal(text.substr(0, bytes)),
            expected(fmt::format("the text is no JSON from byte {} of {} on", bytes + 1, bytes)));
    }
    EXPECT_EQ(refusal(""), expected("it is empty"));
}

TEST_F(ProfileFile, NoJson) {
    EXPECT_EQ(refusal("kernel 0: 3 ms\n"), expected("the text is no JSON from byte 1 of 15 on"));
    EXPECT_EQ(refusal("1" + std::string(400, '0')),
              expected("the text holds a number that no double can hold"));
    EXPECT_EQ(refusal("[]"), expected("the file is no object"));
    EXPECT_EQ(refusal("{}"), expected("the file has no field \"format\""));
    EXPECT_EQ(refusal_with("emulsion-profile", "trace"), expected("its format is another"));
    EXPECT_EQ(refusal_with("\"format_version\": 1", "\"format_version\": 2"),
              expected("\"format_version\" of the file is no whole number from 1 to 1"));
}

TEST_F(ProfileFile, ImpossibleValues) {
    EXPECT_EQ(refusal_with("\"training\"", "\"dreaming\""),
              expected("\"mode\" of the file is neither training nor inference"));
    EXPECT_EQ(refusal_with("\"peak\": 100e9", "\"peak\": 0"),
              expected("\"peak\" of \"machine\" is no number above 0"));
    EXPECT_EQ(refusal_with("\"samples\": 4", "\"samples\": 9"),
              expected("\"samples\" of an entry of \"calls\" is no whole number from 1 to 8"));
    EXPECT_EQ(refusal_with("\"seconds\": 0.002", "\"seconds\": -1"),
              expected("\"seconds\" of an entry of \"kernels\" is no number from 0 on"));
    EXPECT_EQ(refusal_with("\"read\": 100e9", "\"read\": \"fast\""),
              expected("\"read\" of an entry of \"bandwidth\" is no number above 0"));
    EXPECT_EQ(refusal_with("\"avx2\"", "\"mmx\""),
              expected("its variant 'mmx' is none of x86-64, avx2, avx512"));
    EXPECT_EQ(refusal_with("\"kernels\": [", "\"kernels\": [], \"rest\": ["),
              expected("\"kernels\" of an entry of \"calls\" is no list with entries"));
}

TEST_F(ProfileFile, OfAnotherNetwork) {
    write(read_test_file("plan/small_profile.json"));
    const Network network = golden_network("mlp");
    const std::string message =
        message_of([&] { show_roofline(network, make_library(), file_, {}); });
    const std::string start = "error[profile]: '" + file_ +
                              "' was measured on the network 'small' of signature "
                              "0123456789abcdef, but the model is 'mlp' of signature ";
    EXPECT_TRUE(message.starts_with(start)) << message;
    EXPECT_EQ(
        message.substr(std::min(message.size(), start.size() + 16)),
        "\n  fix: name the model that the program was built from, or build and profile it anew");
}

}  // namespace
}  // namespace emulsion::test
