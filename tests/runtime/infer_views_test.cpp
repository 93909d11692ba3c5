// The inference program's further modes: detection, nearest pictures, pictures of the network, and
// outputs; by hand where figures are small, else over the fake library.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "runtime/data/picture.h"
#include "runtime/infer/detection.h"
#include "runtime/infer/nearest.h"
#include "runtime/infer/outputs.h"
#include "runtime/infer/sheet.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

TEST(Detection, IntersectionOverUnionByHand) {
    const Box a{0, 0, 10, 10};
    EXPECT_EQ(intersection_over_union(a, a), 1.0);
    EXPECT_NEAR(intersection_over_union(a, {5, 0, 10, 10}), 50.0 / 150.0, 1e-12);
    EXPECT_NEAR(intersection_over_union(a, {5, 5, 10, 10}), 25.0 / 175.0, 1e-12);
    EXPECT_NEAR(intersection_over_union(a, {2, 2, 4, 4}), 16.0 / 100.0, 1e-12);
    EXPECT_EQ(intersection_over_union(a, {10, 0, 10, 10}), 0.0);  // they touch
    EXPECT_EQ(intersection_over_union({0, 0, 0, 0}, {0, 0, 0, 0}), 0.0);
}

// The best of each group stays; a box of another class stays beside it; one exactly at the limit
// stays.
TEST(Detection, SuppressionByHand) {
    const std::vector<Detection> found = {
        {{0, 0, 10, 10}, 0, 0.80f},   // in common with the next one: 90 / 110
        {{1, 0, 10, 10}, 0, 0.95f},   // the best of its class
        {{1, 0, 10, 10}, 1, 0.60f},   // another class
        {{6, 0, 10, 10}, 0, 0.70f},   // 50 / 150 with the best
        {{40, 40, 10, 10}, 0, 0.50f}  // far away
    };
    const auto scores = [&](double most) {
        std::vector<float> kept;
        for (const Detection& each : suppress(found, most)) kept.push_back(each.score);
        return kept;
    };
    EXPECT_EQ(scores(0.3), (std::vector<float>{0.95f, 0.60f, 0.50f}));
    EXPECT_EQ(scores(50.0 / 150.0), (std::vector<float>{0.95f, 0.70f, 0.60f, 0.50f}));
    EXPECT_EQ(scores(1.0).size(), 5u);
    EXPECT_TRUE(suppress({}, 0.5).empty());
}

// What a suppressed box covers is not taken from others by it.
TEST(Detection, ASuppressedBoxSuppressesNothing) {
    const auto kept = suppress(
        {{{0, 0, 10, 10}, 0, 0.9f}, {{4, 0, 10, 10}, 0, 0.8f}, {{8, 0, 10, 10}, 0, 0.7f}}, 0.3);
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept[1].score, 0.7f);
}

TEST(Detection, PyramidByHand) {
    const auto levels = make_pyramid(9, 16, {1, 4, 4}, 2.0, 3);
    ASSERT_EQ(levels.size(), 2u);
    EXPECT_EQ(levels[0].rows, (std::vector<int>{0, 3, 5}));
    EXPECT_EQ(levels[0].columns, (std::vector<int>{0, 3, 6, 9, 12}));
    EXPECT_EQ(levels[1].height, 5);
    EXPECT_EQ(levels[1].width, 8);
    EXPECT_EQ(levels[1].rows, (std::vector<int>{0, 1}));
    EXPECT_EQ(levels[1].columns, (std::vector<int>{0, 3, 4}));
    EXPECT_TRUE(make_pyramid(3, 9, {1, 4, 4}, 2.0, 3).empty());
    EXPECT_EQ(make_pyramid(4, 4, {1, 4, 4}, 2.0, 3).size(), 1u);
}

TEST(Detection, ABoxIsDrawnWhereItLies) {
    Picture picture{{3, 4, 5}, std::vector<uint8_t>(60, 0)};
    draw_box({1, 0, 3, 3}, 1, {7, 8, 9}, &picture);
    std::string shown;
    for (size_t i = 0; i < picture.pixels.size(); i += 3)
        shown += picture.pixels[i] == 7 ? 'x' : '.';
    EXPECT_EQ(shown, ".xxx..x.x..xxx......");
    draw_box({-5, -5, 100, 100}, 2, {1, 1, 1}, &picture);  // wholly around it
    EXPECT_EQ(picture.pixels[0], 0);
}

TEST(Nearest, ByHand) {
    const std::vector<float> rows = {1, 0, 0, 2, 3, 3, 0, 0};
    const std::vector<float> query = {2, 0};
    const auto cosine = nearest_rows(rows, query, Distance::kCosine, 10);
    ASSERT_EQ(cosine.size(), 4u);
    EXPECT_EQ(cosine[0].row, 0u);
    EXPECT_NEAR(cosine[0].distance, 0.0, 1e-12);
    EXPECT_EQ(cosine[1].row, 2u);
    EXPECT_NEAR(cosine[1].distance, 1.0 - std::sqrt(0.5), 1e-7);
    EXPECT_EQ(cosine[2].row, 1u);  // as far as the row of zeros
    EXPECT_EQ(cosine[3].distance, 1.0);
    const auto l2 = nearest_rows(rows, query, Distance::kL2, 2);
    ASSERT_EQ(l2.size(), 2u);
    EXPECT_EQ(l2[0].row, 0u);
    EXPECT_EQ(l2[1].row, 3u);
    EXPECT_EQ(l2[1].distance, 2.0);
}

TEST(Sheet, ValuesAndTiles) {
    const std::vector<float> values = {-1, 0, 1, NAN};
    EXPECT_EQ(scale_values(values, {1, 2, 2}).pixels, (std::vector<uint8_t>{0, 128, 255, 0}));
    EXPECT_EQ(scale_values(std::vector<float>(2, 5.0f), {1, 1, 2}).pixels,
              (std::vector<uint8_t>{0, 0}));
    const Picture tile{{1, 1, 1}, {200}};
    const Picture sheet = make_sheet({tile, tile, tile});
    EXPECT_EQ(sheet.shape, (PictureShape{1, 8, 8}));  // two columns, lines of two pixels
    EXPECT_EQ(std::count(sheet.pixels.begin(), sheet.pixels.end(), 200), 3);
    EXPECT_EQ(enlarge({{1, 1, 2}, {1, 2}}, 2).pixels,
              (std::vector<uint8_t>{1, 1, 2, 2, 1, 1, 2, 2}));
}

TEST(Outputs, HeaderOfNpyKeepsItsLength) {
    const int64_t shape[] = {3, 2, 2};
    const std::string one = npy_header(1, shape), many = npy_header(4000000000, shape);
    EXPECT_EQ(one.size(), kNpyHeader);
    EXPECT_EQ(many.size(), kNpyHeader);
    EXPECT_NE(many.find("'shape': (4000000000, 3, 2, 2,), }"), std::string::npos) << many;
    EXPECT_EQ(many.back(), '\n');
}

class InferViews : public testing::Test {
  protected:
    void SetUp() override {
        FakeNetwork network;
        network.class_names = {"shirt", "boot", "top"};
        network.infer_batch = 3;
        use_fake_network(network);
        write_easy_set(folder_.path(), /*is_test=*/false, 60, 4, 4, 3);
        const ProgramResult trained = run_fake_train(
            {"--data", folder_.path(), "--epochs", "20", "--weights", weights_, "--quiet"});
        ASSERT_EQ(trained.exit_code, 0) << trained.err;
    }
    ProgramResult infer(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--weights", weights_});
        return run_fake_infer(std::move(arguments));
    }
    // A picture that lights up the pixels of a class in its own 4 x 4 window at (x, y), grey else.
    std::string write_picture(const std::string& name, int label, int side = 4, int x = 0,
                              int y = 0) {
        Picture picture{{1, side, side}, std::vector<uint8_t>(static_cast<size_t>(side * side), 0)};
        for (int i = 0; i < 16; i++) {
            const int place = (y + i / 4) * side + x + i % 4;
            picture.pixels[static_cast<size_t>(place)] = i % 3 == label ? 200 : 10;
        }
        std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
        write_png(folder_ / name, picture);
        return folder_ / name;
    }
    void expect_usage(std::vector<std::string> arguments, const std::string& message) {
        const ProgramResult result = infer(std::move(arguments));
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err, message);
    }

    TestFolder folder_;
    const std::string weights_ = folder_ / "w.safetensors";
};

// The window over the object has the same scores as the object by itself.
TEST_F(InferViews, AnObjectIsFoundWhereItIs) {
    const std::string alone = write_picture("alone.png", 1),
                      large = write_picture("l.png", 1, 12, 5, 6);
    const auto single = nlohmann::json::parse(infer({alone, "--json"}).out);
    const double score = single["probability"];
    const ProgramResult result = infer({large, "--detect", "--json", "--stride", "1", "--threshold",
                                        std::to_string(score - 1e-4), "--draw", folder_ / "drawn"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["width"], 12);
    ASSERT_GE(json["boxes"].size(), 1u) << json;
    bool is_found = false;
    for (const auto& box : json["boxes"]) {
        is_found |= box["x"] == 5.0 && box["y"] == 6.0 && box["width"] == 4.0 &&
                    box["class"] == "boot" &&
                    std::fabs(box["probability"].get<double>() - score) < 1e-6;
    }
    EXPECT_TRUE(is_found) << json;
    const Picture drawn = read_picture(folder_ / "drawn/00000-l.png");
    EXPECT_EQ(drawn.shape, (PictureShape{3, 12, 12}));
    const size_t corner = 3 * (6 * 12 + 5);
    EXPECT_EQ(drawn.pixels[corner + 1], 128);  // the colour of index 2 is 0, 128, 0
}

TEST_F(InferViews, ABackgroundIsNoObjectAndCsvHasABoxALine) {
    const std::string large = write_picture("l.png", 1, 12, 5, 6);
    const ProgramResult all =
        infer({large, "--detect", "--csv", "--stride", "1", "--threshold", "0.5"});
    EXPECT_TRUE(all.out.starts_with("picture,class,index,probability,x,y,width,height\n"))
        << all.out;
    EXPECT_NE(all.out.find(",boot,1,"), std::string::npos) << all.out;
    const ProgramResult none = infer({large, "--detect", "--csv", "--stride", "1", "--threshold",
                                      "0.5", "--background", "boot"});
    EXPECT_EQ(none.exit_code, 0) << none.err;
    EXPECT_EQ(none.out.find(",boot,1,"), std::string::npos) << none.out;
    EXPECT_EQ(infer({large, "--detect", "--threshold", "2"}).out, "no objects\n");
}

// Sizes of the pyramid are `step` apart, and boxes of a class that share more than `overlap` are
// one.
TEST_F(InferViews, StepOfThePyramidAndOverlapOfBoxes) {
    const std::string large = write_picture("l.png", 1, 12, 5, 6);
    const auto boxes = [&](const std::string& step, const std::string& overlap) {
        const ProgramResult result =
            infer({large, "--detect", "--json", "--stride", "1", "--threshold", "0",
                   "--pyramid-step", step, "--overlap", overlap});
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return nlohmann::json::parse(result.out)["boxes"];
    };
    const auto widths = [](const nlohmann::json& found) {
        std::set<double> all;
        for (const auto& box : found) all.insert(box["width"].get<double>());
        return all;
    };
    EXPECT_EQ(widths(boxes("4", "1")), (std::set<double>{4.0}));
    EXPECT_EQ(widths(boxes("3", "1")), (std::set<double>{4.0, 12.0}));
    EXPECT_EQ(widths(boxes("1.5", "1")), (std::set<double>{4.0, 6.0, 9.6, 12.0}));
    const size_t all = boxes("4", "1").size(), some = boxes("4", "0.5").size(),
                 apart = boxes("4", "0").size();
    EXPECT_GT(all, some);
    EXPECT_GT(some, apart);
    EXPECT_GT(apart, 0u);
    expect_usage({large, "--detect", "--pyramid-step", "1"},
                 "error: --pyramid-step: '1' is not a number from 1.01 to 16\n"
                 "  fix: write it with a decimal point, such as 1.01\n");
    expect_usage({large, "--detect", "--overlap", "2"},
                 "error: --overlap: '2' is not a number from 0 to 1\n"
                 "  fix: write it with a decimal point, such as 0.05\n");
}

TEST_F(InferViews, WhatCannotBeDetected) {
    const std::string large = write_picture("l.png", 1, 12);
    Picture narrow{{1, 3, 9}, std::vector<uint8_t>(27, 1)};
    write_png(folder_ / "n.png", narrow);
    const ProgramResult result = infer({folder_ / "n.png", "--detect"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, "error: " + (folder_ / "n.png") +
                              ": the picture is 9 wide and 3 high, smaller than a window of 4 x 4\n"
                              "  fix: give a larger picture\n");
    expect_usage({large, "--detect", "--background", "cat"},
                 "error: --background: the network has no class 'cat'\n"
                 "  fix: name one of its 3 classes, or a number from 0 to 2\n");
    expect_usage({large, "--stride", "2"},
                 "error: --stride: belongs to --detect\n  fix: add --detect, or leave it out\n");
    expect_usage({large, "--detect", "--nearest", folder_.path()},
                 "error: --nearest: cannot be combined with --detect\n  fix: run them in turn\n");
    expect_usage({"--detect"},
                 "error: pictures: there is nothing to look at\n"
                 "  fix: fake-infer --weights FILE --detect ... PICTURE...\n");
    FakeNetwork network;
    network.score_name = "scores";
    use_fake_network(network);
    expect_usage({large, "--detect"},
                 "error: --threshold: is missing: the network's scores are no probabilities\n"
                 "  fix: give the least score of an object\n");
}

TEST_F(InferViews, NearestPictures) {
    write_picture("all/shirt.png", 0);
    write_picture("all/boot.png", 1);
    write_picture("all/top.png", 2);
    const std::string boot = write_picture("query.png", 1);
    const ProgramResult result =
        infer({boot, "--nearest", folder_ / "all", "--json", "--top", "2"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto json = nlohmann::json::parse(result.out);
    ASSERT_EQ(json["nearest"].size(), 2u);
    EXPECT_EQ(json["nearest"][0]["picture"], folder_ / "all/boot.png");
    EXPECT_NEAR(json["nearest"][0]["distance"].get<double>(), 0.0, 1e-9);
    const ProgramResult csv =
        infer({boot, "--nearest", folder_ / "all", "--csv", "--distance", "l2", "--top", "1"});
    EXPECT_EQ(csv.out, "picture,rank,nearest,distance\n" + boot + ",1," +
                           (folder_ / "all/boot.png") + ",0\n");
    expect_usage({boot, "--nearest", folder_ / "all", "--distance", "manhattan"},
                 "error: --distance: 'manhattan' is no distance\n  fix: choose cosine or l2\n");
    const ProgramResult none = infer({boot, "--nearest", folder_ / "all", "--feature", "inner"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_EQ(none.err,
              "error: --feature: the network hands out no 'inner'; its outputs are probabilities\n"
              "  fix: name one of them, or add m.output(name, tensor) to the model\n");
}

TEST_F(InferViews, OutputsInEveryForm) {
    const std::string boot = write_picture("boot.png", 1), top = write_picture("top.png", 2);
    const auto json =
        nlohmann::json::parse(infer({boot, "--json", "--output", "probabilities"}).out);
    ASSERT_EQ(json["outputs"]["probabilities"].size(), 3u) << json;
    EXPECT_EQ(json["outputs"]["probabilities"][1], json["probability"]);
    const ProgramResult csv = infer({boot, "--csv", "--top", "1", "--output", "probabilities"});
    EXPECT_TRUE(
        csv.out.starts_with("picture,class,index,probability,probabilities.0,"
                            "probabilities.1,probabilities.2\n"))
        << csv.out;
    const ProgramResult saved = infer({boot, top, "--save-outputs", folder_ / "out"});
    ASSERT_EQ(saved.exit_code, 0) << saved.err;
    EXPECT_EQ(read_text(folder_ / "out/pictures.txt"), boot + "\n" + top + "\n");
    const std::string array = read_text(folder_ / "out/probabilities.npy");
    EXPECT_EQ(array.size(), kNpyHeader + 6 * sizeof(float));
    EXPECT_NE(array.find("'shape': (2, 3,)"), std::string::npos);
    float value;
    std::memcpy(&value, array.data() + kNpyHeader + sizeof(float), sizeof value);
    EXPECT_EQ(value, json["probability"].get<float>());
}

// A file that cannot be used ends with 1, and what the others gave is written.
TEST_F(InferViews, SavedOutputsAreOfThePicturesThatCouldBeRead) {
    const std::string boot = write_picture("boot.png", 1);
    const ProgramResult result =
        infer({boot, folder_ / "none.png", "--save-outputs", folder_ / "out"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(read_text(folder_ / "out/pictures.txt"), boot + "\n");
}

TEST_F(InferViews, OptionsOfOutputs) {
    const std::string boot = write_picture("boot.png", 1);
    expect_usage({boot, "--output", "probabilities"},
                 "error: --output: has no place in the table of classes\n"
                 "  fix: add --json, --csv or --save-outputs FOLDER\n");
    const ProgramResult masks = infer({boot, "--save-masks", folder_ / "masks"});
    EXPECT_EQ(masks.exit_code, 1);
    EXPECT_EQ(masks.err,
              "error: --save-masks: the network gives no scores of classes for each pixel\n"
              "  fix: leave the option out, or give --save-outputs FOLDER\n");
    expect_usage({"--benchmark", "--save-outputs", folder_ / "x"},
                 "error: --save-outputs: cannot be combined with --benchmark, which measures with "
                 "random pictures\n  fix: leave one of the two out\n");
}

TEST_F(InferViews, OcclusionFindsTheLightsOfTheClass) {
    const std::string boot = write_picture("boot.png", 1);
    const ProgramResult result =
        infer({boot, "--occlusion", folder_ / "o", "--patch", "1", "--patch-stride", "1"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with((folder_ / "o/00000-boot.png") + ": boot 0.")) << result.out;
    const Picture picture = read_picture(folder_ / "o/00000-boot.png");
    EXPECT_EQ(picture.shape, (PictureShape{3, 224, 224}));  // 56 pixels for each
    const auto red_above_blue = [&](int pixel) {
        const size_t y = static_cast<size_t>(pixel / 4) * 56,
                     x = static_cast<size_t>(pixel % 4) * 56;
        const size_t place = 3 * (y * 224 + x);
        return int{picture.pixels[place]} - int{picture.pixels[place + 2]};
    };
    for (int i = 0; i < 16; i++) {
        if (i % 3 == 1) {
            EXPECT_GT(red_above_blue(i), 20) << i;
        }
    }
}

TEST_F(InferViews, PicturesThatANetworkDoesNotGive) {
    const std::string boot = write_picture("boot.png", 1);
    const auto refusal = [&](std::vector<std::string> arguments) {
        const ProgramResult result = infer(std::move(arguments));
        EXPECT_EQ(result.exit_code, 1);
        return result.err;
    };
    EXPECT_EQ(refusal({"--filters", folder_ / "f.png"}),
              "error: --filters: the network has no convolution of more than one pixel\n"
              "  fix: leave the option out\n");
    EXPECT_EQ(refusal({boot, "--feature-maps", folder_ / "m"}),
              "error: --feature-maps: the network hands out no map (C, H, W)\n"
              "  fix: add m.output(\"maps\", tensor) to the model\n");
    EXPECT_EQ(refusal({boot, "--feature-maps", folder_ / "m", "--output", "probabilities"}),
              "error: --feature-maps: the network hands out no map (C, H, W)\n"
              "  fix: add m.output(\"maps\", tensor) to the model\n");
    expect_usage({boot, "--occlusion", folder_ / "m", "--output", "probabilities"},
                 "error: --output: cannot be combined with --occlusion\n"
                 "  fix: leave one of the two out\n");
    expect_usage({"--loss-surface", folder_ / "s.png"},
                 "error: --loss-surface: needs a data set with labels\n  fix: add --data NAME\n");
    expect_usage({boot, "--filters", folder_ / "f.png"},
                 "error: pictures: cannot be combined with --filters\n"
                 "  fix: leave one of the two out\n");
    expect_usage({"--filters", folder_ / "f.png", "--data", "mnist"},
                 "error: --data: cannot be combined with --filters\n"
                 "  fix: leave one of the two out\n");
    expect_usage({"--occlusion", folder_ / "m", "--idx", "images"},
                 "error: --idx: cannot be combined with --occlusion\n"
                 "  fix: name picture files and folders\n");
}

TEST_F(InferViews, PicturesOfUnitsNeedTheirLibrary) {
    const std::string boot = write_picture("boot.png", 1);
    for (const char* mode : {"--saliency", "--strongest"}) {
        expect_usage({boot, mode, folder_ / "seen", "--backward", "guide"},
                     "error: --backward: 'guide' is no rule\n"
                     "  fix: choose gradient, guided or deconvolution\n");
    }
    expect_usage({boot, "--saliency", folder_ / "seen"},
                 "error: --saliency: fake-infer was built without the gradients that it needs\n"
                 "  fix: build it again with emulsion build --saliency\n");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "seen"));
    expect_usage({boot, "--backward", "guided"},
                 "error: --backward: belongs to --saliency or --strongest\n"
                 "  fix: add --saliency or --strongest, or leave it out\n");
    expect_usage({boot, "--saliency", folder_ / "seen", "--top", "2"},
                 "error: --top: cannot be combined with --saliency\n"
                 "  fix: leave one of the two out\n");
    const ProgramResult none = infer({boot, "--strongest", folder_ / "seen"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_EQ(none.err,
              "error: --strongest: the network hands out no map (C, H, W)\n"
              "  fix: add m.output(\"maps\", tensor) to the model\n");
}

// The middle of the surface is the loss of the weights, and far away it is much higher.
TEST_F(InferViews, LossSurface) {
    const ProgramResult result =
        infer({"--loss-surface", folder_ / "s.png", "--data", folder_.path(), "--part", "train",
               "--grid", "5", "--radius", "2"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto accuracy = infer({"--data", folder_.path(), "--part", "train", "--json"});
    const double loss = nlohmann::json::parse(accuracy.out)["loss"];
    std::istringstream lines(read_text(folder_ / "s.csv"));
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "first,second,loss");
    int points = 0;
    double greatest = 0.0;
    for (; std::getline(lines, line); points++) {
        const double value = std::stod(line.substr(line.rfind(',') + 1));
        if (line.starts_with("0,0,")) {
            EXPECT_NEAR(value, loss, 1e-6);
        }
        greatest = std::max(greatest, value);
    }
    EXPECT_EQ(points, 25);
    EXPECT_GT(greatest, 10 * loss);
    EXPECT_EQ(read_picture(folder_ / "s.png").shape, (PictureShape{3, 420, 420}));
}

}  // namespace
}  // namespace emulsion
