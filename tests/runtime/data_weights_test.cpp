// Weights files: contents, round trip, and refusals that leave the memory alone.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "runtime/data/checkpoint.h"
#include "runtime/data/checksum.h"
#include "runtime/data/layout.h"
#include "runtime/data/weights.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::encode_safetensors;
using testing::message_of;
using testing::put_file;
using testing::SmallNetwork;
using testing::TensorValues;

constexpr const char* kOwnFix = "\n  fix: give the weights that training 'small' wrote";

const TrainedFor kTrained = {.epoch = 3, .step = 77, .metrics = {{"validation_loss", "0.25"}}};

// The file that is saved of a network.
Bytes saved(const SmallNetwork& network) {
    TestFolder folder;
    save_weights(folder / "w", network.info, network.memory, network.inference, kTrained);
    return read_file(folder / "w", 1 << 20, "weights file");
}

TEST(DataWeights, FileHoldsWhatInferenceNeedsAndNoMore) {
    SmallNetwork network;
    network.fill(1);
    const Bytes file = saved(network);
    EXPECT_EQ(file, saved(network));
    const SafetensorsHeader header = parse_safetensors(file, "w");
    Checksum checksum;
    checksum.add(std::span(file).subspan(header.data_begin));
    EXPECT_EQ(header.metadata, (Metadata{{"format", "emulsion-weights-1"},
                                         {"network", "small"},
                                         {"signature", "0123456789abcdef"},
                                         {"input", "[3, 9, 8]"},
                                         {"mean", "[0.1, 0.2, 0.3]"},
                                         {"deviation", "[0.25, 0.25, 0.25]"},
                                         {"classes", "[\"cat\", \"dog \\\"Rex\\\"\\n\"]"},
                                         {"optimizer", "sgd learning_rate=0.05 momentum=0.9"},
                                         {"epoch", "3"},
                                         {"step", "77"},
                                         {"validation_loss", "0.25"},
                                         {"xxh64", checksum_text(checksum.value())}}));
    std::vector<std::string> names;
    for (const TensorEntry& tensor : header.tensors) names.push_back(tensor.name);
    EXPECT_EQ(names, (std::vector<std::string>{"conv1.w", "conv1.b", "fc.w", "fc.b", "bn1.mean"}));
    EXPECT_EQ(header.find("conv1.w")->shape, (std::vector<int64_t>{20, 3, 2, 5}));
    // conv1.w[17][2][1][4] lies at [1][1][4][2][1] of [2][2][5][3][16].
    float value;
    const uint64_t index = ((17 * 3 + 2) * 2 + 1) * 5 + 4;
    std::memcpy(&value, file.data() + header.data_begin + index * 4, 4);
    EXPECT_EQ(value, 1.0f + static_cast<float>((((1 * 2 + 1) * 5 + 4) * 3 + 2) * 16 + 1));
}

TEST(DataWeights, RoundTripSetsPaddingToZeroAndLeavesTheOptimizerAlone) {
    TestFolder folder;
    SmallNetwork from, to;
    from.fill(1);
    save_weights(folder / "w", from.info, from.memory, from.inference, kTrained);
    to.fill_equal(-7);
    load_weights(folder / "w", to.info, to.memory, to.inference);
    for (const emulsion_tensor& tensor : to.tensors) {
        const uint64_t count = memory_elements(tensor);
        const float* written = tensor_memory(tensor, from.memory);
        const float* read = tensor_memory(tensor, to.memory);
        std::vector<float> logical(logical_elements(tensor)), expected(count, -7.0f);
        unpack(tensor, written, logical.data());
        const bool is_saved = std::string_view(tensor.name) != "conv1.w.momentum";
        if (is_saved) pack(tensor, logical.data(), expected.data());
        EXPECT_EQ(std::vector<float>(read, read + count), expected) << tensor.name;
    }
}

// The message of loading `file`, which must not change the memory.
std::string refusal(const Bytes& file, const char* signature = "0123456789abcdef") {
    TestFolder folder;
    put_file(folder / "w", file);
    SmallNetwork network(signature);
    network.fill(5);
    const std::vector<float> before = network.values();
    const std::string text = message_of(
        [&] { load_weights(folder / "w", network.info, network.memory, network.inference); },
        folder.path());
    EXPECT_EQ(network.values(), before);
    return text;
}

// The tensors of the small network's file, to be changed.
std::vector<TensorValues> good_tensors() {
    return {{"conv1.w", {20, 3, 2, 5}, std::vector<float>(600)},
            {"conv1.b", {20}, std::vector<float>(20)},
            {"fc.w", {2, 24}, std::vector<float>(48)},
            {"fc.b", {2}, std::vector<float>(2)},
            {"bn1.mean", {20}, std::vector<float>(20)}};
}

// Written by somebody else: blanks, escapes and digits of another taste, no checksum.
const Metadata kGoodMetadata = {{"format", "emulsion-weights-1"},
                                {"network", "small"},
                                {"signature", "0123456789abcdef"},
                                {"input", "[3,9,8]"},
                                {"mean", "[0.10,0.2,3e-1]"},
                                {"deviation", "[0.25,0.25,0.25]"},
                                {"classes", "[\"cat\",\"dog \\u0022Rex\\u0022\\u000a\"]"}};

std::string refusal(const std::vector<TensorValues>& tensors) {
    return refusal(encode_safetensors(kGoodMetadata, tensors));
}

TEST(DataWeights, AnotherNetworksWeightsAreRefused) {
    const Bytes file = encode_safetensors(kGoodMetadata, good_tensors());
    EXPECT_EQ(refusal(file, "fedcba9876543210"),
              std::string("DIR/w: the weights belong to the network 'small' with the signature "
                          "0123456789abcdef; this program runs 'small' with the signature "
                          "fedcba9876543210") +
                  kOwnFix);
    EXPECT_EQ(refusal(encode_safetensors({}, good_tensors())),
              std::string("DIR/w: expected the format 'emulsion-weights-1' in the metadata, found "
                          "none") +
                  kOwnFix);
    EXPECT_EQ(refusal(encode_safetensors({{"format", "pt"}}, good_tensors())),
              std::string("DIR/w: expected the format 'emulsion-weights-1' in the metadata, found "
                          "'pt'") +
                  kOwnFix);
    EXPECT_EQ(refusal(encode_safetensors({{"format", "emulsion-weights-1"}}, good_tensors())),
              std::string("DIR/w: the weights belong to the network without a name with the "
                          "signature none; this program runs 'small' with the signature "
                          "0123456789abcdef") +
                  kOwnFix);
}

// The message of loading a file that a network with one fact changed has written.
std::string origin_refusal(const std::function<void(SmallNetwork&)>& change) {
    SmallNetwork writer;
    writer.fill(1);
    change(writer);
    return refusal(saved(writer));
}

TEST(DataWeights, WhatTheWeightsWereMadeWithMustBeThePrograms) {
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.info.input_mean[1] = 0.5f; }),
              "DIR/w: the mean of the weights is [0.1, 0.5, 0.3]; that of this program is [0.1, "
              "0.2, 0.3]\n  fix: build the program with the mean of the weights, or train anew");
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.info.input_deviation[2] = 0.1f; }),
              "DIR/w: the deviation of the weights is [0.25, 0.25, 0.1]; that of this program is "
              "[0.25, 0.25, 0.25]\n"
              "  fix: build the program with the deviation of the weights, or train anew");
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.info.normalized = 0; }),
              "DIR/w: the mean of the weights is none; that of this program is [0.1, 0.2, 0.3]\n"
              "  fix: build the program with the mean of the weights, or train anew");
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.input.shape[2] = 80; }),
              "DIR/w: the input of the weights is [3, 9, 80]; that of this program is [3, 9, 8]\n"
              "  fix: build the program with the input of the weights, or train anew");
    const std::string fix =
        "\n  fix: build the program with the classes of the weights, or train "
        "anew";
    EXPECT_EQ(
        origin_refusal(
            [](SmallNetwork& network) { std::swap(network.classes[0], network.classes[1]); }),
        "DIR/w: class 0 of the weights is 'dog \"Rex\"\\x0a'; that of this program is 'cat'" + fix);
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.info.class_count = 1; }),
              "DIR/w: the weights and this program name different classes: 1 there, 2 here" + fix);
    EXPECT_EQ(origin_refusal([](SmallNetwork& network) { network.info.classes = nullptr; }),
              "DIR/w: the weights and this program name different classes: 0 there, 2 here" + fix);
}

// The classes are then those of the data that the weights were trained on.
TEST(DataWeights, AProgramThatNamesNoClassesTakesThoseOfTheFile) {
    TestFolder folder;
    SmallNetwork network;
    put_file(folder / "w", saved(network));
    network.inference.classes = nullptr;
    network.inference.normalized = 0;
    const auto load = [&] {
        load_weights(folder / "w", network.inference, network.memory, network.inference);
    };
    EXPECT_EQ(message_of(load, folder.path()),
              "DIR/w: the mean of the weights is [0.1, 0.2, 0.3]; that of this program is none\n"
              "  fix: build the program with the mean of the weights, or train anew");
    network.inference.normalized = 1;
    EXPECT_EQ(
        load_weights(folder / "w", network.inference, network.memory, network.inference).classes,
        (std::vector<std::string>{"cat", "dog \"Rex\"\n"}));
}

// What the data of a training add to the weights is read back, and what is no such fact is refused.
TEST(DataWeights, FactsOfTheDataTravel) {
    TestFolder folder;
    SmallNetwork network;
    network.fill(1);
    network.info.classes = network.inference.classes = nullptr;
    const DataFacts facts{{"b\n", "a \"q\""}, "bicubic crop", 255.0};
    save_weights(folder / "w", network.info, network.memory, network.inference,
                 {.epoch = 1, .step = 2, .data = facts});
    const auto load = [&] {
        return load_weights(folder / "w", network.info, network.memory, network.inference);
    };
    EXPECT_EQ(load(), facts);
    EXPECT_GE(weights_file_bytes(network.info, network.inference, {.data = facts}),
              ByteSource(folder / "w", "weights file").size());
    for (const auto& [key, value, problem] :
         {std::tuple("classes", "[1, 2]", "[1, 2]; expected a list of names"),
          std::tuple("classes", "{}", "{}; expected a list of names"),
          std::tuple("resize", "round", "round; expected one such as 'bilinear stretch'"),
          std::tuple("scale", "nan", "nan; expected a number above 0"),
          std::tuple("scale", "0", "0; expected a number above 0")}) {
        Metadata metadata = kGoodMetadata;
        std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
        metadata.emplace_back(key, value);
        put_file(folder / "w", encode_safetensors(metadata, good_tensors()));
        EXPECT_EQ(message_of(load, folder.path()), std::string("DIR/w: the entry '") + key +
                                                       "' is " + problem +
                                                       "\n  fix: give weights that the trainer has "
                                                       "written");
    }
}

TEST(DataWeights, FactsOfAnyTextAreRefusedAtOnce) {
    for (const std::string& text :
         {std::string("[\"cat\""), std::string("7"), std::string("[1, 2]"), std::string("{}"),
          std::string(1 << 20, '['), "[" + std::string(1 << 20, ' ') + "]"}) {
        Metadata metadata = kGoodMetadata;
        metadata.back().second = text;
        EXPECT_NE(refusal(encode_safetensors(metadata, good_tensors())), "no error");
    }
}

TEST(DataWeights, EveryDamagedBitOfTheDataIsNoticed) {
    SmallNetwork network;
    network.fill(1);
    const Bytes file = saved(network);
    const size_t data = parse_safetensors(file, "w").data_begin;
    for (size_t i = data; i < file.size(); i += i % 7 == 0 ? 5 : 131) {
        Bytes damaged = file;
        damaged[i] ^= static_cast<uint8_t>(1 << i % 8);
        EXPECT_NE(refusal(damaged).find("DIR/w: the data are damaged: their checksum is "),
                  std::string::npos)
            << i;
    }
}

TEST(DataWeights, AFileOfFarTooManyBytesIsNotLookedInto) {
    TestFolder folder;
    put_file(folder / "w", std::string_view(""));
    ASSERT_EQ(truncate((folder / "w").c_str(), static_cast<off_t>(1) << 41), 0);
    SmallNetwork network;
    EXPECT_EQ(
        message_of(
            [&] { load_weights(folder / "w", network.info, network.memory, network.inference); },
            folder.path()),
        "DIR/w: the file has 2199023255552 bytes; the weights of 'small' have at most 16779984\n"
        "  fix: give the weights that training 'small' wrote");
}

TEST(DataWeights, SavingAndLoadingTakeNoCopy) {
    constexpr int64_t kOutputs = 1024, kInputs = 16384;  // 64 MiB
    emulsion_tensor tensor{};
    tensor.name = "fc.w";
    tensor.rank = 2;
    tensor.shape[0] = kOutputs;
    tensor.shape[1] = kInputs;
    tensor.bytes = 4 * memory_elements(tensor);
    emulsion_info info = SmallNetwork().info;
    info.tensors = &tensor;
    info.tensor_count = 1;
    info.input_count = 0;
    info.classes = nullptr;
    std::vector<float> from(memory_elements(tensor)), to(from.size(), NAN);
    std::vector<float> state(16);
    std::iota(from.begin(), from.end(), 1.0f);
    emulsion_sizes sizes{};
    sizes.bytes[EMULSION_PARAMETERS] = tensor.bytes;
    sizes.bytes[EMULSION_STATE] = state.size() * sizeof(float);
    emulsion_memory memory{};
    memory.block[EMULSION_STATE] = state.data();
    TestFolder folder;
    const int64_t peak = testing::memory_of([&] {
        memory.block[EMULSION_PARAMETERS] = from.data();
        save_weights(folder / "w", info, memory, info, {});
        save_checkpoint(folder.path(), info, sizes, memory, {});
        memory.block[EMULSION_PARAMETERS] = to.data();
        load_weights(folder / "w", info, memory, info);
        EXPECT_EQ(to, from);
        std::fill(to.begin(), to.end(), NAN);
        load_checkpoint(folder.path(), info, sizes, memory);
        EXPECT_EQ(to, from);
    });
    EXPECT_GE(peak, 0);
    EXPECT_LT(peak, 24 * 1024);
}

TEST(DataWeights, TensorsThatDoNotMatchAreNamed) {
    std::vector<TensorValues> tensors = good_tensors();
    tensors.erase(tensors.begin() + 2);
    EXPECT_EQ(refusal(tensors), std::string("DIR/w: tensor 'fc.w' [2, 24] is missing") + kOwnFix);
    tensors = good_tensors();
    tensors[0].shape = {20, 3, 5, 2};
    EXPECT_EQ(refusal(tensors),
              std::string("DIR/w: tensor 'conv1.w' has the shape [20, 3, 5, 2]; the network "
                          "expects [20, 3, 2, 5]") +
                  kOwnFix);
    tensors = good_tensors();
    tensors.push_back({"fc2.b", {1}, {0}});
    EXPECT_EQ(
        refusal(tensors),
        std::string("DIR/w: tensor 'fc2.b' [1] is not part of the network 'small'") + kOwnFix);
    Bytes file = encode_safetensors(kGoodMetadata, good_tensors());
    std::string text = testing::text_of(file);
    text.replace(text.find("F32"), 3, "I32");
    EXPECT_EQ(refusal(testing::bytes_of(text)),
              std::string("DIR/w: tensor 'conv1.w' has the type I32; expected F32") + kOwnFix);
}

TEST(DataWeights, ValuesThatAreNotFiniteAreRefusedWithTheirIndex) {
    std::vector<TensorValues> tensors = good_tensors();
    tensors[3].values[1] = NAN;
    EXPECT_EQ(refusal(tensors),
              "DIR/w: tensor 'fc.b' holds NaN at index 1\n  fix: give weights of an earlier step");
    tensors = good_tensors();
    tensors[0].values[599] = -INFINITY;
    EXPECT_EQ(refusal(tensors),
              "DIR/w: tensor 'conv1.w' holds infinity at index 599\n"
              "  fix: give weights of an earlier step");
}

TEST(DataWeights, CutAndMissingFiles) {
    const Bytes file = encode_safetensors(kGoodMetadata, good_tensors());
    const std::string text = refusal(Bytes(file.begin(), file.end() - 1));
    EXPECT_EQ(text,
              "DIR/w: tensor 'bn1.mean' ends at byte 2760 of the data, but the file has only 2759\n"
              "  fix: replace the file: it is cut, damaged or no safetensors file");
    for (size_t size = 0; size < file.size(); size += 13) {
        EXPECT_NE(refusal(Bytes(file.begin(), file.begin() + ptrdiff_t(size))), "no error") << size;
    }
    TestFolder folder;
    SmallNetwork network;
    EXPECT_EQ(
        message_of(
            [&] { load_weights(folder / "w", network.info, network.memory, network.inference); },
            folder.path()),
        "DIR/w: cannot open the weights file: no such file or folder\n  fix: check the path");
}

}  // namespace
}  // namespace emulsion
