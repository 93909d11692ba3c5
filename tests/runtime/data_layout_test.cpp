// Logical order to memory and back, against the index formulas of the C interface written out.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "runtime/data/layout.h"

namespace emulsion {
namespace {

emulsion_tensor make_tensor(std::vector<int64_t> shape, std::vector<int64_t> flattened = {}) {
    emulsion_tensor tensor{};
    tensor.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), tensor.shape);
    std::copy(flattened.begin(), flattened.end(), tensor.flattened);
    return tensor;
}

// The tensor's values 1, 2, 3, … packed into memory full of NaN, and checked to come back.
std::vector<float> pack_counting(const emulsion_tensor& tensor) {
    std::vector<float> logical(logical_elements(tensor));
    std::iota(logical.begin(), logical.end(), 1.0f);
    std::vector<float> memory(memory_elements(tensor), NAN);
    pack(tensor, logical.data(), memory.data());
    std::vector<float> back(logical.size(), NAN);
    unpack(tensor, memory.data(), back.data());
    EXPECT_EQ(back, logical);
    // In parts of any length, beginning anywhere, the values lie in the same places.
    for (const uint64_t length : {1, 5, 16, 37}) {
        std::vector<float> parts(memory.size(), 0.0f), part_back(logical.size(), NAN);
        for (uint64_t first = 0; first < logical.size(); first += length) {
            const uint64_t count = std::min<uint64_t>(length, logical.size() - first);
            pack_part(tensor, first, {logical.data() + first, count}, parts.data());
        }
        EXPECT_EQ(parts, memory) << length;
        for (uint64_t first = 0; first < logical.size(); first += length) {
            const uint64_t count = std::min<uint64_t>(length, logical.size() - first);
            unpack_part(tensor, first, memory.data(), {part_back.data() + first, count});
        }
        EXPECT_EQ(part_back, logical) << length;
    }
    return memory;
}

TEST(DataLayout, AScalarIsOneValueWithoutPadding) {
    EXPECT_EQ(pack_counting(make_tensor({})), std::vector<float>{1});
}

// Axes behind the second count as one.
TEST(DataLayout, EveryRankIsTheMatrixOfItsPlaces) {
    const std::vector<float> filter = pack_counting(make_tensor({18, 3, 12, 1}));
    EXPECT_EQ(pack_counting(make_tensor({18, 3, 12})), filter);
    EXPECT_EQ(pack_counting(make_tensor({18, 3, 2, 2, 3})), filter);
}

TEST(DataLayout, VectorsArePaddedToSixteen) {
    for (int64_t length : {1, 15, 16, 17, 40}) {
        const std::vector<float> memory = pack_counting(make_tensor({length}));
        ASSERT_EQ(static_cast<int64_t>(memory.size()), (length + 15) / 16 * 16);
        for (int64_t k = 0; k < static_cast<int64_t>(memory.size()); k++) {
            EXPECT_EQ(memory[static_cast<size_t>(k)],
                      k < length ? static_cast<float>(k + 1) : 0.0f);
        }
    }
}

TEST(DataLayout, MatricesAreBlockedByOutputs) {
    const int64_t O = 19, I = 5;
    const std::vector<float> memory = pack_counting(make_tensor({O, I}));  // [O/16][I][16]
    ASSERT_EQ(memory.size(), 32u * 5);
    for (int64_t o = 0; o < 32; o++) {
        for (int64_t i = 0; i < I; i++) {
            EXPECT_EQ(memory[static_cast<size_t>((o / 16 * I + i) * 16 + o % 16)],
                      o < O ? static_cast<float>(o * I + i + 1) : 0.0f);
        }
    }
}

TEST(DataLayout, AFlattenedMapIsChannelsFirstInTheFileAndLastInMemory) {
    const int64_t O = 18, C = 3, H = 2, W = 4, I = C * H * W;
    const std::vector<float> memory = pack_counting(make_tensor({O, I}, {C, H, W}));
    ASSERT_EQ(static_cast<int64_t>(memory.size()), 32 * I);
    for (int64_t o = 0; o < O; o++) {
        for (int64_t c = 0; c < C; c++) {
            for (int64_t y = 0; y < H; y++) {
                for (int64_t x = 0; x < W; x++) {
                    const int64_t place = (((o / 16 * H + y) * W + x) * C + c) * 16 + o % 16;
                    EXPECT_EQ(memory[static_cast<size_t>(place)],
                              static_cast<float>(o * I + (c * H + y) * W + x + 1));
                }
            }
        }
    }
}

TEST(DataLayout, FiltersAreBlockedWithInputsInsideTheWindow) {
    const int64_t O = 20, I = 3, KH = 2, KW = 5;
    const std::vector<float> memory = pack_counting(make_tensor({O, I, KH, KW}));
    ASSERT_EQ(static_cast<int64_t>(memory.size()), 32 * I * KH * KW);
    std::vector<float> expected(memory.size());  // [O/16][KH][KW][I][16]
    for (int64_t o = 0; o < O; o++) {
        for (int64_t i = 0; i < I; i++) {
            for (int64_t y = 0; y < KH; y++) {
                for (int64_t x = 0; x < KW; x++) {
                    const int64_t place = (((o / 16 * KH + y) * KW + x) * I + i) * 16 + o % 16;
                    expected[static_cast<size_t>(place)] =
                        static_cast<float>(((o * I + i) * KH + y) * KW + x + 1);
                }
            }
        }
    }
    EXPECT_EQ(memory, expected);
}

// A map of 2 x 2 x 3 (height, width, channel) flattened: the dense weights of a file meet the
// channels-first order, so weights 1 .. 12 on the values 1 .. 12 of the map give 584.
TEST(DataLayout, DenseAfterFlattenMeetsChannelsFirst) {
    const emulsion_tensor tensor = make_tensor({1, 12}, {3, 2, 2});
    const std::vector<float> memory = pack_counting(tensor);
    float sum = 0;
    for (size_t i = 0; i < 12; i++)
        sum += memory[i * 16] * static_cast<float>(i + 1);  // map in H, W, C order
    EXPECT_EQ(sum, 584.0f);
}

}  // namespace
}  // namespace emulsion
