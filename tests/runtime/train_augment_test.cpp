// Runs whose pictures are augmented: equal whatever reads them and wherever they are interrupted;
// what draws and compares augmentations; refusals.
#include <signal.h>

#include <filesystem>

#include "runtime/data/augmenter.h"
#include "runtime/data/loader.h"
#include "runtime/data/open.h"
#include "runtime/data/picture.h"
#include "runtime/data/split.h"
#include "runtime/train/augment_report.h"
#include "tests/runtime/data_augment_support.h"
#include "tests/runtime/data_support.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

constexpr const char* kFlip = R"({"kind": "horizontal_flip", "probability": 0.5})";
constexpr const char* kNoise = R"({"kind": "noise", "probability": 1, "deviation": 30})";

std::string augmented_by(const std::string& pieces, const std::string& more = "") {
    return R"({"augmentation": {"pieces": [)" + pieces + "]" + more + "}}";
}

class TrainAugmentTest : public TrainRunTest {
  protected:
    const std::string both_ = augmented_by(std::string(kFlip) + ", " + kNoise);

    // A run of two epochs and a part of the third that is kept in `run`.
    ProgramResult keep(const std::string& run, std::vector<std::string> more = {}) {
        std::vector<std::string> options{"--checkpoint", folder_ / run,  "--steps", "30",
                                         "--quiet",      "--validation", "0.2"};
        options.insert(options.end(), more.begin(), more.end());
        return train(options, both_);
    }
    std::string weights(const std::string& run) {
        return read_text(folder_ / run + "/weights.safetensors");
    }
    // The data as pictures in folders.
    std::string picture_tree() {
        for (int i = 0; i < 24; i++) {
            const std::string folder =
                folder_ / "tree/" + std::string(1, static_cast<char>('a' + i % 3));
            std::filesystem::create_directories(folder);
            Picture picture{{1, 4, 4}, {}};
            for (int j = 0; j < 16; j++)
                picture.pixels.push_back(
                    static_cast<uint8_t>(j % 3 == i % 3 ? 200 + i : 7 * i + j));
            write_png(folder + "/" + std::to_string(i) + ".png", picture);
        }
        return folder_ / "tree";
    }
};

TEST_F(TrainAugmentTest, ReadersDoNotChangeTheFiles) {
    ASSERT_EQ(keep("one", {"--readers", "1"}).exit_code, 0);
    for (const char* readers : {"2", "3", "4"}) {
        ASSERT_EQ(keep("other", {"--readers", readers, "--overwrite"}).exit_code, 0);
        EXPECT_EQ(weights("other"), weights("one"));
    }
    ASSERT_EQ(keep("plain", {"--no-augment"}).exit_code, 0);
    EXPECT_NE(weights("plain"), weights("one"));
    ASSERT_EQ(keep("seed", {"--seed", "2"}).exit_code, 0);
    EXPECT_NE(weights("seed"), weights("one"));
}

// Killed within an epoch, without a chance to save, and stopped by a signal: the end is the same.
TEST_F(TrainAugmentTest, ResumedRunsEndEqual) {
    const std::string tree = picture_tree();
    const auto run = [&](const std::string& name, std::vector<std::string> more) {
        std::vector<std::string> options{"--data",       tree,        "--checkpoint",
                                         folder_ / name, "--quiet",   "--checkpoint-minutes",
                                         "0.00001",      "--readers", "3"};
        options.insert(options.end(), more.begin(), more.end());
        return run_fake_train(options, both_);
    };
    ASSERT_EQ(run("whole", {"--steps", "20"}).exit_code, 0);
    for (int signal : {SIGKILL, SIGTERM}) {
        const std::string name = signal == SIGKILL ? "killed" : "stopped";
        for (int64_t step : {3, 5, 6}) {
            use_fake_network({});
            fake_hooks().signal_step = step;
            fake_hooks().signal = signal;
            const ProgramResult result = run(name, {"--steps", "20", "--resume=auto"});
            EXPECT_EQ(result.signal, signal == SIGKILL ? SIGKILL : 0) << result.err;
        }
        use_fake_network({});
        ASSERT_EQ(run(name, {"--resume"}).exit_code, 0);
        EXPECT_EQ(weights(name), weights("whole")) << name;
    }
}

// Of a rate of 0 nothing is learnt: what validation, test and inference see has not changed.
TEST_F(TrainAugmentTest, OnlyWhatIsTrainedOnIsAugmented) {
    write_easy_set(folder_.path(), /*is_test=*/true, 20, 4, 4, 3);
    const auto lines = [&](std::vector<std::string> more) {
        more.insert(more.end(), {"--learning-rate", "0", "--schedule", "constant", "--epochs", "1",
                                 "--validation", "0.2", "--json"});
        return read_lines(train(more, both_).out);
    };
    const auto augmented = lines({}), plain = lines({"--no-augment"});
    double losses[2] = {}, validation[2] = {}, test[2] = {};
    for (int i = 0; i < 2; i++) {
        for (const nlohmann::json& line : i == 0 ? augmented : plain) {
            if (line["event"] == "epoch") {
                losses[i] = line["loss"];
                validation[i] = line["validation"]["loss"];
            }
            if (line["event"] == "test") test[i] = line["loss"];
        }
    }
    EXPECT_NE(losses[0], losses[1]);
    EXPECT_NE(validation[0], 0);
    EXPECT_EQ(validation[0], validation[1]);
    EXPECT_NE(test[0], 0);
    EXPECT_EQ(test[0], test[1]);
    EXPECT_EQ(augmented[0]["augmentation"],
              "horizontal_flip {probability=0.5}, noise {probability=1, deviation=30}");
    EXPECT_FALSE(plain[0].contains("augmentation"));
}

TEST_F(TrainAugmentTest, ARunGoesOnWithItsAugmentation) {
    ASSERT_EQ(keep("run").exit_code, 0);
    const auto resume = [&](const std::string& changes, std::vector<std::string> more = {}) {
        more.insert(more.end(), {"--checkpoint", folder_ / "run", "--resume", "--steps", "40"});
        return train(more, changes).err;
    };
    const std::string where = "error: " + folder_ / "run/checkpoint" + ": ";
    EXPECT_EQ(resume(augmented_by(kFlip)),
              where +
                  "its run augments pictures by horizontal_flip {probability=0.5}, noise "
                  "{probability=1, deviation=30}, but this program by horizontal_flip "
                  "{probability=0.5}\n"
                  "  fix: build the program with that augmentation to resume this run\n");
    EXPECT_EQ(resume("{}"),
              where +
                  "its run augments pictures by horizontal_flip {probability=0.5}, noise "
                  "{probability=1, deviation=30}, but this program does not\n"
                  "  fix: build the program with that augmentation to resume this run\n");
    EXPECT_EQ(
        resume(both_, {"--no-augment"}),
        "error: --no-augment: is given, but the run of the checkpoint augments its pictures by "
        "horizontal_flip {probability=0.5}, noise {probability=1, deviation=30}\n"
        "  fix: leave the option out with --resume, or begin a new run in another folder\n");
    ASSERT_EQ(keep("plain", {"--no-augment"}).exit_code, 0);
    ASSERT_EQ(
        train({"--checkpoint", folder_ / "plain", "--resume", "--steps", "40"}, both_).exit_code,
        0);
}

TEST_F(TrainAugmentTest, WrongUsage) {
    const auto message = [&](std::vector<std::string> options, const std::string& changes) {
        return train(std::move(options), changes).err;
    };
    for (const char* option : {"--augment-preview", "--augment-ablation"}) {
        const std::string file = folder_ / "file";
        EXPECT_EQ(message({option, file, "--validation", "0.2"}, "{}"),
                  std::string("error: ") + option +
                      ": is of no use: the model has no augmentation\n"
                      "  fix: give it one with augment({...}) and build it anew, or leave the "
                      "option out\n");
        for (const auto& more : std::vector<std::vector<std::string>>{{"--checkpoint", "a"},
                                                                      {"--weights", "a"},
                                                                      {"--rate-test", "a"},
                                                                      {"--dry-run"},
                                                                      {"--no-augment"},
                                                                      {"--ema", "0.9"},
                                                                      {"--profile"},
                                                                      {"--trace", "a"}}) {
            std::vector<std::string> options{option, file, "--validation", "0.2"};
            options.insert(options.end(), more.begin(), more.end());
            EXPECT_EQ(message(options, both_), "error: " + more[0] + ": cannot be combined with " +
                                                   option + "\n  fix: leave one of the two out\n");
        }
        EXPECT_EQ(message({option, folder_ / "none/file", "--validation", "0.2"}, both_)
                      .find(std::string("error: ") + option + " "),
                  0u);
        EXPECT_FALSE(std::filesystem::exists(file));
    }
    EXPECT_EQ(message({"--augment-ablation", "a"}, both_),
              "error: --augment-ablation: needs a validation to compare by\n"
              "  fix: add --validation, such as --validation 0.1\n");
    EXPECT_EQ(
        message({"--no-augment"}, "{}"),
        "error: --no-augment: is of no use: the model has no augmentation\n"
        "  fix: give it one with augment({...}) and build it anew, or leave the option out\n");
}

// The description comes from the compiler, but not from this one.
TEST_F(TrainAugmentTest, UnknownAugmentationsAreRefused) {
    const std::string fix =
        "\n  fix: build the program anew with the compiler that its runtime belongs to\n";
    const std::string where = "error: network description: ";
    EXPECT_EQ(train({}, augmented_by(R"({"kind": "spin"})")).err,
              where + "cannot be read: there is no augmentation 'spin'" + fix);
    EXPECT_EQ(train({}, augmented_by(kFlip, R"(, "fill": "mirror")")).err,
              where + "cannot be read: there is no fill 'mirror'" + fix);
    EXPECT_EQ(train({}, augmented_by(R"({"kind": "rotate", "low": 5})")).err,
              where + "rotate: low is 5, but high is 0\n  fix: give the lower end first\n");
    EXPECT_EQ(train({}, augmented_by(R"({"kind": "random_crop", "height": 9})")).err,
              where +
                  "random_crop: a part 9 high and 4 wide does not fit into the picture, 4 high and "
                  "4 wide\n  fix: choose a smaller part, or more padding\n");
    const ProgramResult numbers = train({}, augmented_by(R"({"kind": "rotate", "low": "a"})"));
    EXPECT_EQ(numbers.exit_code, 1);
    EXPECT_EQ(numbers.err.find(where + "cannot be read: "), 0u) << numbers.err;
}

TEST_F(TrainAugmentTest, NumbersAreRefused) {
    std::string csv;
    for (int i = 0; i < 6; i++) {
        csv += std::to_string(i % 3);
        for (int j = 0; j < 16; j++) csv += "," + std::to_string(j);
        csv += "\n";
    }
    testing::put_file(folder_ / "a.csv", csv);
    EXPECT_EQ(run_fake_train({"--data", folder_ / "a.csv"}, both_).err,
              "error: " + folder_ / "a.csv" +
                  ": holds numbers, but the network augments pictures\n"
                  "  fix: give data of pictures, or add --no-augment\n");
    EXPECT_EQ(
        run_fake_train({"--data", folder_ / "a.csv", "--no-augment", "--quiet"}, both_).exit_code,
        0);
}

// Preview

// A row for each of 8 pictures, larger by 16, 9 columns, lines of 2 pixels; the first picture of
// each row is as it is, the others as the epochs have them.
TEST_F(TrainAugmentTest, PreviewShowsWhatIsTrainedOn) {
    const auto preview = [&](const char* file) {
        return train({"--augment-preview", folder_ / file}, both_);
    };
    const ProgramResult result = preview("a.png");
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "preview written to " + folder_ / "a.png" + "\n");
    ASSERT_EQ(preview("b.png").exit_code, 0);
    EXPECT_EQ(read_text(folder_ / "a.png"), read_text(folder_ / "b.png"));
    const Picture sheet = read_picture(folder_ / "a.png");
    EXPECT_EQ(sheet.shape, (PictureShape{1, 8 * 66 + 2, 9 * 66 + 2}));
    DataRequest request;
    request.shape = {1, 4, 4};
    request.classes = 3;
    const auto source = open_source(folder_.path(), Part::train, request);
    const Augmentation both{{testing::make_piece("horizontal_flip", {{"probability", 0.5}}),
                             testing::make_piece("noise", {{"deviation", 30}})},
                            Fill::constant,
                            0,
                            0};
    const Augmenter augmenter(both, source->shape, /*seed=*/1);
    const std::vector<uint32_t> order = epoch_order(whole_set(50), 1, 0);
    AugmentMemory memory;
    for (int row : {0, 5, 7}) {
        const Picture picture = source->picture_at(order[static_cast<size_t>(row)]);
        for (int column : {0, 1, 4, 8}) {
            const Picture expected =
                column == 0 ? picture
                            : augmenter.make_picture(picture, static_cast<uint64_t>(column - 1),
                                                     order[static_cast<size_t>(row)], &memory);
            for (int y : {0, 31, 63}) {
                for (int x : {0, 17, 63}) {
                    const int at = (2 + 66 * row + y) * sheet.shape.width + 2 + 66 * column + x;
                    EXPECT_EQ(sheet.pixels[static_cast<size_t>(at)],
                              expected.pixels[static_cast<size_t>(y / 16 * 4 + x / 16)])
                        << row << " " << column;
                }
            }
        }
    }
}

TEST(AugmentReport, SheetsOfLargeAndFewPictures) {
    Dataset source;
    source.shape = {3, 700, 1500};
    source.pixels.resize(2 * source.shape.elements(), 90);
    const Augmenter augmenter({}, source.shape, 1);
    const std::vector<uint32_t> samples{1, 0};
    EXPECT_EQ(contact_sheet(source, samples, augmenter).shape,
              (PictureShape{3, 2 * 702 + 2, 2 * 1502 + 2}));
    source.source = "a.bin";
    source.shape = {2, 5, 7};
    const Augmenter two({}, source.shape, 1);
    EXPECT_EQ(
        testing::message_of([&] { contact_sheet(source, samples, two); }),
        "a.bin: its pictures have 2 channels\n  fix: pictures of 1 or 3 channels can be drawn");
}

// Ablation

TEST(AugmentReport, AblationsKeepTheirNumbers) {
    const Augmentation all{
        {testing::make_piece("rotate"), testing::make_piece("noise")}, Fill::wrap, 0, 0.5};
    const std::vector<NamedAugmentation> runs = ablations_of(all);
    ASSERT_EQ(runs.size(), 4u);
    EXPECT_EQ(runs[0].name, "none");
    EXPECT_TRUE(runs[0].augmentation.empty());
    EXPECT_EQ(runs[2].name, "noise {probability=1, deviation=0}");
    EXPECT_EQ(runs[2].augmentation.pieces[0].values[0], 0);
    EXPECT_EQ(runs[2].augmentation.pieces[1], all.pieces[1]);
    EXPECT_EQ(runs[2].augmentation.untouched, 0.5);
    EXPECT_EQ(runs[3].name, "all");
    EXPECT_EQ(runs[3].augmentation, all);
}

TEST(AugmentReport, Tables) {
    const std::vector<AblationRow> rows{
        {"none", 0.5, 0.8}, {"noise {a=1, b=2}", 0.25, 0.8123}, {"all", {}, 0.7}};
    EXPECT_EQ(ablation_text(rows),
              "augmentation      valid. loss  valid. acc  points\n"
              "none                   0.5000     80.00 %   +0.00\n"
              "noise {a=1, b=2}       0.2500     81.23 %   +1.23\n"
              "all                         -     70.00 %  -10.00\n");
    EXPECT_EQ(ablation_csv(rows),
              "augmentation,loss,accuracy\nnone,0.5,0.8\n\"noise {a=1, b=2}\",0.25,0.8123\n"
              "all,,0.7\n");
    EXPECT_EQ(ablation_json(std::span(rows).last(2)),
              "{\"event\":\"ablation\",\"augmentation\":\"noise {a=1, b=2}\",\"loss\":0.25,"
              "\"accuracy\":0.8123}\n"
              "{\"event\":\"ablation\",\"augmentation\":\"all\",\"accuracy\":0.7}\n");
}

// Each row is what a run of its own finds: the first without augmentation, the last with all.
TEST_F(TrainAugmentTest, AblationComparesWholeRuns) {
    const std::vector<std::string> settings{"--validation", "0.2", "--epochs", "3", "--json"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.end(), settings.begin(), settings.end());
        return train(more, both_);
    };
    const ProgramResult result = with({"--augment-ablation", folder_ / "a.csv"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto rows = read_lines(result.out);
    ASSERT_EQ(rows.size(), 4u);
    const auto last_loss = [&](std::vector<std::string> more) {
        double loss = 0;
        for (const nlohmann::json& line : read_lines(with(std::move(more)).out)) {
            if (line["event"] == "epoch") loss = line["validation"]["loss"];
        }
        return loss;
    };
    EXPECT_EQ(rows[0]["augmentation"], "none");
    EXPECT_EQ(rows[0]["loss"], last_loss({"--no-augment"}));
    EXPECT_EQ(rows[3]["augmentation"], "all");
    EXPECT_EQ(rows[3]["loss"], last_loss({}));
    EXPECT_NE(rows[1]["loss"], rows[0]["loss"]);
    EXPECT_NE(rows[2]["loss"], rows[1]["loss"]);
    const std::string csv = read_text(folder_ / "a.csv");
    EXPECT_EQ(csv.find("augmentation,loss,accuracy\nnone,"), 0u) << csv;
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
}

}  // namespace
}  // namespace emulsion
