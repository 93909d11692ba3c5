// The smaller formats: BMP, PGM and PPM; CIFAR, CSV and .npy; what is wrong with one of them is
// said with its name.
#include <gtest/gtest.h>

#include <filesystem>

#include <cmath>
#include <cstring>

#include "runtime/data/cifar.h"
#include "runtime/data/open.h"
#include "runtime/data/picture.h"
#include "runtime/data/table.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "tests/runtime/data_support.h"
#include "tests/support/comma_locale.h"

namespace emulsion {
namespace {

using testing::bytes_of;
using testing::message_of;
using testing::put_file;
using Pixels = std::vector<uint8_t>;

// Little-endian numbers, one behind the other.
void put(Bytes* bytes, uint64_t value, int length) {
    for (int i = 0; i < length; i++) bytes->push_back(static_cast<uint8_t>(value >> (8 * i)));
}

struct BmpParts {
    int32_t width = 2, height = 2;
    int bits = 24;
    uint32_t compression = 0, colours = 0;
    Bytes masks = {}, palette = {}, rows = {};
};

Bytes make_bmp(const BmpParts& parts) {
    Bytes file = bytes_of("BM");
    const uint64_t begin = 54 + parts.masks.size() + parts.palette.size();
    put(&file, begin + parts.rows.size(), 4);
    put(&file, 0, 4);
    put(&file, begin, 4);
    put(&file, 40, 4);
    put(&file, static_cast<uint32_t>(parts.width), 4);
    put(&file, static_cast<uint32_t>(parts.height), 4);
    put(&file, 1, 2);
    put(&file, static_cast<uint64_t>(parts.bits), 2);
    put(&file, parts.compression, 4);
    for (int i = 0; i < 3; i++) put(&file, 0, 4);
    put(&file, parts.colours, 4);
    put(&file, 0, 4);
    for (const Bytes* part : {&parts.masks, &parts.palette, &parts.rows})
        file.insert(file.end(), part->begin(), part->end());
    return file;
}

TEST(DataBmp, EveryDepth) {
    // Blue, green, red; the lowest row first, each padded to 4 bytes.
    const Bytes rows = {1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0};
    const Picture plain = decode_picture(make_bmp({.rows = rows}), "x");
    EXPECT_EQ(plain.shape, (PictureShape{3, 2, 2}));
    EXPECT_EQ(plain.pixels, (Pixels{9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4}));
    EXPECT_EQ(decode_picture(make_bmp({.height = -2, .rows = rows}), "x").pixels,
              (Pixels{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}));
    // The fourth byte means nothing without masks.
    EXPECT_EQ(decode_picture(make_bmp({1, 1, 32, 0, 0, {}, {}, {1, 2, 3, 0}}), "x").pixels,
              (Pixels{3, 2, 1}));
    // Five bits a colour, or masks of five, six and five.
    EXPECT_EQ(decode_picture(make_bmp({1, 1, 16, 0, 0, {}, {}, {0xff, 0x7f}}), "x").pixels,
              (Pixels{255, 255, 255}));
    Bytes masks;
    for (uint32_t mask : {0xf800u, 0x07e0u, 0x001fu}) put(&masks, mask, 4);
    EXPECT_EQ(decode_picture(make_bmp({1, 1, 16, 3, 0, masks, {}, {0x10, 0x04}}), "x").pixels,
              (Pixels{0, 130, 132}));
    const Bytes colours = {1, 2, 3, 0, 40, 50, 60, 0};
    EXPECT_EQ(decode_picture(make_bmp({3, 1, 1, 0, 2, {}, colours, {0x40, 0, 0, 0}}), "x").pixels,
              (Pixels{3, 2, 1, 60, 50, 40, 3, 2, 1}));
    EXPECT_EQ(
        decode_picture(make_bmp({3, 1, 4, 0, 2, {}, colours, {0x10, 0x10, 0, 0}}), "x").pixels,
        (Pixels{60, 50, 40, 3, 2, 1, 60, 50, 40}));
    // A palette of greys is a grey picture.
    const Picture grey =
        decode_picture(make_bmp({2, 1, 8, 0, 2, {}, {7, 7, 7, 0, 9, 9, 9, 0}, {1, 0, 0, 0}}), "x");
    EXPECT_EQ(grey.shape.channels, 1);
    EXPECT_EQ(grey.pixels, (Pixels{9, 7}));
}

TEST(DataBmp, WhatIsWrongIsSaid) {
    const auto refusal = [](const Bytes& file) {
        const std::string text = message_of([&] { decode_picture(file, "x.bmp"); });
        return text.substr(0, text.find('\n'));
    };
    const auto damaged = [](const std::string& why) {
        return "x.bmp: the BMP file is cut or damaged (" + why + ")";
    };
    const Bytes rows(16), good = make_bmp({.rows = rows});
    EXPECT_EQ(refusal(Bytes(good.begin(), good.end() - 3)), damaged("the file ends early"));
    EXPECT_EQ(refusal(Bytes(good.begin(), good.begin() + 30)), damaged("the file ends early"));
    EXPECT_EQ(refusal(make_bmp({.compression = 1, .rows = rows})),
              "x.bmp: the BMP file is compressed in the way 1, which is not read");
    EXPECT_EQ(refusal(make_bmp({.bits = 5, .rows = rows})),
              damaged("its pixels have neither 1, 4, 8, 16, 24 nor 32 bits"));
    EXPECT_EQ(refusal(make_bmp({1, 1, 8, 0, 1, {}, {1, 2, 3, 0}, {1, 0, 0, 0}})),
              damaged("a pixel has a colour that the palette lacks"));
    EXPECT_EQ(refusal(make_bmp({.width = -2, .rows = rows})), damaged("the width is negative"));
    EXPECT_EQ(refusal(make_bmp({1, 1, 16, 3, 0, Bytes(12), {}, {1, 1, 0, 0}})),
              damaged("a colour has no bits"));
    Bytes unknown = good;
    unknown[14] = 20;
    EXPECT_EQ(refusal(unknown), damaged("the header has an unknown length"));
    EXPECT_EQ(
        refusal(make_bmp({.width = 30000, .height = 2000, .rows = rows})),
        "x.bmp: the header says 30000 x 2000 pixels, more than 70 bytes can hold: the file is "
        "cut or damaged");
    EXPECT_EQ(
        refusal(make_bmp({.width = 1 << 30, .height = 1 << 30, .rows = rows})),
        "x.bmp: the picture has 1073741824 x 1073741824 pixels; the limit is 32768 a side and "
        "67108864 in all");
    for (size_t i = 0; i < good.size(); i++) {  // nothing worse than an error
        Bytes changed = good;
        changed[i] ^= 0xff;
        refusal(changed);
        refusal(Bytes(good.begin(), good.begin() + ptrdiff_t(i)));
    }
}

TEST(DataNetpbm, TextAndBytesOfEveryWidth) {
    EXPECT_EQ(decode_picture(bytes_of("P2\n# a comment\n3 1\n4\n0 2 4\n"), "x").pixels,
              (Pixels{0, 128, 255}));
    EXPECT_EQ(decode_picture(bytes_of("P3 1 2 255 1 2 3\n4 5 6"), "x").pixels,
              (Pixels{1, 2, 3, 4, 5, 6}));
    const Picture grey = decode_picture(bytes_of("P5 2 1 255\nA#"), "x");
    EXPECT_EQ(grey.shape, (PictureShape{1, 1, 2}));
    EXPECT_EQ(grey.pixels, (Pixels{'A', '#'}));
    const Picture colour = decode_picture(bytes_of("P6\t1\t1\t255\tabc"), "x");
    EXPECT_EQ(colour.shape, (PictureShape{3, 1, 1}));
    EXPECT_EQ(colour.pixels, (Pixels{'a', 'b', 'c'}));
    Bytes wide = bytes_of("P5 2 1 65535\n");
    for (int byte : {0x80, 0x00, 0xff, 0xff}) wide.push_back(static_cast<uint8_t>(byte));
    EXPECT_EQ(decode_picture(wide, "x").pixels, (Pixels{128, 255}));
}

TEST(DataNetpbm, WhatIsWrongIsSaid) {
    for (const auto& [text, why] :
         {std::pair("P5 2 2 255\nabc", "the file ends early"),
          std::pair("P5 2 2", "the file ends early"),
          std::pair("P5 2 x 255\n", "a number was expected"),
          std::pair("P2 1 1 7 8", "a value is above the largest"),
          std::pair("P5 2 2 0\nabcd", "the largest value is not in 1 to 65535"),
          std::pair("P5 2222222222 2 255\n", "a number is too long")}) {
        EXPECT_EQ(message_of([&] { decode_picture(bytes_of(text), "x"); }),
                  std::string("x: the PGM file is cut or damaged (") + why +
                      ")\n  fix: replace the file, or leave it out");
    }
    EXPECT_EQ(message_of([&] { decode_picture(bytes_of("P6 9000 9000 255\n"), "x"); }),
              "x: the picture has 9000 x 9000 pixels; the limit is 32768 a side and 67108864 in all"
              "\n  fix: scale the picture down");
}

TEST(DataPictureNames, AreKnownByTheirEnding) {
    for (const char* name : {"a.png", "b.JPG", "c.jpeg", "d.x.Bmp", "e.ppm", "f.pgm", "g.pnm"})
        EXPECT_TRUE(has_picture_name(name)) << name;
    for (const char* name : {"png", ".png", "._a.png", "notes.txt", "a.png.bak", "a."})
        EXPECT_FALSE(has_picture_name(name)) << name;
}

// Data of numbers

const Normalizer kPlain(1, nullptr, nullptr), kColour(3, nullptr, nullptr);

std::vector<float> row_of(const Source& source, uint64_t index,
                          const Normalizer& normalizer = kPlain) {
    std::vector<float> row(source.shape.elements());
    source.read(index, normalizer, row.data());
    return row;
}

// One record of CIFAR: labels, then planes of a value each.
Bytes make_record(const Bytes& labels, uint8_t red, uint8_t green, uint8_t blue) {
    Bytes record = labels;
    for (uint8_t value : {red, green, blue}) record.insert(record.end(), 1024, value);
    return record;
}

Bytes join(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

TEST(DataCifar, PlanesBecomePixels) {
    TestFolder folder;
    Bytes first = make_record({7}, 0, 100, 200);
    first[1 + 1] = 1, first[1 + 1024 + 1] = 101, first[1 + 2048 + 1] = 201;
    put_file(folder / "data_batch_1.bin", join({first, make_record({2}, 5, 6, 7)}));
    put_file(folder / "data_batch_2.bin", make_record({9}, 8, 8, 8));
    put_file(folder / "test_batch.bin", make_record({0}, 1, 2, 3));
    DataRequest request;
    request.shape = {3, 32, 32};
    request.classes = 10;
    const auto train = open_source(folder.path(), Part::train, request);
    EXPECT_EQ(train->labels, (std::vector<int32_t>{7, 2, 9}));
    const std::vector<float> row = row_of(*train, 0, kColour);
    EXPECT_EQ(row[0], 0.0f);
    EXPECT_EQ(row[3], 1.0f / 255);
    EXPECT_EQ(row[4], 101.0f / 255);
    EXPECT_EQ(row[5], 201.0f / 255);
    EXPECT_EQ(open_source(folder.path(), Part::test, request)->count(), 1u);
    EXPECT_TRUE(has_part(folder.path(), Part::test, request));
    EXPECT_EQ(files_of(folder.path(), Part::train).size(), 2u);
    request.take = 1;
    EXPECT_EQ(open_source(folder / "data_batch_1.bin", Part::train, request)->count(), 1u);
    // Grey, and another size, by the rule.
    request.shape = {1, 16, 16};
    request.rule = PictureRule{Resize::kArea, Fit::kStretch};
    EXPECT_EQ(row_of(*open_source(folder / "data_batch_2.bin", Part::train, request), 0),
              std::vector<float>(256, 8.0f / 255));
}

TEST(DataCifar, FineLabelsAndClassNames) {
    TestFolder folder;
    put_file(folder / "train.bin", make_record({3, 1}, 0, 0, 0));
    put_file(folder / "fine_label_names.txt", "apple\nfish\r\n\n");
    const Dataset dataset = read_cifar({folder / "train.bin"}, {3, 32, 32}, 2, {});
    EXPECT_EQ(dataset.labels, (std::vector<int32_t>{1}));
    EXPECT_EQ(dataset.class_names, (std::vector<std::string>{"apple", "fish"}));
}

TEST(DataCifar, WhatIsWrongIsSaid) {
    TestFolder folder;
    const auto refusal = [&](const Bytes& file, const PictureShape& shape, uint64_t bytes) {
        put_file(folder / "data_batch_1.bin", file);
        return message_of(
            [&] { read_cifar({folder / "data_batch_1.bin"}, shape, 5, {kAllPictures, bytes}); },
            folder.path());
    };
    const Bytes record = make_record({5}, 0, 0, 0);
    EXPECT_EQ(
        refusal(record, {3, 32, 32}, 1 << 20),
        "DIR/data_batch_1.bin: label 5 at index 0, but the network has 5 classes (labels 0 to "
        "4)\n  fix: give the model at least 6 classes");
    EXPECT_EQ(
        refusal(make_record({1}, 0, 0, 0), {3, 28, 32}, 1 << 20),
        "DIR/data_batch_1.bin: the picture is 32 wide and 32 high; the network expects 32 wide "
        "and 28 high\n  fix: resize the picture to 32 x 28, or add --resize bilinear");
    EXPECT_EQ(
        refusal(Bytes(record.begin(), record.end() - 1), {3, 32, 32}, 1 << 20),
        "DIR/data_batch_1.bin: the file has 3072 bytes, which are no records of 3073 (CIFAR-10) "
        "or 3074 (CIFAR-100)\n  fix: replace the file: it is cut, or holds something else");
    EXPECT_NE(refusal(record, {3, 32, 32}, 3000).find("need more memory than 3000 bytes"),
              std::string::npos);
}

DataRequest table_request(const PictureShape& shape = {1, 1, 3}) {
    DataRequest request;
    request.shape = shape;
    request.classes = 3;
    return request;
}

TEST(DataCsv, LabelsAndNumbersInAnyLocale) {
    TestFolder folder;
    put_file(folder / "a.csv", "label,x,y,z\r\n2, 0.5,-1e3,7\r\n\r\n0,1,2,.25");
    const auto is_read = [&] {
        const auto table = open_source(folder / "a.csv", Part::train, table_request());
        return table->labels == std::vector<int32_t>{2, 0} &&
               row_of(*table, 0) == std::vector<float>{0.5f, -1000, 7} &&
               row_of(*table, 1) == std::vector<float>{1, 2, 0.25f};
    };
    EXPECT_TRUE(is_read());
    EXPECT_EQ(testing::in_child([&] { return use_comma_locale(folder / "locale") && !is_read(); }),
              0);
    // Channels first in the file, last in a row; divided, and normalised.
    put_file(folder / "b.csv", "1,10,20,30,40,50,60\n");
    DataRequest request = table_request({3, 1, 2});
    request.scale = 10;
    const float mean[] = {1, 0, 1}, deviation[] = {1, 2, 0.5f};
    const auto table = open_source(folder / "b.csv", Part::train, request);
    EXPECT_EQ(row_of(*table, 0, Normalizer(3, mean, deviation)),
              (std::vector<float>{0, 1.5f, 8, 1, 2, 10}));
    EXPECT_EQ(table->scale, 10.0);
}

TEST(DataCsv, WhatIsWrongIsSaid) {
    TestFolder folder;
    const auto refusal = [&](const std::string& text, DataRequest request = table_request()) {
        put_file(folder / "a.csv", text);
        const std::string found =
            message_of([&] { open_source(folder / "a.csv", Part::train, request); }, folder.path());
        EXPECT_NE(found.find("\n  fix: "), std::string::npos);
        return found.substr(0, found.find('\n'));
    };
    EXPECT_EQ(refusal("0,1,2,3\n1,2,3\n"),
              "DIR/a.csv: line 2: holds a label and 2 values; the network expects 3 (1x1x3)");
    EXPECT_EQ(refusal("h\n3,1,2,3\n"),
              "DIR/a.csv: line 2: the label is '3'; expected a whole number from 0 to 2, as the "
              "network has 3 classes");
    EXPECT_EQ(refusal("1,1,nan,3\n"),
              "DIR/a.csv: line 1: value 2 behind the label is 'nan'; expected a finite number");
    EXPECT_EQ(refusal("1,1,2,1e39\n"),
              "DIR/a.csv: line 1: value 3 behind the label is '1e39'; expected a finite number");
    EXPECT_EQ(refusal("1,1,2,a b\n"),
              "DIR/a.csv: line 1: value 3 behind the label is 'a b'; expected a finite number");
    EXPECT_EQ(refusal(""), "DIR/a.csv: holds no rows");
    EXPECT_EQ(refusal("label,x\n"), "DIR/a.csv: holds no rows");
    put_file(folder / "long.csv", "0,1,2,3\n");
    std::filesystem::resize_file(folder / "long.csv", (uint64_t{66} << 20));
    EXPECT_EQ(message_of([&] { open_source(folder / "long.csv", Part::train, table_request()); },
                         folder.path()),
              "DIR/long.csv: line 2 is longer than 67108864 bytes\n"
              "  fix: give a CSV file with one row a line");
    DataRequest small = table_request();
    small.bytes = 31;
    EXPECT_EQ(
        refusal("0,1,2,3\n0,1,2,3\n", small),
        "DIR/a.csv: its rows need more memory than 31 bytes, what is left of three quarters of "
        "all memory");
    small.take = 1;
    EXPECT_EQ(message_of([&] { open_source(folder / "a.csv", Part::train, small); }), "no error");
}

Bytes make_npy(const std::string& type, const std::string& shape, const Bytes& values,
               const std::string& order = "False") {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
    while ((header.size() + 11) % 64 != 0) header += ' ';
    header += '\n';
    Bytes file = bytes_of("\x93NUMPY");
    put(&file, 1, 2);
    put(&file, header.size(), 2);
    for (char c : header) file.push_back(static_cast<uint8_t>(c));
    file.insert(file.end(), values.begin(), values.end());
    return file;
}

Bytes floats(const std::vector<float>& values) {
    Bytes bytes(values.size() * 4);
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

TEST(DataNpy, NumbersAndPixels) {
    TestFolder folder;
    put_file(folder / "x.npy", make_npy("<f4", "(2, 3)", floats({1, 2, 3, 4, 5, 6})));
    Bytes labels;
    put(&labels, 2, 8), put(&labels, 0, 8);
    put_file(folder / "y.npy", make_npy("<i8", "(2,)", labels));
    DataRequest request = table_request();
    request.scale = 2;
    const DataFiles files{folder / "x.npy", folder / "y.npy"};
    const auto table = open_source(files, request);
    EXPECT_EQ(table->labels, (std::vector<int32_t>{2, 0}));
    EXPECT_EQ(row_of(*table, 1), (std::vector<float>{2, 2.5f, 3}));
    // Pixels with channels first and last.
    const Bytes six = {0, 51, 102, 153, 204, 255};
    request = table_request({3, 1, 2});
    put_file(folder / "x.npy", make_npy("|u1", "(1, 3, 1, 2)", six));
    const auto first = open_source({folder / "x.npy", ""}, request);
    EXPECT_TRUE(first->labels.empty());
    EXPECT_EQ(row_of(*first, 0, kColour), (std::vector<float>{0, 0.4f, 0.8f, 0.2f, 0.6f, 1.0f}));
    put_file(folder / "x.npy", make_npy("|u1", "(1, 1, 2, 3)", six));
    EXPECT_EQ(row_of(*open_source({folder / "x.npy", ""}, request), 0, kColour),
              (std::vector<float>{0, 0.2f, 0.4f, 0.6f, 0.8f, 1.0f}));
}

// Lines (C, L) and volumes (C, D, H, W), channels first and last; in a row channels are innermost.
TEST(DataNpy, LinesAndVolumes) {
    TestFolder folder;
    DataRequest line = table_request({2, 1, 3});
    line.axes = {2, 3};
    const auto row = [&](const std::string& shape, const DataRequest& request) {
        put_file(folder / "x.npy", make_npy("<f4", shape, floats({1, 2, 3, 4, 5, 6})));
        const auto source = open_source({folder / "x.npy", ""}, request);
        return row_of(*source, 0, Normalizer(request.shape.channels, nullptr, nullptr));
    };
    EXPECT_EQ(row("(1, 2, 3)", line), (std::vector<float>{1, 4, 2, 5, 3, 6}));
    EXPECT_EQ(row("(1, 3, 2)", line), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    DataRequest volume = table_request({1, 6, 1});
    volume.axes = {1, 2, 3, 1};
    EXPECT_EQ(row("(1, 1, 2, 3, 1)", volume).size(), 6);
    const std::string refusal = message_of([&] { row("(1, 1, 3, 2, 1)", volume); }, folder.path());
    EXPECT_EQ(
        refusal,
        "DIR/x.npy: a row has the shape (1, 3, 2, 1); the network expects (1, 2, 3, 1), (2, 3, "
        "1, 1) or (6)\n  fix: give data of the network's size, or change the input of the "
        "model");
    std::filesystem::create_directory(folder / "a");
    put_file(folder / "a/x.png", std::string_view("no picture"));
    EXPECT_EQ(message_of([&] { open_source(folder.path(), Part::train, line); }, folder.path()),
              "DIR: holds pictures, but the network reads lines of numbers\n  fix: give rows of "
              "numbers: --images FILE.npy --labels FILE.npy, or --data FILE.csv");
    EXPECT_EQ(open_source("synthetic:4", Part::train, line)->count(), 4);
}

TEST(DataNpy, WhatIsWrongIsSaid) {
    TestFolder folder;
    const auto refusal = [&](const Bytes& images, const Bytes& labels = {}) {
        put_file(folder / "x.npy", images);
        put_file(folder / "y.npy", labels);
        const std::string found = message_of(
            [&] {
                open_source({folder / "x.npy", labels.empty() ? "" : folder / "y.npy"},
                            table_request());
            },
            folder.path());
        EXPECT_NE(found.find("\n  fix: "), std::string::npos) << found;
        return found.substr(0, found.find('\n'));
    };
    const Bytes good = floats({1, 2, 3});
    EXPECT_EQ(refusal(make_npy("<f8", "(1, 3)", Bytes(24))),
              "DIR/x.npy: the array is of type '<f8'; '|u1' (uint8) and '<f4' (float32) are read");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good, "True")),
              "DIR/x.npy: the array is in Fortran's order, columns first");
    EXPECT_EQ(refusal(make_npy("<f4", "(2, 3)", good)),
              "DIR/x.npy: the header says (2, 3) of <f4, but 12 bytes follow");
    EXPECT_EQ(
        refusal(make_npy("<f4", "(4294967295, 4294967295, 4294967295)", good)),
        "DIR/x.npy: the header says (4294967295, 4294967295, 4294967295) of <f4, but 12 bytes "
        "follow");
    EXPECT_EQ(refusal(make_npy("<f4", "(0, 3)", {})), "DIR/x.npy: the array (0, 3) holds no rows");
    EXPECT_EQ(refusal(make_npy("<f4", "(3,)", good)),
              "DIR/x.npy: a row has the shape (); the network expects (1, 1, 3), (1, 3, 1) or (3)");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", floats({1, NAN, 3}))),
              "DIR/x.npy: row 0 holds NaN or infinity");
    EXPECT_EQ(refusal(make_npy("<f4", "3", good)),
              "DIR/x.npy: the header names no type and shape of a plain array");
    Bytes cut = make_npy("<f4", "(1, 3)", good);
    cut.resize(40);
    EXPECT_EQ(refusal(cut).substr(0, 30), "DIR/x.npy: the header says tha");
    Bytes later = make_npy("<f4", "(1, 3)", good);
    later[6] = 9;
    EXPECT_EQ(refusal(later), "DIR/x.npy: the version 9 of .npy is not read");
    Bytes longer = make_npy("<f4", "(1, 3)", good);
    longer[8] = longer[9] = 255;
    EXPECT_EQ(refusal(longer), "DIR/x.npy: the header says that it has 65535 bytes");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), bytes_of("\x93NUMPY")),
              "DIR/y.npy: the file is too short for an array");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), make_npy("|u1", "(2,)", {0, 1})),
              "DIR/x.npy: the array holds 1 rows, but 'DIR/y.npy' holds 2 labels");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), make_npy("|u1", "(1,)", {3})),
              "DIR/y.npy: label 3 at index 0, but the network has 3 classes (labels 0 to 2)");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), make_npy("|i1", "(1,)", {255})),
              "DIR/y.npy: label -1 at index 0, but the network has 3 classes (labels 0 to 2)");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), make_npy("<f4", "(1,)", floats({1}))),
              "DIR/y.npy: the labels are of type '<f4'; expected whole numbers");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), make_npy("|u1", "(1, 1)", {1})),
              "DIR/y.npy: the labels have the shape (1, 1); expected one axis");
    EXPECT_EQ(refusal(make_npy("<f4", "(1, 3)", good), bytes_of("no array at all")),
              "DIR/y.npy: this is no array of NumPy");
}

TEST(DataOpen, AnArrayAloneHasNoLabels) {
    TestFolder folder;
    put_file(folder / "x.npy", make_npy("|u1", "(1, 3)", {1, 2, 3}));
    EXPECT_EQ(message_of([&] { open_source(folder / "x.npy", Part::train, table_request()); },
                         folder.path()),
              "DIR/x.npy: an array alone has no labels\n"
              "  fix: give it with --images FILE, and its labels with --labels FILE");
}

}  // namespace
}  // namespace emulsion
