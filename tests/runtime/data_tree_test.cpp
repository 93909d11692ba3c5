// Pictures in files: trees of class folders, lists, and what is wrong with them.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/data/open.h"
#include "runtime/data/picture_files.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;
using testing::put_file;
using Names = std::vector<std::string>;

class DataTree : public ::testing::Test {
  protected:
    // A grey picture of one value.
    void add_picture(const std::string& name, uint8_t value = 9, int side = 2) {
        make_folder(folder_of(folder_ / name));
        const auto pixels = static_cast<size_t>(side * side);
        write_png(folder_ / name, {{1, side, side}, std::vector<uint8_t>(pixels, value)});
    }
    DataRequest request(int classes) const {
        DataRequest request;
        request.shape = {1, 2, 2};
        request.classes = classes;
        return request;
    }
    std::unique_ptr<Source> open(int classes, Part part = Part::train) {
        return open_source(folder_.path(), part, request(classes));
    }
    std::string refusal(const DataRequest& request, const std::string& name = "") {
        return message_of([&] { open_source(folder_ / name, Part::train, request); },
                          folder_.path());
    }
    // The paths of the source without the folder.
    Names paths_of(const Source& source) {
        Names names;
        for (uint64_t i = 0; i < source.count(); i++)
            names.push_back(source.name_of(i).substr(folder_.path().size() + 1));
        return names;
    }

    TestFolder folder_;
};

TEST_F(DataTree, HiddenFilesAndFoldersArePassedOverAndNestedOnesCount) {
    add_picture(".ipynb_checkpoints/a-checkpoint.png");
    add_picture("cat/a.png", 1);
    add_picture("cat/b.PNG", 2);
    put_file(folder_ / "cat/.DS_Store", "x");
    put_file(folder_ / "cat/._a.png", "x");
    add_picture("dog/c.png", 3);
    add_picture("dog/sub/d.png", 4);
    put_file(folder_ / "dog/notes.txt", "x");
    put_file(folder_ / "readme.md", "x");
    const auto tree = open(2);
    EXPECT_EQ(paths_of(*tree), (Names{"cat/a.png", "cat/b.PNG", "dog/c.png", "dog/sub/d.png"}));
    EXPECT_EQ(tree->labels, (std::vector<int32_t>{0, 0, 1, 1}));
    EXPECT_EQ(tree->class_names, (Names{"cat", "dog"}));
    EXPECT_EQ(tree->note,
              "found 4 pictures in 2 classes; passed over 1 file without a picture's "
              "name, such as '" +
                  (folder_ / "dog/notes.txt") + "'");
    std::vector<float> row(4);
    tree->read(3, Normalizer(1, nullptr, nullptr), row.data());
    EXPECT_EQ(row, std::vector<float>(4, 4.0f / 255));
    EXPECT_EQ(tree->picture_at(0).pixels[0], 1);
    EXPECT_FALSE(tree->is_in_memory());
    EXPECT_EQ(files_of(folder_.path(), Part::train), Names{});
}

TEST_F(DataTree, ClassesAreInByteOrderOfTheirNames) {
    for (const char* name : {"0", "1", "10", "11", "2", "3", "B", "a", "\xc3\xbc"})
        add_picture(concat(name, "/x.png"));
    EXPECT_EQ(open(9)->class_names, (Names{"0", "1", "10", "11", "2", "3", "B", "a", "\xc3\xbc"}));
}

TEST_F(DataTree, NamesOfAnyBytes) {
    add_picture("z/-n.png");
    add_picture("z/new\nline.png");
    add_picture(
        "\xc3\xbc"
        "bung 1/a b.png");
    add_picture(
        "\xc3\xbc"
        "bung 1/\xe6\x97\xa5.png");
    const auto tree = open(2);
    EXPECT_EQ(tree->count(), 4u);
    add_picture("\xff/x.png");
    EXPECT_EQ(refusal(request(3)).find("DIR/: the name of the class '\\xff' is not of UTF-8"), 0u);
    put_file(folder_ / "z/new\nline.png", "no picture");
    const std::string text = message_of([&] { tree->picture_at(1); }, folder_.path());
    EXPECT_EQ(text.substr(0, text.find('\n')),
              "DIR/z/new\\x0aline.png: this is none of PNG, JPEG, BMP, PGM and PPM; it begins with "
              "'no pictu'");
}

TEST_F(DataTree, LinksAreFollowedOnce) {
    add_picture("cat/a.png");
    add_picture("dog/b.png");
    add_picture("elsewhere.d/c.png");
    rename((folder_ / "elsewhere.d").c_str(), (folder_ / ".elsewhere").c_str());
    ASSERT_EQ(symlink("../.elsewhere", (folder_ / "cat/link").c_str()), 0);
    ASSERT_EQ(symlink("..", (folder_ / "cat/root").c_str()), 0);
    ASSERT_EQ(symlink(".", (folder_ / "dog/self").c_str()), 0);
    ASSERT_EQ(symlink("../cat/a.png", (folder_ / "dog/same.png").c_str()), 0);
    EXPECT_EQ(paths_of(*open(2)),
              (Names{"cat/a.png", "cat/link/c.png", "dog/b.png", "dog/same.png"}));
    ASSERT_EQ(symlink("nowhere.png", (folder_ / "dog/z.png").c_str()), 0);
    EXPECT_EQ(refusal(request(2)).find("DIR/dog/z.png: cannot be read: "), 0u);
}

TEST_F(DataTree, WhatIsWrongIsSaid) {
    EXPECT_EQ(refusal(request(2)).find("DIR/: the folder holds none of train-images"), 0u);
    add_picture("cat/a.png");
    EXPECT_EQ(refusal(request(2)),
              "DIR/: holds one class only, 'cat': there is nothing to tell apart\n"
              "  fix: give pictures of two classes at least, each in a folder of its own");
    make_folder(folder_ / "dog");
    const std::string fix =
        "\n  fix: put pictures (.png, .jpg, .jpeg, .bmp, .ppm, .pgm) into it, or remove it";
    EXPECT_EQ(refusal(request(2)), "DIR/dog: the folder of a class holds no picture" + fix);
    put_file(folder_ / "dog/a.tif", "x");
    EXPECT_EQ(refusal(request(2)),
              "DIR/dog: the folder of a class holds no picture, only files of other names, such as "
              "'DIR/dog/a.tif'" +
                  fix);
    add_picture("dog/b.png");
    EXPECT_EQ(refusal(request(3)),
              "DIR/: holds 2 classes ('cat', 'dog'), but the network has 3\n"
              "  fix: give the model 2 classes, or other data");
    for (int i = 0; i < 9; i++) add_picture(concat("x", i, "/a.png"));
    EXPECT_EQ(refusal(request(2))
                  .find("DIR/: holds 11 classes ('cat', 'dog', 'x0', 'x1', 'x2', "
                        "'x3', 'x4', 'x5' and 3 more), but the network has 2"),
              0u);
}

// Where the network names its classes, folders are found by their names.
TEST_F(DataTree, NamesOfTheNetworkDecide) {
    add_picture("cat/a.png"), add_picture("dog/b.png");
    DataRequest named = request(3);
    named.class_names = {"dog", "owl", "cat"};
    named.may_lack_classes = true;
    EXPECT_EQ(open_source(folder_.path(), Part::train, named)->labels,
              (std::vector<int32_t>{2, 0}));
    named.may_lack_classes = false;
    EXPECT_EQ(refusal(named).find("DIR/: holds 2 classes ('cat', 'dog'), but the network has 3"),
              0u);
    add_picture("emu/c.png");
    EXPECT_EQ(
        refusal(named),
        "DIR/: holds the class 'emu', which the network does not know; its classes are 'dog', "
        "'owl', 'cat'\n  fix: rename the class, or leave it out");
}

TEST_F(DataTree, PartsOfATree) {
    for (const char* part : {"train", "test"}) {
        add_picture(concat(part, "/cat/a.png")), add_picture(concat(part, "/dog/b.png"));
    }
    add_picture("train/dog/c.png");
    EXPECT_EQ(open(2)->count(), 3u);
    EXPECT_EQ(open(2, Part::test)->count(), 2u);
    EXPECT_TRUE(has_part(folder_.path(), Part::test, request(2)));
    EXPECT_FALSE(has_part(folder_ / "train", Part::test, request(2)));
    std::filesystem::remove_all(folder_ / "test");
    make_folder(folder_ / "test");
    EXPECT_EQ(message_of([&] { open(2, Part::test); }, folder_.path()),
              "DIR/test: holds no folders of pictures\n"
              "  fix: give a folder that holds one folder for each class");
}

// Names and sizes tell trees apart, and not where they lie.
TEST_F(DataTree, ChecksumIsOfNamesAndSizes) {
    add_picture("a/1.png"), add_picture("b/2.png");
    const uint32_t before = open(2)->checksum();
    EXPECT_EQ(open_source(folder_.path() + "/", Part::train, request(2))->checksum(), before);
    add_picture("b/2.png", 9, 5);
    const uint32_t larger = open(2)->checksum();
    EXPECT_NE(larger, before);
    rename((folder_ / "b/2.png").c_str(), (folder_ / "b/3.png").c_str());
    EXPECT_NE(open(2)->checksum(), larger);
}

TEST_F(DataTree, AnotherSizeIsResizedUnlessTheRuleRefuses) {
    add_picture("a/1.png", 50, 7), add_picture("b/2.png");
    const auto tree = open(2);
    EXPECT_EQ(to_text(*tree->rule), "bilinear stretch");
    EXPECT_EQ(tree->picture_at(0).pixels, std::vector<uint8_t>(4, 50));
    DataRequest strict = request(2);
    strict.rule = PictureRule{};
    EXPECT_EQ(message_of([&] { open_source(folder_.path(), Part::train, strict)->picture_at(0); },
                         folder_.path()),
              "DIR/a/1.png: the picture is 7 wide and 7 high; the network expects 2 wide and 2 high"
              "\n  fix: resize the picture to 2 x 2, or add --resize bilinear");
}

TEST_F(DataTree, ListsOfPathsAndLabels) {
    add_picture("in/a b.png", 1), add_picture("c.png", 2);
    put_file(folder_ / "l.txt", "in/a b.png 1\r\n\nc.png\t 0\n" + (folder_ / "c.png") + " 1");
    const auto list = open_source(folder_ / "l.txt", Part::train, request(2));
    EXPECT_EQ(paths_of(*list), (Names{"in/a b.png", "c.png", "c.png"}));
    EXPECT_EQ(list->labels, (std::vector<int32_t>{1, 0, 1}));
    EXPECT_TRUE(list->class_names.empty());
    EXPECT_EQ(list->note, "found 3 pictures in 2 classes");
    EXPECT_EQ(files_of(folder_ / "l.txt", Part::train), Names{folder_ / "l.txt"});
    put_file(folder_ / "l.txt", "c.png dog\nc.png cat\nc.png 7\n");
    const auto named = open_source(folder_ / "l.txt", Part::train, request(3));
    EXPECT_EQ(named->class_names, (Names{"7", "cat", "dog"}));
    EXPECT_EQ(named->labels, (std::vector<int32_t>{2, 1, 0}));
    DataRequest first = request(3);
    first.take = 2;
    EXPECT_EQ(open_source(folder_ / "l.txt", Part::train, first)->count(), 2u);
}

TEST_F(DataTree, ListsThatAreNoneAreRefused) {
    const auto refuse = [&](const std::string& text, int classes) {
        put_file(folder_ / "l.txt", text);
        const std::string found = refusal(request(classes), "l.txt");
        return found.substr(0, found.find('\n'));
    };
    EXPECT_EQ(refuse("\n", 2), "DIR/l.txt: the list names no pictures");
    EXPECT_EQ(refuse("a.png 0\nb.png\n", 2),
              "DIR/l.txt:2: expected a path, a blank and a label, found 'b.png'");
    EXPECT_EQ(refuse(" 1\n", 2), "DIR/l.txt:1: expected a path, a blank and a label, found ' 1'");
    EXPECT_EQ(refuse("a.png 0\nb.png 2\n", 2),
              "DIR/l.txt, b.png: label 2, but the network has 2 classes (labels 0 to 1)");
    EXPECT_EQ(refuse("a.png x\nb.png y\n", 3),
              "DIR/l.txt: holds 2 classes ('x', 'y'), but the network has 3");
}

}  // namespace
}  // namespace emulsion
