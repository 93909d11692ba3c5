// Rows of indices: .npy of whole numbers, CSV, made-up ones, and what is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/data/index_rows.h"
#include "runtime/data/open.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::bytes_of;
using testing::message_of;
using testing::put_file;

Bytes make_npy(const std::string& type, const std::string& shape, const Bytes& values) {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + "}";
    while ((header.size() + 11) % 64 != 0) header += ' ';
    header += '\n';
    Bytes file = bytes_of("\x93NUMPY");
    const auto size = static_cast<uint8_t>(header.size());
    file.insert(file.end(), {1, 0, size, 0});
    for (char c : header) file.push_back(static_cast<uint8_t>(c));
    file.insert(file.end(), values.begin(), values.end());
    return file;
}

DataRequest request_of(PictureShape shape, IndexRange range) {
    DataRequest request;
    request.shape = shape;
    request.classes = 2;
    request.indices = range;
    return request;
}

std::vector<int32_t> row_of(const Source& source, uint64_t index) {
    std::vector<float> row(source.shape.elements());
    source.read(index, Normalizer(1, nullptr, nullptr), row.data());
    std::vector<int32_t> numbers(row.size());
    std::memcpy(numbers.data(), row.data(), row.size() * sizeof(float));
    return numbers;
}

TEST(DataIndices, ArraysOfWholeNumbers) {
    TestFolder folder;
    put_file(folder / "x.npy", make_npy("|i1", "(2, 3)", {4, 0, 255, 1, 2, 3}));
    put_file(folder / "y.npy", make_npy("|u1", "(2,)", {1, 0}));
    const auto rows = open_source({folder / "x.npy", folder / "y.npy"},
                                  request_of({1, 1, 3}, {.limit = 5, .ignored = -1}));
    EXPECT_EQ(rows->count(), 2u);
    EXPECT_EQ(rows->labels, (std::vector<int32_t>{1, 0}));
    EXPECT_EQ(row_of(*rows, 0), (std::vector<int32_t>{4, 0, -1}));
    EXPECT_EQ(row_of(*rows, 1), (std::vector<int32_t>{1, 2, 3}));
    // Edges: rows of sources and of targets become pairs.
    put_file(folder / "x.npy", make_npy("<u2", "(1, 2, 3)", {0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0}));
    const auto edges = open_source({folder / "x.npy", ""}, request_of({2, 1, 3}, {.limit = 6}));
    EXPECT_EQ(row_of(*edges, 0), (std::vector<int32_t>{0, 3, 1, 4, 2, 5}));
}

TEST(DataIndices, LinesOfACsv) {
    TestFolder folder;
    put_file(folder / "a.csv", bytes_of("label,w1,w2\n1,4,0\n0,2,-1\n"));
    const auto rows = open_source(folder / "a.csv", Part::train,
                                  request_of({1, 1, 2}, {.limit = 5, .ignored = -1}));
    EXPECT_EQ(rows->labels, (std::vector<int32_t>{1, 0}));
    EXPECT_EQ(row_of(*rows, 1), (std::vector<int32_t>{2, -1}));
}

TEST(DataIndices, MadeUpOnesTellTheirClass) {
    const DataRequest request = request_of({1, 1, 40}, {.limit = 1000});
    const auto rows = open_source("synthetic:4", Part::train, request);
    const auto same = open_source("synthetic:9", Part::train, request);
    EXPECT_EQ(rows->labels, (std::vector<int32_t>{0, 1, 0, 1}));
    EXPECT_EQ(row_of(*rows, 3), row_of(*same, 3));
    EXPECT_NE(row_of(*rows, 0), row_of(*rows, 2));
    const auto shared = [&](uint64_t a, uint64_t b) {
        int count = 0;
        for (int32_t x : row_of(*rows, a))
            for (int32_t y : row_of(*rows, b)) count += x == y ? 1 : 0;
        return count;
    };
    EXPECT_GT(shared(0, 2), 3 * shared(0, 1));
    for (int32_t number : row_of(*rows, 0)) EXPECT_TRUE(number >= 0 && number < 1000);
}

TEST(DataIndices, WhatIsWrongIsSaid) {
    TestFolder folder;
    const auto refusal = [&](const std::string& name, const Bytes& bytes, int64_t limit = 5) {
        put_file(folder / name, bytes);
        const std::string found = message_of(
            [&] {
                const DataRequest request = request_of({1, 1, 2}, {.limit = limit});
                if (!name.ends_with("npy") && !name.ends_with("idx")) {
                    open_source(folder / name, Part::train, request);
                } else {
                    open_source({folder / name, ""}, request);
                }
            },
            folder.path());
        EXPECT_NE(found.find("\n  fix: "), std::string::npos) << found;
        return found.substr(0, found.find('\n'));
    };
    EXPECT_EQ(refusal("x.npy", make_npy("|u1", "(2, 2)", {0, 1, 2, 5})),
              "DIR/x.npy: row 1 holds the index 5 at 1, but the network knows 0 to 4");
    EXPECT_EQ(refusal("x.npy", make_npy("|i1", "(1, 2)", {255, 1})),
              "DIR/x.npy: row 0 holds the index -1 at 0, but the network knows 0 to 4");
    EXPECT_EQ(refusal("x.npy", make_npy("<u8", "(1, 2)", Bytes(16, 255))),
              "DIR/x.npy: row 0 holds the index 9223372036854775807 at 0, but the network knows 0 "
              "to 4");
    EXPECT_EQ(refusal("x.npy", make_npy("<f4", "(1, 2)", Bytes(8))),
              "DIR/x.npy: the indices are of type '<f4'; expected whole numbers");
    EXPECT_EQ(
        refusal("x.npy", make_npy("|u1", "(1, 3)", {0, 1, 2})),
        "DIR/x.npy: a row has the shape (3); the network expects (1, 1, 2), (1, 2, 1) or (2)");
    EXPECT_EQ(refusal("x.idx", bytes_of("no array")),
              "DIR/x.idx: is no .npy file, but the network reads indices");
    EXPECT_EQ(refusal("a.csv", bytes_of("0,1,5\n")),
              "DIR/a.csv: row 0 holds the index 5 at 1, but the network knows 0 to 4");
    EXPECT_EQ(refusal("a.csv", bytes_of("0,1,0.5\n")),
              "DIR/a.csv: row 0 holds 0.5, which is no index");
    EXPECT_EQ(refusal("a.csv", bytes_of("0,1,0\n"), int64_t{1} << 25),
              "DIR/a.csv: a CSV file holds indices below 16777216, but the network has 33554432");
    EXPECT_EQ(refusal("a.bin", Bytes(3073)),
              "DIR/a.bin: holds pictures, but the network reads indices");
}

}  // namespace
}  // namespace emulsion
