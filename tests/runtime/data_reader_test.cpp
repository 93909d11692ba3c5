// Readers of the user's own that give maps and numbers: examples/reader.c, and what a reader may do
// wrong.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

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
    EXPECT_EQ(refusal("none", map),
              "the reader lacks target or read, or has more than 4294967295 rows; mend the reader");
}

}  // namespace
}  // namespace emulsion
