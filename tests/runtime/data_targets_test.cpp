// What rows are trained towards beside one class: masks of pictures, and numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/data/loader.h"
#include "runtime/data/masks.h"
#include "runtime/data/open.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;
using testing::put_file;

constexpr std::array<uint8_t, 3> kRed{200, 0, 0}, kGreen{0, 200, 0}, kBlue{0, 0, 200};

class DataTargets : public ::testing::Test {
  protected:
    void SetUp() override {
        map_.shape = {1, 2, 2};
        map_.classes = 3;
        map_.target = {TargetKind::kMap, {1, 2, 2}, 255};
        numbers_.shape = {1, 1, 2};
        numbers_.target = {TargetKind::kNumbers, {2, 1, 1}};
    }
    void add_picture(const std::string& name, int height, int width) {
        make_folder(folder_of(folder_ / name));
        const auto pixels = static_cast<size_t>(height * width);
        write_png(folder_ / name, {{1, height, width}, std::vector<uint8_t>(pixels, 9)});
    }
    // With a palette, unless it is grey.
    void add_mask(const std::string& name, int height, int width, std::vector<uint8_t> indices,
                  bool is_grey = false) {
        make_folder(folder_of(folder_ / name));
        const Picture mask{{1, height, width}, std::move(indices)};
        if (is_grey) return write_png(folder_ / name, mask);
        const std::array<std::array<uint8_t, 3>, 3> palette{kRed, kGreen, kBlue};
        put_file(folder_ / name, encode_index_png(mask, palette));
    }
    std::vector<int32_t> target_of(const Source& source, uint64_t index) {
        std::vector<int32_t> target(source.target.elements());
        source.read_target(index, target.data());
        return target;
    }
    std::vector<float> numbers_of(const Source& source, uint64_t index) {
        std::vector<float> numbers(source.target.elements());
        source.read_target(index, reinterpret_cast<int32_t*>(numbers.data()));
        return numbers;
    }
    std::string refusal(const DataRequest& request, const std::string& name = "") {
        return message_of([&] { open_source(folder_ / name, Part::train, request); },
                          folder_.path());
    }
    // Of reading the first row.
    std::string row_refusal(const DataRequest& request) {
        const auto source = open_source(folder_.path(), Part::train, request);
        std::vector<float> row(source->shape.elements());
        std::vector<int32_t> target(source->target.elements());
        return message_of(
            [&] {
                source->read(0, Normalizer(1, nullptr, nullptr), row.data());
                source->read_target(0, target.data());
            },
            folder_.path());
    }

    TestFolder folder_;
    DataRequest map_, numbers_;
};

TEST_F(DataTargets, MasksOfAFolderAreIndicesWhateverTheirColours) {
    add_picture("images/b.png", 2, 2);
    add_picture("images/sub/a.png", 2, 2);
    add_mask("masks/b.png", 2, 2, {0, 1, 2, 1});
    add_mask("masks/sub/a.png", 2, 2, {2, 255, 0, 0}, /*is_grey=*/true);
    const auto source = open_source(folder_.path(), Part::train, map_);
    ASSERT_EQ(source->count(), 2u);
    EXPECT_EQ(source->note, "found 2 pictures with a mask each");
    EXPECT_EQ(target_of(*source, 0), (std::vector<int32_t>{0, 1, 2, 1}));
    EXPECT_EQ(target_of(*source, 1), (std::vector<int32_t>{2, 255, 0, 0}));
    EXPECT_TRUE(source->labels.empty());
    EXPECT_FALSE(has_part(folder_.path(), Part::test, map_));
}

TEST_F(DataTargets, PartsOfAFolder) {
    for (const std::string part : {"train", "test"}) {
        add_picture(part + "/images/a.png", 2, 2);
        add_mask(part + "/masks/a.png", 2, 2, {0, 0, 0, part == "train" ? uint8_t{1} : uint8_t{2}});
    }
    EXPECT_TRUE(has_part(folder_.path(), Part::test, map_));
    EXPECT_EQ(target_of(*open_source(folder_.path(), Part::train, map_), 0)[3], 1);
    EXPECT_EQ(target_of(*open_source(folder_.path(), Part::test, map_), 0)[3], 2);
}

// The mask takes the nearest pixels where the picture takes means, over the same part.
TEST_F(DataTargets, MaskAndPictureBecomeTheNetworksSizeByOneRule) {
    add_picture("images/a.png", 2, 4);
    add_mask("masks/a.png", 2, 4, {0, 1, 2, 0, 2, 2, 1, 1});
    EXPECT_EQ(target_of(*open_source(folder_.path(), Part::train, map_), 0),
              (std::vector<int32_t>{1, 0, 2, 1}));
    map_.rule = PictureRule{Resize::kBilinear, Fit::kCrop};
    EXPECT_EQ(target_of(*open_source(folder_.path(), Part::train, map_), 0),
              (std::vector<int32_t>{1, 2, 2, 1}));
    map_.target.shape = {1, 1, 2};  // scores of another size than the picture's
    map_.rule = kDefaultRule;
    EXPECT_EQ(target_of(*open_source(folder_.path(), Part::train, map_), 0),
              (std::vector<int32_t>{2, 1}));
}

TEST_F(DataTargets, ListsOfPicturesAndMasks) {
    add_picture("a b.png", 2, 2);
    add_mask("m.png", 2, 2, {0, 1, 2, 0});
    put_file(folder_ / "l.txt", "a b.png\tm.png\n\n");
    const auto source = open_source(folder_ / "l.txt", Part::train, map_);
    EXPECT_EQ(source->name_of(0), folder_ / "a b.png");
    EXPECT_EQ(target_of(*source, 0), (std::vector<int32_t>{0, 1, 2, 0}));
    put_file(folder_ / "l.txt", "a b.png m.png\na b.png none.png\n");
    EXPECT_EQ(refusal(map_, "l.txt"),
              "DIR/l.txt:2: there is no mask 'DIR/none.png'"
              "\n  fix: write a picture and its mask, such as \"images/1.jpg masks/1.png\"");
}

TEST_F(DataTargets, WhatIsWrongWithAFolderOfMasks) {
    add_picture("images/a.png", 2, 2);
    EXPECT_EQ(refusal(map_),
              "DIR/: the network classifies each pixel, but the folder holds no masks"
              "\n  fix: give a folder that holds images/NAME.jpg and masks/NAME.png");
    make_folder(folder_ / "masks");
    make_folder(folder_ / "empty/images");
    make_folder(folder_ / "empty/masks");
    EXPECT_EQ(refusal(map_, "empty"),
              "DIR/empty/images: the folder holds no picture"
              "\n  fix: put pictures (.png, .jpg, .jpeg, .bmp, .ppm, .pgm) into it");
    EXPECT_EQ(refusal(map_),
              "DIR/images/a.png: has no mask"
              "\n  fix: put its mask at DIR/masks/a.png");
    add_mask("masks/a.png", 2, 2, {0, 0, 0, 0});
    add_mask("masks/b.png", 2, 2, {0, 0, 0, 0});
    EXPECT_EQ(refusal(map_),
              "DIR/masks/b.png: is a mask without a picture"
              "\n  fix: put its picture at DIR/images/b.jpg or .png");
    remove_file(folder_ / "masks/b.png");
    write_png(folder_ / "images/a.jpg", {{1, 2, 2}, {1, 1, 1, 1}});
    EXPECT_EQ(refusal(map_),
              "DIR/images/a.png: has the name of 'DIR/images/a.jpg' but for the ending"
              "\n  fix: give each picture a name of its own");
}

TEST_F(DataTargets, WhatIsWrongWithAMask) {
    add_picture("images/a.png", 2, 2);
    add_mask("masks/a.png", 2, 3, {0, 0, 0, 0, 0, 0});
    EXPECT_EQ(row_refusal(map_),
              "DIR/masks/a.png: the mask is 3 wide and 2 high, but its picture "
              "'DIR/images/a.png' is 2 wide and 2 high"
              "\n  fix: give a mask with one class index for each pixel of its picture");
    add_mask("masks/a.png", 2, 2, {0, 0, 3, 0}, true);
    EXPECT_EQ(row_refusal(map_),
              "DIR/masks/a.png: the class index at column 0, row 1 is 3, but the network has 3 "
              "classes (indices 0 to 2, and 255 where nothing counts)"
              "\n  fix: correct the mask, give the model more classes, or .ignored = 3");
    map_.target.ignored.reset();
    add_mask("masks/a.png", 2, 2, {0, 255, 0, 0}, true);
    EXPECT_EQ(row_refusal(map_),
              "DIR/masks/a.png: the class index at column 1, row 0 is 255, but the network has 3 "
              "classes (indices 0 to 2)"
              "\n  fix: correct the mask, give the model more classes, or .ignored = 255");
    write_png(folder_ / "masks/a.png", {{3, 2, 2}, std::vector<uint8_t>(12, 1)});
    EXPECT_EQ(row_refusal(map_),
              "DIR/masks/a.png: the mask has 8 bits and the colour type 2 of PNG; a class index is "
              "a grey value or an index into a palette, of 8 bits or less"
              "\n  fix: save masks as PNG of one channel that holds class indices");
    put_file(folder_ / "masks/a.png", "P5 2 2 255 abcd");
    EXPECT_EQ(row_refusal(map_),
              "DIR/masks/a.png: the mask is no PNG file"
              "\n  fix: save masks as PNG of one channel that holds class indices");
}

TEST_F(DataTargets, IndicesOfEveryPaletteComeBack) {
    const Picture mask{{1, 2, 3}, {0, 1, 2, 2, 1, 0}};
    const std::array<std::array<uint8_t, 3>, 3> palette{kRed, kGreen, kBlue};
    const Bytes png = encode_index_png(mask, palette);
    EXPECT_EQ(decode_index_png(png, "x").pixels, mask.pixels);
    const Picture shown = decode_picture(png, "x");
    EXPECT_EQ(shown.shape.channels, 3);
    EXPECT_EQ(shown.pixels[3], 0);
    EXPECT_EQ(shown.pixels[4], 200);  // the second pixel is green
}

// A loader's batch holds the maps of its rows, in their order.
TEST_F(DataTargets, BatchesHoldTheMaps) {
    for (int i = 0; i < 3; i++) {
        add_picture(concat("images/", i, ".png"), 2, 2);
        add_mask(concat("masks/", i, ".png"), 2, 2,
                 std::vector<uint8_t>(4, static_cast<uint8_t>(i)));
    }
    const auto source = open_source(folder_.path(), Part::train, map_);
    LoaderOptions options;
    options.batch = 2;
    options.is_shuffled = false;
    options.workers = 2;
    Loader loader(*source, {2, 0, 1}, Normalizer(1, nullptr, nullptr), options);
    const Batch first = loader.next();
    EXPECT_EQ(std::vector<int32_t>(first.labels, first.labels + 8),
              (std::vector<int32_t>{2, 2, 2, 2, 0, 0, 0, 0}));
    EXPECT_EQ(loader.next().labels[3], 1);
}

TEST_F(DataTargets, NumbersOfCsv) {
    put_file(folder_ / "x.csv", "a,b,p,q\n0.5,-1,2,3\n1e-2,4,5,6\n");
    const auto source = open_source(folder_ / "x.csv", Part::train, numbers_);
    ASSERT_EQ(source->count(), 2u);
    EXPECT_EQ(numbers_of(*source, 0), (std::vector<float>{0.5f, -1.0f}));
    EXPECT_EQ(numbers_of(*source, 1), (std::vector<float>{0.01f, 4.0f}));
    std::vector<float> row(2);
    source->read(1, Normalizer(1, nullptr, nullptr), row.data());
    EXPECT_EQ(row, (std::vector<float>{5.0f, 6.0f}));
    put_file(folder_ / "x.csv", "0.5,-1,2\n");
    EXPECT_EQ(refusal(numbers_, "x.csv"),
              "DIR/x.csv: line 1: holds what is predicted and 1 value; the network expects 2 "
              "(1x1x2)"
              "\n  fix: give as many values a line, or change the input of the model");
    put_file(folder_ / "x.csv", "1\n");
    EXPECT_EQ(refusal(numbers_, "x.csv"),
              "DIR/x.csv: line 1: holds 1 value; expected 2 that are predicted, and those of the "
              "row behind them"
              "\n  fix: put what the network predicts in front");
    put_file(folder_ / "x.csv", "1,nan,2,3\n");
    EXPECT_EQ(refusal(numbers_, "x.csv"),
              "DIR/x.csv: line 1: value 2 is 'nan'; expected a finite number"
              "\n  fix: write it with a decimal point, such as 0.5");
}

TEST_F(DataTargets, NumbersOfPictures) {
    add_picture("a.png", 1, 2);
    put_file(folder_ / "l.txt", "a.png 0.25 \t-3\n");
    const auto source = open_source(folder_ / "l.txt", Part::train, numbers_);
    EXPECT_EQ(source->note, "found 1 picture with 2 numbers each");
    EXPECT_EQ(numbers_of(*source, 0), (std::vector<float>{0.25f, -3.0f}));
    put_file(folder_ / "l.txt", "a.png 1 2\na.png 3\n");
    EXPECT_EQ(refusal(numbers_, "l.txt"),
              "DIR/l.txt:2: expected a path, a blank and 2 values, found 'a.png 3'"
              "\n  fix: write one picture a line, such as \"faces/1.jpg 0.1 0.2\"");
    put_file(folder_ / "l.txt", "a.png 1 x\n");
    EXPECT_EQ(refusal(numbers_, "l.txt"),
              "DIR/l.txt:1: value 2 behind the path is 'x'; expected a finite number"
              "\n  fix: write one picture a line, such as \"faces/1.jpg 0.1 0.2\"");
}

// A .npy file, the values as they lie in it.
std::string npy(const std::string& type, const std::string& shape, const void* values,
                size_t bytes) {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
    std::string file("\x93NUMPY\x01\x00", 8);
    file += static_cast<char>(header.size());
    file += '\0';
    return file + header + std::string(static_cast<const char*>(values), bytes);
}

TEST_F(DataTargets, NumbersAndMapsOfNpy) {
    const float rows[] = {1, 2, 3, 4}, targets[] = {0.5f, 1.5f, 2.5f, 3.5f};
    put_file(folder_ / "x.npy", npy("<f4", "(2, 2)", rows, sizeof rows));
    put_file(folder_ / "y.npy", npy("<f4", "(2, 2)", targets, sizeof targets));
    const DataFiles files{folder_ / "x.npy", folder_ / "y.npy"};
    const auto source = open_source(files, numbers_);
    EXPECT_EQ(numbers_of(*source, 1), (std::vector<float>{2.5f, 3.5f}));
    const uint8_t maps[] = {0, 1, 255, 2};
    put_file(folder_ / "y.npy", npy("|u1", "(2, 1, 2)", maps, sizeof maps));
    DataRequest request = numbers_;
    request.classes = 3;
    request.target = {TargetKind::kMap, {1, 1, 2}, 255};
    EXPECT_EQ(target_of(*open_source(files, request), 1), (std::vector<int32_t>{255, 2}));
    const auto refuse = [&](const DataRequest& wanted) {
        return message_of([&] { open_source(files, wanted); }, folder_.path());
    };
    EXPECT_EQ(refuse(numbers_),
              "DIR/y.npy: what rows are trained towards is of type '|u1'; expected '<f4' (float32)"
              "\n  fix: save array.astype('float32')");
    request.classes = 2;
    EXPECT_EQ(refuse(request),
              "DIR/y.npy: row 1 holds the class index 2, but the network has 2 classes (indices 0 "
              "to 1)"
              "\n  fix: correct it, or give the model more classes");
    request.target.shape = {1, 2, 2};
    EXPECT_EQ(refuse(request),
              "DIR/y.npy: the maps have the shape (2, 1, 2); the network is trained towards (n, 2, "
              "2)"
              "\n  fix: give a class index for each pixel that the network classifies");
    // Of a volume of two planes, one row and one column.
    request.classes = 3;
    request.target = {TargetKind::kMap, {1, 2, 1}, 255, {1, 2, 1, 1}};
    EXPECT_EQ(refuse(request),
              "DIR/y.npy: the maps have the shape (2, 1, 2); the network is trained towards (n, 2, "
              "1, 1)"
              "\n  fix: give a class index for each position that the network classifies");
    put_file(folder_ / "y.npy", npy("|u1", "(2, 2, 1, 1)", maps, sizeof maps));
    EXPECT_EQ(target_of(*open_source(files, request), 1), (std::vector<int32_t>{255, 2}));
    EXPECT_EQ(
        message_of([&] { open_source(folder_ / "x.npy", Part::train, request); }, folder_.path())
            .substr(0, 20),
        "DIR/x.npy: an array ");
    put_file(folder_ / "y.npy", npy("<f4", "(1, 2)", targets, 8));
    EXPECT_EQ(refuse(numbers_),
              "DIR/y.npy: holds 1 row, but 'DIR/x.npy' holds 2"
              "\n  fix: give files that belong together");
    const float bad[] = {1, 2, NAN, 4};
    put_file(folder_ / "y.npy", npy("<f4", "(2, 2)", bad, sizeof bad));
    EXPECT_EQ(refuse(numbers_),
              "DIR/y.npy: row 1 holds NaN or infinity"
              "\n  fix: leave the row out, or correct it");
}

}  // namespace
}  // namespace emulsion
