// The safetensors format: what is written, and every kind of hostile file refused by name.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <utility>

#include "runtime/data/safetensors.h"
#include "runtime/support/limits.h"
#include "tests/runtime/data_support.h"
#include "tests/support/count_allocations.h"

namespace emulsion {
namespace {

using testing::bytes_of;
using testing::encode_safetensors;
using testing::message_of;
using testing::TensorValues;

constexpr const char* kFix = "\n  fix: replace the file: it is cut, damaged or no safetensors file";

// A file of this header and so many bytes of data.
Bytes make_file(std::string_view header, size_t data_bytes) {
    Bytes file;
    for (unsigned i = 0; i < 8; i++)
        file.push_back(static_cast<uint8_t>(static_cast<uint64_t>(header.size()) >> 8 * i));
    file.insert(file.end(), header.begin(), header.end());
    file.resize(file.size() + data_bytes);
    return file;
}

std::string refusal(const Bytes& file) {
    std::string text = message_of([&] { parse_safetensors(file, "w"); });
    const size_t fix = text.find(kFix);
    EXPECT_TRUE(text == "no error" || fix != std::string::npos) << text;
    return text.substr(0, fix);
}

std::string refusal(std::string_view header, size_t data_bytes) {
    return refusal(make_file(header, data_bytes));
}

TEST(DataSafetensors, WritesAndReadsTheSame) {
    const std::vector<TensorValues> tensors = {
        {"b", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"a\"\n漢", {1}, {0.5f}}, {"empty", {0, 7}, {}}};
    const Metadata metadata = {{"network", "x"}, {"classes", "[\"a\"]"}};
    const Bytes file = encode_safetensors(metadata, tensors);
    EXPECT_EQ(file, encode_safetensors(metadata, tensors));
    const SafetensorsHeader header = parse_safetensors(file, "w");
    EXPECT_EQ(header.metadata, metadata);
    EXPECT_EQ(header.data_begin % 8, 0u);
    ASSERT_EQ(header.tensors.size(), 3u);
    EXPECT_EQ(header.find("nothing"), nullptr);
    EXPECT_EQ(*header.find_metadata("network"), "x");
    for (const TensorValues& tensor : tensors) {
        const TensorEntry* entry = header.find(tensor.name);
        ASSERT_NE(entry, nullptr) << tensor.name;
        EXPECT_EQ(entry->shape, tensor.shape);
        EXPECT_EQ(entry->type, "F32");
        ASSERT_EQ(entry->end - entry->begin, tensor.values.size() * 4);
        std::vector<float> values(tensor.values.size());
        if (!values.empty()) {
            std::memcpy(values.data(), file.data() + header.data_begin + entry->begin,
                        values.size() * 4);
        }
        EXPECT_EQ(values, tensor.values);
    }
}

TEST(DataSafetensors, TheBytesAreThoseOfTheFormat) {
    const Bytes file = encode_safetensors({{"k", "v"}}, {{"a", {1}, {1.0f}}});
    const std::string header =
        R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )";
    Bytes expected = make_file(header, 0);
    for (uint8_t byte : Bytes{0, 0, 0x80, 0x3f}) expected.push_back(byte);
    EXPECT_EQ(testing::text_of(file), testing::text_of(expected));
}

TEST(DataSafetensors, ReadsOtherWritersOrderAndTypes) {
    const SafetensorsHeader header =
        parse_safetensors(make_file(R"({"b":{"data_offsets":[2,10],"shape":[1],"dtype":"I64"},)"
                                    R"("a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}  )",
                                    10),
                          "w");
    EXPECT_EQ(header.tensors[0].name, "a");
    EXPECT_EQ(header.tensors[1].name, "b");
    EXPECT_TRUE(header.metadata.empty());
    EXPECT_EQ(parse_safetensors(make_file("{}", 0), "w").tensors.size(), 0u);
}

TEST(DataSafetensors, NamesThatOccurTwice) {
    const auto path = testing::file_path("w1v-duplicate.safetensors");
    const Bytes file = read_file(path, 1 << 20, "weights file");
    EXPECT_EQ(refusal(file), "w: the name 'a' occurs twice in the header");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
              "w: the key 'dtype' occurs twice in 'a'");
    EXPECT_EQ(refusal(R"({"__metadata__":{"k":"1","k":"2"}})", 0),
              "w: the key 'k' occurs twice in '__metadata__'");
    EXPECT_EQ(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0),
              "w: the name '__metadata__' occurs twice in the header");
}

// A file of many empty tensors, its names in descending order: each would go to the front of a
// sorted list.
Bytes make_descending(size_t count) {
    std::string header = "{";
    for (size_t i = count; i > 0; i--) {
        char member[80];
        std::snprintf(member, sizeof member,
                      R"("%08zu":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}%s)", i,
                      i > 1 ? "," : "}");
        header += member;
    }
    return make_file(header, 0);
}

TEST(DataSafetensors, ManyNamesAreSortedOnceAndFound) {
    const SafetensorsHeader header = parse_safetensors(make_descending(kMostTensors), "w");
    ASSERT_EQ(header.by_name.size(), kMostTensors);
    for (size_t i = 1; i < header.by_name.size(); i++) {
        ASSERT_LT(header.tensors[header.by_name[i - 1]].name,
                  header.tensors[header.by_name[i]].name);
    }
    EXPECT_EQ(header.find("00000001")->name, "00000001");
    EXPECT_EQ(header.find("00065536")->name, "00065536");
    EXPECT_EQ(header.find("00065537"), nullptr);
    EXPECT_EQ(header.find(""), nullptr);
}

// What is taken from the C library grows with the file, and is no more than a few times its bytes.
TEST(DataSafetensors, ManyNamesTakeMemoryByTheirNumber) {
    if (allocation_count() == 0) GTEST_SKIP() << "the sanitizer has its own malloc";
    const auto taken = [](const Bytes& file) {
        const long blocks = allocation_count(), bytes = allocated_bytes();
        EXPECT_GT(parse_safetensors(file, "w").tensors.size(), 0u);
        return std::pair(allocation_count() - blocks, allocated_bytes() - bytes);
    };
    const Bytes half = make_descending(kMostTensors / 2), whole = make_descending(kMostTensors);
    const auto [half_blocks, half_bytes] = taken(half);
    const auto [blocks, bytes] = taken(whole);
    EXPECT_LT(blocks, static_cast<long>(8 * kMostTensors));
    EXPECT_LT(blocks, half_blocks * 21 / 10);
    EXPECT_LT(bytes, static_cast<long>(16 * whole.size()));
    EXPECT_LT(bytes, half_bytes * 21 / 10);
    // A name that occurs twice is found in the same memory.
    std::string text(whole.begin(), whole.end());
    text.replace(text.find("00000001"), 8, "00000002");
    const long before = allocated_bytes();
    EXPECT_EQ(refusal(Bytes(text.begin(), text.end())),
              "w: the name '00000002' occurs twice in the header");
    EXPECT_LT(allocated_bytes() - before, bytes + static_cast<long>(4 * whole.size()));
}

// A file that the reader would refuse is not written.
TEST(DataSafetensors, WhatCouldNotBeReadIsNotWritten) {
    const auto refusal = [](const std::string& name, std::vector<int64_t> shape, size_t count,
                            const Metadata& metadata) {
        const std::vector<TensorEntry> tensors(count, {name, "F32", std::move(shape), 0, 0});
        return message_of([&] { encode_safetensors_header(metadata, tensors); });
    };
    const auto expected = [](const std::string& problem) {
        return "weights: a weights file of this network would have " + problem +
               " are read\n  fix: give the network fewer or shorter names";
    };
    EXPECT_EQ(refusal(std::string(4096, 'n'), {1}, 1, {}), "no error");
    EXPECT_EQ(refusal(std::string(4097, 'n'), {1}, 1, {}),
              expected("4097 bytes of a tensor's name; at most 4096"));
    EXPECT_EQ(refusal("n", std::vector<int64_t>(33, 1), 1, {}),
              expected("33 axes of a tensor; at most 32"));
    EXPECT_EQ(refusal("n", {1}, 65537, {}), expected("65537 tensors; at most 65536"));
    EXPECT_EQ(refusal("n", {1}, 1, Metadata(1025, {"key", "value"})),
              expected("1025 entries of metadata; at most 1024"));
    EXPECT_EQ(refusal("n", {1}, 1, {{"classes", std::string(16 << 20, 'c')}}),
              expected("16777304 bytes of the header; at most 16777216"));
}

TEST(DataSafetensors, CountsAndLengthsHaveLimits) {
    EXPECT_EQ(refusal(make_descending(kMostTensors + 1)),
              "w: the header has more than 65536 tensors");
    const std::string name(kMostTensorName + 1, 'n');
    EXPECT_EQ(refusal("{\"" + name + "\":{}}", 0), "w: the header has a name that is too long");
    std::string metadata = R"({"__metadata__":{)";
    for (size_t i = 0; i <= kMostMetadata; i++) metadata += "\"" + std::to_string(i) + R"(":"",)";
    EXPECT_EQ(refusal(metadata + R"("":""}})", 0),
              "w: the header has too many keys in '__metadata__'");
}

TEST(DataSafetensors, ReadsTheHeaderAloneOfALargeFile) {
    TestFolder folder;
    const std::string header =
        R"({"a":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}})";
    testing::put_file(folder / "w", make_file(header, 0));
    ASSERT_EQ(
        truncate((folder / "w").c_str(), static_cast<off_t>(8 + header.size() + (1ull << 40))), 0);
    EXPECT_EQ(read_safetensors(ByteSource(folder / "w", "file")).tensors[0].end, 1ull << 40);
}

TEST(DataSafetensors, BytesAfterTheLastTensor) {
    const auto path = testing::file_path("w2v-trailing.safetensors");
    const Bytes file = read_file(path, 1 << 20, "weights file");
    EXPECT_EQ(refusal(file), "w: 4 bytes follow the last tensor");
}

TEST(DataSafetensors, HostileHeaderLengths) {
    EXPECT_EQ(refusal(bytes_of("1234567")), "w: the file has 7 bytes, too few for a header");
    Bytes file = make_file("{}", 0);
    file[7] = 0xff;
    EXPECT_EQ(refusal(file),
              "w: the header is said to have 18374686479671623682 bytes; the file has 2 after the "
              "length, and the limit is 16777216");
    file[7] = 0;
    file[0] = 3;
    EXPECT_EQ(refusal(file),
              "w: the header is said to have 3 bytes; the file has 2 after the length, and the "
              "limit is 16777216");
    EXPECT_EQ(refusal(make_file("", 4)), "w: the header does not begin with '{'");
    EXPECT_EQ(refusal(make_file(" {}", 0)), "w: the header does not begin with '{'");
    EXPECT_EQ(refusal(make_file("{" + std::string((1 << 24), ' ') + "}", 0)),
              "w: the header is said to have 16777218 bytes; the file has 16777218 after the "
              "length, and the limit is 16777216");
}

TEST(DataSafetensors, HeadersOfAnotherForm) {
    EXPECT_EQ(refusal(R"({"a":)", 0), "w: the header is no valid JSON (at byte 6)");
    EXPECT_EQ(refusal("{\"\xff\":{}}", 0), "w: the header is no valid JSON (at byte 3)");
    EXPECT_EQ(refusal(R"({"a":1})", 0), "w: the header has a number where none is expected in 'a'");
    EXPECT_EQ(refusal(R"({"a":[1]})", 0), "w: the header has a list where none is expected in 'a'");
    EXPECT_EQ(refusal(R"({"a":null})", 0), "w: the header has null in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"dtype":true}})", 0), "w: the header has a truth value in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"shape":[-1]}})", 0), "w: the header has a negative number in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"shape":[1.5]}})", 0),
              "w: the header has a number with a fraction in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"shape":[9223372036854775808]}})", 0),
              "w: the header has a number that is too large in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"shape":[[1]]}})", 0),
              "w: the header has a list where none is expected in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"shape":["1"]}})", 0),
              "w: the header has a string where none is expected in 'a'");
    EXPECT_EQ(refusal(R"({"a":{"b":{}}})", 0),
              "w: the header has an object where none is expected in 'a'");
    EXPECT_EQ(refusal(R"({"__metadata__":{"k":1}})", 0),
              "w: the header has a number where none is expected in '__metadata__'");
    std::string deep = R"({"a":)";
    deep += std::string(1000000, '[');
    EXPECT_EQ(refusal(deep, 0), "w: the header has a list where none is expected in 'a'");
    std::string long_shape = R"({"a":{"shape":[)";
    for (int i = 0; i < 40; i++) long_shape += "1,";
    EXPECT_EQ(refusal(long_shape + "1]}}", 0), "w: the header has a list that is too long in 'a'");
}

TEST(DataSafetensors, TensorsThatLackSomething) {
    EXPECT_EQ(refusal(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1),
              "w: tensor 'a' has no 'dtype'");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1),
              "w: tensor 'a' has no 'shape'");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1]}})", 1),
              "w: tensor 'a' has no 'data_offsets'");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1),
              "w: tensor 'a' has the offsets [0]; expected [begin, end]");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1),
              "w: tensor 'a' has the offsets [1, 0]; expected [begin, end]");
    EXPECT_EQ(refusal(R"({"a\n":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}})", 1),
              "w: tensor 'a\\x0a' has the unknown type 'Q4'");
    EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
              "w: tensor 'a' of type F32 and shape [2] does not fit its 4 bytes");
    // 2^62 * 4 * 4 is 0 in 64 bits, and in 128 bits after some more.
    EXPECT_EQ(
        refusal(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
        "w: tensor 'a' of type F32 and shape [4611686018427387904, 4] does not fit its 0 "
        "bytes");
    EXPECT_NE(refusal(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904,)"
                      R"(4611686018427387904],"data_offsets":[0,0]}})",
                      0),
              "no error");
}

TEST(DataSafetensors, TensorsThatDoNotTileTheData) {
    auto two = [](const char* second, size_t bytes) {
        return refusal(std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)") +
                           R"("b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                       bytes);
    };
    EXPECT_EQ(two("[4,8]", 8), "no error");
    EXPECT_EQ(two("[2,6]", 8),
              "w: tensor 'b' begins at byte 2 of the data, where 4 was expected: tensors overlap");
    EXPECT_EQ(two("[0,4]", 8),
              "w: tensor 'b' begins at byte 0 of the data, where 4 was expected: tensors overlap");
    EXPECT_EQ(two("[5,9]", 9),
              "w: tensor 'b' begins at byte 5 of the data, where 4 was expected: there is a gap");
    EXPECT_EQ(two("[4,8]", 7), "w: tensor 'b' ends at byte 8 of the data, but the file has only 7");
    EXPECT_EQ(two("[4,8]", 9), "w: 1 bytes follow the last tensor");
}

TEST(DataSafetensors, CutAnywhereIsRefusedAndDamageNeverCrashes) {
    const Bytes file =
        encode_safetensors({{"k", "v"}}, {{"a", {2, 2}, {1, 2, 3, 4}}, {"b", {1}, {5}}});
    for (size_t size = 0; size < file.size(); size++) {
        EXPECT_NE(refusal(Bytes(file.begin(), file.begin() + ptrdiff_t(size))), "no error") << size;
    }
    for (size_t i = 0; i < file.size(); i++) {
        for (int flip = 1; flip < 256; flip++) {
            Bytes damaged = file;
            damaged[i] ^= static_cast<uint8_t>(flip);
            refusal(damaged);
        }
    }
}

}  // namespace
}  // namespace emulsion
