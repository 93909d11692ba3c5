// Weights files: contents, round trip, and refusals that leave the memory alone.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/data/layout.h"
#include "runtime/data/weights.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::message_of;
using testing::put_file;
using testing::SmallNetwork;

constexpr const char* kOwnFix = "\n  fix: give the weights that training 'small' wrote";

TEST(DataWeights, FileHoldsWhatInferenceNeedsAndNoMore) {
    SmallNetwork network;
    network.fill(1);
    const Bytes file = encode_weights(network.info, network.memory, network.inference);
    EXPECT_EQ(file, encode_weights(network.info, network.memory, network.inference));
    const SafetensorsHeader header = parse_safetensors(file, "w");
    EXPECT_EQ(header.metadata, (Metadata{{"format", "emulsion-weights-1"},
                                         {"network", "small"},
                                         {"signature", "0123456789abcdef"},
                                         {"input", "[3, 9, 8]"},
                                         {"mean", "[0.1, 0.2, 0.3]"},
                                         {"deviation", "[0.25, 0.25, 0.25]"},
                                         {"classes", "[\"cat\", \"dog \\\"Rex\\\"\\u000a\"]"}}));
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
    save_weights(folder / "w", from.info, from.memory, from.inference);
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

const Metadata kGoodMetadata = {
    {"format", "emulsion-weights-1"}, {"network", "small"}, {"signature", "0123456789abcdef"}};

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
