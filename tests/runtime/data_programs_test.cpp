// Folders of pictures and tables through both programs: classes and the rule for sizes travel with
// the weights, and what contradicts them is refused.
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/data/picture.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "tests/runtime/train_support.h"
#include "tests/support/paths.h"

namespace emulsion {
namespace {

using Arguments = std::vector<std::string>;

class DataProgramsTest : public testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        for (int i = 0; i < 6; i++) {
            for (int label = 0; label < 3; label++)
                write_picture(concat("data/", kNames[label], "/", i, ".png"), label, i);
        }
    }

    // A picture whose rows of the network's width are those of a class, somewhat larger than the
    // network's.
    void write_picture(const std::string& name, int label, int shade) {
        Picture picture{{3, 8, 12}, {}};
        for (int y = 0; y < 8; y++) {
            for (int x = 0; x < 12; x++) {
                const int pixel = y / 2 * 4 + x / 3;
                const int value = pixel % 3 == label ? 200 + 5 * shade : 10 + 3 * shade;
                picture.pixels.insert(picture.pixels.end(), 3, static_cast<uint8_t>(value));
            }
        }
        make_folder(folder_of(folder_ / name));
        write_png(folder_ / name, picture);
    }

    ProgramResult train(Arguments options) {
        options.insert(options.begin(), {"--data", folder_ / "data"});
        return run_fake_train(options);
    }
    ProgramResult infer(Arguments options) {
        options.insert(options.begin(), {"--weights", weights_});
        return run_fake_infer(options);
    }

    static constexpr const char* kNames[] = {"Apple", "b\xc3\xa4r", "c"};
    TestFolder folder_;
    const std::string weights_ = folder_ / "w";
};

TEST_F(DataProgramsTest, ClassesOfTheFoldersAreThoseOfTheWeights) {
    const ProgramResult trained = train({"--weights", weights_, "--epochs", "40", "--json"});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    EXPECT_NE(trained.err.find("found 18 pictures in 3 classes\n"), std::string::npos)
        << trained.err;
    // The same pictures through the inference program: one rule, so the same bits.
    const ProgramResult set = infer({"--data", folder_ / "data", "--json"});
    EXPECT_EQ(set.exit_code, 0) << set.err;
    EXPECT_EQ(nlohmann::json::parse(set.out)["accuracy"], 1.0) << set.out;
    const ProgramResult files = infer({folder_ / "data", "--csv", "--top", "2", "--batch", "1"});
    EXPECT_EQ(files.exit_code, 0) << files.err;
    std::istringstream lines(files.out);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "picture,class,index,probability,class2,index2,probability2");
    int count = 0;
    for (; std::getline(lines, line); count++) {
        const char* name = kNames[count / 6];
        EXPECT_EQ(line.find(concat(folder_ / "data", "/", name, "/", count % 6, ".png,", name, ",",
                                   count / 6, ",")),
                  0u)
            << line;
    }
    EXPECT_EQ(count, 18);
    // Another rule than that of the training is refused, and so is a folder of another class.
    EXPECT_EQ(infer({folder_ / "data", "--resize", "area"}).err,
              "error: --resize: is area stretch, but the weights were trained with bilinear "
              "stretch\n  fix: leave the option out\n");
    make_folder(folder_ / "more");
    std::filesystem::rename(folder_ / "data/c", folder_ / "more/d");
    EXPECT_EQ(
        infer({"--data", folder_ / "more"})
            .err.find("error: " + (folder_ / "more") + ": holds the class 'd', which the network"),
        0u);
    // A part of the classes can be looked at.
    const ProgramResult part = infer({"--data", folder_ / "data"});
    EXPECT_TRUE(part.out.starts_with("accuracy 100.00 % (12 of 12), loss ")) << part.out;
}

TEST_F(DataProgramsTest, ReadersAndThreadsDoNotChangeTheFiles) {
    for (const char* readers : {"1", "4"}) {
        const ProgramResult result =
            train({"--checkpoint", folder_ / readers, "--readers", readers, "--epochs", "2",
                   "--validation", "0.2", "--fit", "crop"});
        ASSERT_EQ(result.exit_code, 0) << result.err;
    }
    for (const char* file : {"checkpoint", "weights.safetensors"})
        EXPECT_EQ(read_text(folder_ / "1/" + file), read_text(folder_ / "4/" + file));
}

TEST_F(DataProgramsTest, ARunGoesOnWithTheSameClassesAndRuleAlone) {
    const std::string run = folder_ / "run", whole = folder_ / "whole";
    const auto begin = [&](const std::string& folder, const char* steps) {
        return train({"--checkpoint", folder, "--steps", steps, "--resize", "area", "--schedule",
                      "constant"});
    };
    ASSERT_EQ(begin(whole, "7").exit_code, 0);
    ASSERT_EQ(begin(run, "3").exit_code, 0);
    const auto resume = [&](Arguments options) {
        options.insert(options.begin(), {"--checkpoint", run, "--resume", "--steps", "7"});
        return run_fake_train(options);
    };
    EXPECT_EQ(
        resume({"--resize", "bicubic"}).err,
        "error: --resize: is bicubic stretch, but the run of the checkpoint has area stretch\n"
        "  fix: leave the option out with --resume, or begin a new run in another folder\n");
    std::filesystem::rename(folder_ / "data/c", folder_ / "data/d");
    EXPECT_EQ(resume({}).err.find("error: " + (folder_ / "data") +
                                  ": names 3 classes, of which class 2 is 'd'; the run of the "
                                  "checkpoint began with 3, of which it is 'c'\n"),
              0u);
    std::filesystem::rename(folder_ / "data/d", folder_ / "data/c");
    std::filesystem::rename(folder_ / "data/c/0.png", folder_ / "data/c/9.png");
    EXPECT_NE(resume({}).err.find("holds 18 pictures with checksum "), std::string::npos);
    std::filesystem::rename(folder_ / "data/c/9.png", folder_ / "data/c/0.png");
    EXPECT_EQ(resume({}).exit_code, 0);
    EXPECT_EQ(read_text(run + "/weights.safetensors"), read_text(whole + "/weights.safetensors"));
}

// A picture that cannot be read ends a run with its name; the inference program goes on.
TEST_F(DataProgramsTest, APictureThatCannotBeReadIsNamed) {
    ASSERT_EQ(train({"--weights", weights_, "--epochs", "1"}).exit_code, 0);
    const std::string bad = folder_ / "data/c/3.png";
    const std::string whole = read_text(bad);
    for (const std::string& text :
         {std::string("no picture"), whole.substr(0, whole.size() / 2), std::string()}) {
        std::filesystem::remove(bad);
        std::ofstream(bad, std::ios::binary) << text;
        const ProgramResult trained = train({"--epochs", "1"});
        EXPECT_EQ(trained.exit_code, 1);
        EXPECT_NE(trained.err.find("error: " + bad + ": "), std::string::npos) << trained.err;
        const ProgramResult set = infer({"--data", folder_ / "data"});
        EXPECT_EQ(set.exit_code, 1);
        EXPECT_EQ(set.err.find("error: " + bad + ": "), set.err.find('\n') + 1) << set.err;
        EXPECT_NE(set.out.find(" of 17)"), std::string::npos) << set.out;
    }
}

TEST_F(DataProgramsTest, ValidationDataOfItsOwn) {
    for (int label = 0; label < 2; label++)  // some of the classes are enough
        write_picture(concat("other/", kNames[label], "/x.png"), label, 2);
    const ProgramResult result =
        train({"--epochs", "40", "--validation", folder_ / "other", "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto lines = read_lines(result.out);
    EXPECT_EQ(lines[0]["train_pictures"], 18);
    EXPECT_EQ(lines[0]["validation_pictures"], 2);
    EXPECT_EQ(lines[40]["validation"]["samples"], 2);
    EXPECT_EQ(lines[40]["validation"]["accuracy"], 1.0);
    const ProgramResult leading =
        train({"--epochs", "1", "--validation", "0.34", "--split", "leading", "--json"});
    EXPECT_EQ(read_lines(leading.out)[0]["validation_pictures"], 6) << leading.err;
    EXPECT_EQ(train({"--validation", folder_ / "none"}).exit_code, 1);
    EXPECT_EQ(train({"--split", "leading"}).err,
              "error: --split: needs a share that is held out\n"
              "  fix: add --validation, such as --validation 0.1, or leave it out\n");
}

TEST_F(DataProgramsTest, TablesAreTrainedOnAndTheirScaleTravels) {
    std::string text = "label";
    for (int i = 0; i < 16; i++) text += concat(",p", i);
    for (int row = 0; row < 30; row++) {
        text += concat("\n", row % 3);
        for (int i = 0; i < 16; i++) text += i % 3 == row % 3 ? ",200" : ",10.5";
    }
    std::ofstream(folder_ / "t.csv") << text;
    const auto train_table = [&](Arguments options) {
        options.insert(options.begin(), {"--data", folder_ / "t.csv", "--epochs", "10"});
        return run_fake_train(options);
    };
    ASSERT_EQ(train_table({"--scale", "255", "--weights", weights_}).exit_code, 0);
    const ProgramResult set = infer({"--data", folder_ / "t.csv"});
    EXPECT_TRUE(set.out.starts_with("accuracy 100.00 % (30 of 30), loss ")) << set.out << set.err;
    EXPECT_EQ(infer({"--data", folder_ / "t.csv", "--scale", "1"}).err,
              "error: --scale: is 1, but the weights were trained with 255\n"
              "  fix: leave the option out\n");
    EXPECT_EQ(train_table({"--resize", "area"}).err,
              "error: --resize: '" + (folder_ / "t.csv") +
                  "' holds no pictures that are resized\n  fix: leave --resize and --fit out\n");
    EXPECT_EQ(train({"--scale", "2"})
                  .err.find("error: --scale: '" + (folder_ / "data") +
                            "' holds pictures, whose values are divided by 255"),
              0u);
}

TEST_F(DataProgramsTest, TwoFilesInThePlaceOfASet) {
    write_easy_set(folder_.path(), /*is_test=*/false, 30, 4, 4, 3);
    const std::string images = folder_ / "train-images-idx3-ubyte",
                      labels = folder_ / "train-labels-idx1-ubyte";
    const Arguments files{"--images", images, "--labels", labels, "--epochs", "2"};
    Arguments as_files = files, as_set{"--data", folder_.path(), "--epochs", "2"};
    as_files.insert(as_files.end(), {"--weights", folder_ / "a"});
    as_set.insert(as_set.end(), {"--weights", folder_ / "b"});
    ASSERT_EQ(run_fake_train(as_files).exit_code, 0);
    ASSERT_EQ(run_fake_train(as_set).exit_code, 0);
    EXPECT_EQ(read_text(folder_ / "a"), read_text(folder_ / "b"));
    EXPECT_EQ(run_fake_train({"--images", images}).err,
              "error: --labels: is missing\n  fix: give both files, --images FILE --labels FILE\n");
    Arguments both = files;
    both.insert(both.end(), {"--data", "x"});
    EXPECT_EQ(run_fake_train(both).err,
              "error: --images: cannot be combined with --data\n  fix: give one source of "
              "pictures\n");
}

// The records of examples/reader.c: a label and 16 values.
TEST_F(DataProgramsTest, AReaderOfTheUsersOwn) {
    const std::string readers = binary_path("tests/readers/");
    std::string records;
    for (int row = 0; row < 30; row++) {
        records += static_cast<char>(row % 3);
        for (int i = 0; i < 16; i++) records += i % 3 == row % 3 ? '\xc8' : '\x0a';
    }
    std::ofstream(folder_ / "records", std::ios::binary) << records;
    const std::string data = readers + "reader.so:" + (folder_ / "records");
    const ProgramResult trained =
        run_fake_train({"--data", data, "--epochs", "10", "--weights", weights_, "--readers", "3",
                        "--validation", "0.2"});
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
    const ProgramResult set = infer({"--data", data, "--part", "train"});
    EXPECT_TRUE(set.out.starts_with("accuracy 100.00 % (30 of 30), loss ")) << set.out << set.err;
    EXPECT_EQ(run_fake_train({"--data", data, "--validation", "test"}).err,
              "error: --validation: '" + data +
                  "' has no test part\n  fix: give a fraction of the training part, such as "
                  "--validation 0.1\n");
    EXPECT_EQ(run_fake_train({"--data", readers + "reader.so:none"}).err,
              "error: " + readers +
                  "reader.so: none: no file of records of 17 bytes\n"
                  "  fix: see what the reader reads from\n");
    Dl_info library{};  // that is no reader: the C library
    ASSERT_NE(dladdr(reinterpret_cast<void*>(&gnu_get_libc_version), &library), 0);
    std::filesystem::create_symlink(library.dli_fname, folder_ / "c.so");
    EXPECT_EQ(run_fake_train({"--data", folder_ / "c.so"}).err,
              "error: " + (folder_ / "c.so") +
                  ": exports no emulsion_open_reader\n"
                  "  fix: build it of a reader as emulsion_reader.h describes it\n");
    std::ofstream(folder_ / "text.so") << "no library";
    EXPECT_NE(run_fake_train({"--data", folder_ / "text.so"}).err.find("cannot be loaded: "),
              std::string::npos);
}

TEST_F(DataProgramsTest, AReaderThatFailsIsNamed) {
    const std::string bad = binary_path("tests/readers/bad_reader.so");
    for (const auto& [fault, problem] :
         {std::pair("refuse", "nobody is at home"),
          std::pair("label", "label 9 at row 2, but the network has 3 classes (labels 0 to 2)"),
          std::pair("row", "row 1: the cable\\x0ais cut"),
          std::pair("nan", "row 1 holds NaN or infinity at 3"),
          std::pair("none", "the reader has no function read"),
          std::pair("empty", "the reader has no rows to train on")}) {
        const ProgramResult result =
            run_fake_train({"--data", concat(bad, ":", fault), "--validation", "test"});
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_NE(result.err.find(concat("error: ", bad, ": ", problem, "\n  fix: ")),
                  std::string::npos)
            << result.err;
    }
}

// Pictures are classified as their names come: the first before the last is there.
TEST_F(DataProgramsTest, NamesFromAListAndFromStandardInput) {
    ASSERT_EQ(train({"--weights", weights_, "--epochs", "40"}).exit_code, 0);
    std::ofstream(folder_ / "data/list") << "Apple/0.png\r\n\n" << (folder_ / "data/c/1.png");
    const ProgramResult listed = infer({"--list", folder_ / "data/list", "--json"});
    EXPECT_EQ(listed.exit_code, 0) << listed.err;
    const auto lines = read_lines(listed.out);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0]["class"], "Apple");
    EXPECT_EQ(lines[1]["class"], "c");
    EXPECT_EQ(infer({"--list", folder_ / "none"})
                  .err.find("error: " + (folder_ / "none") + ": cannot be read: "),
              0u);
    make_folder(folder_ / "empty");
    EXPECT_EQ(infer({folder_ / "empty"}).err,
              "error: " + (folder_ / "empty") +
                  ": the folder holds no picture\n"
                  "  fix: give a folder with .png, .jpg, .jpeg, .bmp, .ppm or .pgm files\n");
    std::ofstream(folder_ / "long") << std::string(2 << 20, 'x');
    EXPECT_EQ(infer({"--list", folder_ / "long"}).err,
              "error: " + (folder_ / "long") +
                  ": a line has more than 1048576 bytes\n"
                  "  fix: give a list with one path a line\n");
    int names[2], results[2];
    ASSERT_EQ(pipe2(names, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(results, O_CLOEXEC), 0);
    const auto main = [&](int argc, char** argv) {
        dup2(names[0], STDIN_FILENO);
        close(names[1]);
        return emulsion_infer_main(argc, argv, &fake_infer_library(), nullptr,
                                   fake_description().c_str());
    };
    RunningProgram program(main, {"fake-infer", "--weights", weights_, "--list", "-", "--json"},
                           {.out = results[1]});
    close(names[0]), close(results[1]);
    for (const int label : {2, 0}) {
        const std::string name = concat(folder_ / "data", "/", kNames[label], "/4.png\n");
        ASSERT_EQ(write(names[1], name.data(), name.size()), static_cast<ssize_t>(name.size()));
        std::string line;
        for (char c; read(results[0], &c, 1) == 1 && c != '\n';) line += c;
        EXPECT_EQ(nlohmann::json::parse(line)["class"], kNames[label]);
    }
    close(names[1]);
    EXPECT_EQ(program.wait().exit_code, 0);
    close(results[0]);
}

// However many pictures there are, no more than the rows of one table are in memory.
TEST_F(DataProgramsTest, ALongTableComesInParts) {
    ASSERT_EQ(train({"--weights", weights_, "--epochs", "1"}).exit_code, 0);
    std::ofstream list(folder_ / "list");
    for (int i = 0; i < 1030; i++) list << folder_ / "data/c/1.png" << '\n';
    list.close();
    const ProgramResult result = infer({"--list", folder_ / "list"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1030 + 2);
}

TEST_F(DataProgramsTest, APreviewOfWhatTheNetworkSees) {
    const ProgramResult written = run_fake_infer(
        {"--data", folder_ / "data", "--take", "7", "--write-pictures", folder_ / "seen"});
    EXPECT_EQ(written.exit_code, 0) << written.err;
    const Picture picture = read_picture(folder_ / "seen/00006-b-r.png");
    EXPECT_EQ(picture.shape, (PictureShape{1, 4, 4}));
}

TEST_F(DataProgramsTest, OptionsThatContradict) {
    const auto usage = [&](const ProgramResult& result, const std::string& message) {
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.err, message);
    };
    usage(train({"--resize", "round"}),
          "error: --resize: 'round' is no way to resize\n"
          "  fix: choose nearest, bilinear, bicubic or area\n");
    usage(train({"--fit", "fill"}),
          "error: --fit: 'fill' is no way to fit a picture\n  fix: choose stretch or crop\n");
    usage(train({"--readers", "0"}),
          "error: --readers: '0' is not a whole number from 1 to 256\n  fix: for example --readers "
          "1\n");
    usage(train({"--split", "half", "--validation", "0.1"}),
          "error: --split: 'half' is no way to split\n  fix: choose random or leading\n");
    usage(infer({"a.png", "--csv", "--json"}),
          "error: --csv: cannot be combined with --json\n  fix: give one of the two\n");
    usage(infer({"--list", "x", "--data", "y"}),
          "error: --list: cannot be combined with --data or --idx\n  fix: give one source of "
          "pictures\n");
    for (const Arguments& option :
         {Arguments{"--list", "x"}, Arguments{"--csv"}, Arguments{"--batch", "1"},
          Arguments{"--resize", "area"}, Arguments{"--fit", "crop"}, Arguments{"--scale", "2"},
          Arguments{"--readers", "2"}}) {
        Arguments all = option;
        all.push_back("--benchmark");
        usage(run_fake_infer(all), "error: " + option[0] +
                                       ": cannot be combined with --benchmark, which measures with "
                                       "random pictures\n  fix: leave one of the two out\n");
    }
}

}  // namespace
}  // namespace emulsion
