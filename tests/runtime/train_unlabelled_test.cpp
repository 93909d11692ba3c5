// Runs of a network that is trained towards nothing: it learns from rows alone, whatever they come
// from, and what would compare with labels is refused.
#include "runtime/data/picture.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

using Arguments = std::vector<std::string>;

// (w - b)^2 / 2 over pictures of one pixel b = 1 … 10.
class TrainUnlabelledTest : public ::testing::Test {
  protected:
    void SetUp() override {
        FakeNetwork network;
        network.kind = FakeKind::kQuadratic;
        network.shape = {1, 1, 1};
        network.is_normalized = true;
        network.deviation = 1.0f / 255.0f;
        network.score_name = "features";
        network.heads = {};
        network.train_inputs = 1;
        use_fake_network(network);
    }

    float weight_of(Arguments data) {
        const std::string file = folder_ / "w";
        data.insert(data.end(), {"--epochs", "3", "--weights", file});
        const ProgramResult result = run_fake_train(data);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        const std::vector<float> weights = read_weights(file, "w");
        return weights.empty() ? 0.0f : weights[0];
    }
    std::string error_of(const Arguments& options) {
        const ProgramResult result = run_fake_train(options);
        EXPECT_EQ(result.exit_code, 2);
        return result.err.substr(0, result.err.find('\n'));
    }
    // FOLDER/DIGIT/…, or one folder.
    void write_pictures(const std::string& name, bool has_folders) {
        for (int i = 1; i <= 10; i++) {
            const Picture picture{{1, 1, 1}, {static_cast<uint8_t>(i)}};
            const std::string folder =
                concat(folder_ / name, has_folders ? concat("/", i / 6) : std::string());
            make_folder(folder);
            write_png(concat(folder, "/", i / 10, i % 10, ".png"), picture);
        }
    }

    TestFolder folder_;
};

TEST_F(TrainUnlabelledTest, RowsOfEverySource) {
    std::vector<uint8_t> pixels;
    std::string csv, list, npy("\x93NUMPY\x01\x00", 8);
    for (int i = 1; i <= 10; i++) {
        pixels.push_back(static_cast<uint8_t>(i));
        csv += concat(i, "\n");
        list += concat("flat/", i / 10, i % 10, ".png\n");
    }
    make_folder(folder_ / "idx");
    write_idx_set(folder_ / "idx", false, 1, 1, pixels, std::vector<uint8_t>(10, 7));
    write_pictures("flat", /*has_folders=*/false);
    write_pictures("tree", /*has_folders=*/true);
    write_file(folder_ / "rows.csv", csv);
    write_file(folder_ / "list", list);
    const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10, 1, 1, 1)}";
    npy += concat(static_cast<char>(header.size() + 1), '\0');
    npy += header + "\n" + std::string(pixels.begin(), pixels.end());
    write_file(folder_ / "rows.npy", npy);

    const float weight = weight_of({"--data", folder_ / "idx"});
    EXPECT_GT(weight, 1.5f);
    EXPECT_EQ(weight_of({"--data", folder_ / "flat"}), weight);
    EXPECT_EQ(weight_of({"--data", folder_ / "tree"}), weight);
    EXPECT_EQ(weight_of({"--data", folder_ / "list"}), weight);
    EXPECT_EQ(weight_of({"--data", folder_ / "rows.csv", "--scale", "255"}), weight);
    EXPECT_EQ(weight_of({"--images", folder_ / "rows.npy"}), weight);
    EXPECT_EQ(weight_of({"--images", folder_ / "idx/train-images-idx3-ubyte"}), weight);
    EXPECT_GT(weight_of({"--data", "synthetic:20"}), 1.5f);
    EXPECT_EQ(weight_of({"--data", folder_ / "idx", "--batch", "8"}),
              weight_of({"--data", folder_ / "flat", "--batch", "8"}));
}

TEST_F(TrainUnlabelledTest, ResumedAsIfNeverInterrupted) {
    write_pictures("flat", /*has_folders=*/false);
    const auto run = [&](const char* folder, const char* steps, bool resumes) {
        Arguments options{"--data", folder_ / "flat", "--checkpoint", folder_ / folder, "--steps",
                          steps,    "--schedule",     "constant",     "--json"};
        if (resumes) options.push_back("--resume");
        const ProgramResult result = run_fake_train(options);
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return read_lines(result.out);
    };
    run("parts", "4", false);
    run("parts", "8", true);
    const auto lines = run("whole", "8", false);
    EXPECT_EQ(read_text(folder_ / "parts/checkpoint"), read_text(folder_ / "whole/checkpoint"));
    EXPECT_TRUE(lines[1]["accuracy"].is_null()) << lines[1];
    EXPECT_LT(lines[2]["loss"], lines[1]["loss"]);
}

TEST_F(TrainUnlabelledTest, WhatComparesWithLabelsIsRefused) {
    write_pictures("flat", /*has_folders=*/false);
    const Arguments data{"--data", folder_ / "flat"};
    const auto with = [&](Arguments options) {
        options.insert(options.begin(), data.begin(), data.end());
        return error_of(options);
    };
    EXPECT_EQ(with({"--validation", "0.2"}),
              "error: --validation: compares with labels or numbers, but the network is trained "
              "towards nothing that data hold");
    EXPECT_EQ(with({"--top", "2"}),
              "error: --top: counts classes, but the network is trained towards nothing");
    EXPECT_EQ(error_of({"--images", folder_ / "a", "--labels", folder_ / "b"}),
              "error: --labels: is of no use: the network learns from pictures alone");
    make_folder(folder_ / "none");
    EXPECT_EQ(run_fake_train({"--data", folder_ / "none"}).err,
              concat("error: ", folder_ / "none",
                     ": holds no pictures\n  fix: give a folder with pictures (.png, .jpg, .jpeg, "
                     ".bmp, .ppm, .pgm) or IDX files\n"));
    use_fake_network({});
    EXPECT_EQ(error_of({"--images", folder_ / "a"}), "error: --labels: is missing");
}

}  // namespace
}  // namespace emulsion
