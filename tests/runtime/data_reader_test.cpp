// Readers of the user's own that give maps and numbers: examples/reader.c, and what a reader may do
// wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <span>

#include "runtime/data/open.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "tests/support/paths.h"
#include "tests/support/test_folder.h"

namespace emulsion {
namespace {

const std::string kReaders = binary_path("tests/readers/");

DataRequest request_of(TargetKind kind, const PictureShape& target) {
    DataRequest request;
    request.shape = {1, 2, 2};
    request.classes = 3;
    request.target = {kind, target};
    return request;
}

std::vector<float> row_of(const Source& source, uint64_t index) {
    std::vector<float> row(source.shape.elements());
    source.read(index, Normalizer(source.shape.channels, nullptr, nullptr), row.data());
    return row;
}

// A record is the target, then a byte for each of four values.
TEST(DataReader, MapsOfTheExample) {
    const TestFolder folder;
    std::ofstream(folder / "maps", std::ios::binary) << std::string(
        "\0\1\2\1"
        "\0\63\146\377"
        "\2\2\0\0"
        "\1\1\1\1",
        16);
    DataRequest request = request_of(TargetKind::kMap, {1, 2, 2});
    request.target.ignored = 255;
    const auto source =
        open_source(kReaders + "reader.so:" + folder / "maps", Part::train, request);
    ASSERT_EQ(source->count(), 2u);
    EXPECT_EQ(source->target.kind, TargetKind::kMap);
    EXPECT_TRUE(source->labels.empty());
    std::vector<int32_t> classes(4);
    source->read_target(1, classes.data());
    EXPECT_EQ(classes, (std::vector<int32_t>{2, 2, 0, 0}));
    source->read_target(0, classes.data());
    EXPECT_EQ(classes, (std::vector<int32_t>{0, 1, 2, 1}));
    EXPECT_EQ(row_of(*source, 0), (std::vector<float>{0.0f, 0.2f, 0.4f, 1.0f}));
    request.take = 1;
    EXPECT_EQ(open_source(kReaders + "reader.so:" + folder / "maps", Part::train, request)->count(),
              1u);
}

// Of a network that learns from rows alone, a record is the row.
TEST(DataReader, RowsAloneOfTheExample) {
    const TestFolder folder;
    std::ofstream(folder / "rows", std::ios::binary) << std::string("\0\63\146\377\1\1\1\1", 8);
    const auto source = open_source(kReaders + "reader.so:" + folder / "rows", Part::train,
                                    request_of(TargetKind::kNothing, {1, 1, 1}));
    ASSERT_EQ(source->count(), 2u);
    EXPECT_TRUE(source->labels.empty());
    EXPECT_EQ(row_of(*source, 0), (std::vector<float>{0.0f, 0.2f, 0.4f, 1.0f}));
    int32_t nothing = 7;
    source->read_target(1, &nothing);
    EXPECT_EQ(nothing, 0);
}

TEST(DataReader, NumbersOfTheExample) {
    const TestFolder folder;
    const float numbers[] = {0.25f, -3.5f};
    std::string record(12, '\0');
    std::memcpy(record.data(), numbers, sizeof numbers);
    record[9] = '\xff';
    std::ofstream(folder / "numbers", std::ios::binary) << record;
    const auto source = open_source(kReaders + "reader.so:" + folder / "numbers", Part::train,
                                    request_of(TargetKind::kNumbers, {2, 1, 1}));
    ASSERT_EQ(source->count(), 1u);
    int32_t bits[2];
    source->read_target(0, bits);
    EXPECT_EQ(std::memcmp(bits, numbers, sizeof numbers), 0);
    EXPECT_EQ(row_of(*source, 0), (std::vector<float>{0.0f, 1.0f, 0.0f, 0.0f}));
}

// The words of the refusal to read the target of row 2, or to open.
std::string refusal(const std::string& fault, const DataRequest& request) {
    try {
        const auto source = open_source(kReaders + "bad_reader.so:" + fault, Part::train, request);
        std::vector<int32_t> target(request.target.elements());
        source->read_target(0, target.data());
        source->read_target(2, target.data());
    } catch (const RuntimeError& error) {
        EXPECT_EQ(error.where(), kReaders + "bad_reader.so");
        return error.problem() + "; " + error.fix();
    }
    return "";
}

TEST(DataReader, TargetsThatAreWrongAreNamed) {
    DataRequest map = request_of(TargetKind::kMap, {1, 2, 2});
    const DataRequest numbers = request_of(TargetKind::kNumbers, {4, 1, 1});
    EXPECT_EQ(refusal("", map), "");
    EXPECT_EQ(refusal("", numbers), "");
    EXPECT_EQ(refusal("class", map),
              "the target of row 2 holds the class 9 at 1, but the network has 3 classes (0 to 2); "
              "mend the reader, or give the model more classes");
    map.target.ignored = 255;
    EXPECT_EQ(refusal("class", map),
              "the target of row 2 holds the class 9 at 1, but the network has 3 classes (0 to 2, "
              "and 255 where nothing counts); mend the reader, or give the model more classes");
    map.target.ignored = 9;
    EXPECT_EQ(refusal("class", map), "");
    EXPECT_EQ(refusal("number", numbers),
              "the target of row 2 holds NaN or infinity at 1; mend the reader");
    EXPECT_EQ(refusal("target", numbers),
              "the target of row 2: the lamp is out; see what the reader reads from");
    EXPECT_EQ(refusal("none", map), "the reader has no function read; mend the reader");
}

DataRequest request_with_extras(const IndexRange& indices = {}) {
    DataRequest request = request_of(TargetKind::kLabel, {1, 1, 1});
    request.extras = {{"age", {}, {}}, {"words", {3}, indices}};
    return request;
}

// A record is the label, a byte for each of four values, then the further inputs as they lie in
// memory.
TEST(DataReader, FurtherInputsOfTheExample) {
    const TestFolder folder;
    std::string records;
    const auto add = [&](const std::string& head, float age, std::array<int32_t, 3> words) {
        records += head;
        records.append(reinterpret_cast<const char*>(&age), sizeof age);
        records.append(reinterpret_cast<const char*>(words.data()), sizeof words);
    };
    add(std::string("\1\0\0\377\0", 5), 0.25f, {7, 0, -1});
    add(std::string("\2\0\0\0\0", 5), -3.0f, {1, 2, 3});
    std::ofstream(folder / "records", std::ios::binary) << records;
    const auto source = open_source(kReaders + "reader.so:" + folder / "records", Part::train,
                                    request_with_extras({8, -1}));
    ASSERT_EQ(source->count(), 2u);
    EXPECT_EQ(source->labels, (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(row_of(*source, 0), (std::vector<float>{0.0f, 0.0f, 1.0f, 0.0f}));
    int32_t age = 0;
    source->read_extra(1, 0, &age);
    EXPECT_EQ(std::bit_cast<float>(age), -3.0f);
    std::vector<int32_t> words(3);
    source->read_extra(0, 1, words.data());
    EXPECT_EQ(words, (std::vector<int32_t>{7, 0, -1}));
    source->read_extra(1, 1, words.data());
    EXPECT_EQ(words, (std::vector<int32_t>{1, 2, 3}));
}

// The words of the refusal to read the further inputs of row 2, or to open.
std::string extra_refusal(const std::string& fault, const DataRequest& request) {
    try {
        const auto source = open_source(kReaders + "bad_reader.so:" + fault, Part::train, request);
        std::vector<int32_t> values(3);
        for (size_t input : {0, 1}) source->read_extra(2, input, values.data());
    } catch (const RuntimeError& error) {
        return error.problem() + "; " + error.fix();
    }
    return "";
}

TEST(DataReader, FurtherInputsThatAreWrongAreNamed) {
    EXPECT_EQ(extra_refusal("", request_with_extras()), "");
    EXPECT_EQ(extra_refusal("", request_with_extras({4, 0})), "");
    EXPECT_EQ(extra_refusal("infinite", request_with_extras()),
              "input 'words' of row 2 holds NaN or infinity at 1; mend the reader");
    EXPECT_EQ(extra_refusal("index", request_with_extras({4, 0})),
              "input 'words' of row 2 holds the index 4 at 1, but the network knows 0 to 3; mend "
              "the reader, or give the model a larger vocabulary");
    EXPECT_EQ(extra_refusal("index", request_with_extras({4, -1})),
              "input 'words' of row 2 holds the index 4 at 1, but the network knows 0 to 3, or -1 "
              "for none; mend the reader, or give the model a larger vocabulary");
    EXPECT_EQ(extra_refusal("index", request_with_extras({4, 4})), "");
    EXPECT_EQ(extra_refusal("extra", request_with_extras()),
              "input 'words' of row 2: the page is torn; see what the reader reads from");
    EXPECT_EQ(extra_refusal("first", request_with_extras()),
              "the reader has no function extra; mend the reader");
}

// The same for the same row whatever the number of rows; others in the test part.
TEST(DataReader, MadeUpFurtherInputs) {
    const DataRequest request = request_with_extras({8, -1});
    const auto all = open_source("synthetic:9", Part::train, request);
    const auto few = open_source("synthetic:6", Part::train, request);
    const auto test = open_source("synthetic:9", Part::test, request);
    ASSERT_EQ(all->extra_values.size(), 2u);
    ASSERT_EQ(all->extra_values[0].size(), 9u);
    ASSERT_EQ(all->extra_values[1].size(), 27u);
    for (size_t k : {0, 1}) {
        EXPECT_TRUE(
            std::ranges::equal(few->extra_values[k],
                               std::span(all->extra_values[k]).first(few->extra_values[k].size())));
        EXPECT_NE(all->extra_values[k], test->extra_values[k]);
    }
    for (int32_t word : all->extra_values[1]) EXPECT_TRUE(word >= 0 && word < 8) << word;
    for (size_t i = 0; i < 9; i++) {  // around the number of the class
        const auto age = [&](size_t row) {
            return std::bit_cast<float>(all->extra_values[0][row]);
        };
        EXPECT_LT(std::abs(age(i) - age(i % 3)), 1.0f);
        EXPECT_LT(std::abs(age(i)), 1.5f);
    }
}

// Of a network that learns from rows alone, whatever its first input is.
TEST(DataReader, MadeUpFurtherInputsWithoutLabels) {
    DataRequest request = request_with_extras({8, -1});
    request.target.kind = TargetKind::kNothing;
    request.classes = 1;
    for (const IndexRange& indices : {IndexRange{}, IndexRange{8, -1}}) {
        request.indices = indices;
        const auto rows = open_source("synthetic:5", Part::train, request);
        EXPECT_TRUE(rows->labels.empty());
        ASSERT_EQ(rows->extra_values.size(), 2u);
        EXPECT_EQ(rows->extra_values[0].size(), 5u);
        EXPECT_EQ(rows->extra_values[1].size(), 15u);
    }
}

TEST(DataReader, RowsOfOneInputAreRefusedForSeveral) {
    const TestFolder folder;
    std::ofstream(folder / "rows.csv") << "1,0,0,0,0\n";
    const auto refuse = [&](const auto& open) -> std::string {
        try {
            open();
        } catch (const RuntimeError& error) {
            return error.problem() + "; " + error.fix();
        }
        return "";
    };
    const std::string refusal =
        "has rows of one input, but the network also reads 'age' of shape []; give a reader of "
        "your own (see examples/reader.c), or synthetic";
    EXPECT_EQ(refuse([&] { open_source(folder / "rows.csv", Part::train, request_with_extras()); }),
              refusal);
    EXPECT_EQ(refuse([&] {
                  open_source(DataFiles{folder / "a.npy", folder / "b.npy"}, request_with_extras());
              }),
              refusal);
}

}  // namespace
}  // namespace emulsion
