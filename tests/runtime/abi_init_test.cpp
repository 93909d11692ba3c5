// First values: the generator against its published vector, layouts, padding, distributions.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

std::vector<float> init(const emulsion_tensor& tensor, const emulsion_initializer& initializer,
                        std::uint64_t seed) {
    FakeLibrary fake;
    fake.tensors[0] = tensor;
    fake.tensors[0].bytes = 0;
    fake.initializer = initializer;
    std::size_t count =
        tensor.rank == 0 ? 1 : static_cast<std::size_t>(tensor.shape[0] + 15) / 16 * 16;
    for (int i = 1; i < tensor.rank; i++) count *= static_cast<std::size_t>(tensor.shape[i]);
    fake.library.bytes[EMULSION_PARAMETERS] = count * sizeof(float);
    Block parameters(count * sizeof(float)), state(64);
    emulsion_memory memory = {};
    memory.block[EMULSION_PARAMETERS] = parameters.get();
    memory.block[EMULSION_STATE] = state.get();
    emulsion_library_sizes(&fake.library, 1, &memory.sizes);
    EXPECT_EQ(emulsion_library_init(&fake.library, seed, &memory), EMULSION_OK);
    const auto* words = static_cast<std::uint64_t*>(state.get());
    EXPECT_EQ(words[0], seed);
    EXPECT_EQ(words[1], 0u);
    EXPECT_NE(words[2], 0u);  // the mark
    for (int i = 3; i < 8; i++) EXPECT_EQ(words[i], 0u);
    const auto* values = static_cast<float*>(parameters.get());
    return {values, values + count};
}

emulsion_tensor make_tensor(std::vector<std::int64_t> shape) {
    emulsion_tensor tensor = {};
    tensor.rank = static_cast<std::int32_t>(shape.size());
    for (std::size_t i = 0; i < shape.size(); i++) tensor.shape[i] = shape[i];
    return tensor;
}

TEST(AbiInit, PhiloxAgreesWithItsPublishedVector) {
    // Random123's first known answer: counter 0, key 0 gives 6627e8d5 as the first word.
    const auto values = init(make_tensor({1}), {0, EMULSION_UNIFORM, 1, 0}, 0);
    EXPECT_EQ(values[0], static_cast<float>(0x6627e8) * 0x1p-23f - 1);
}

TEST(AbiInit, PaddingIsZeroAndFillFills) {
    const auto values = init(make_tensor({18, 3, 2, 2}), {0, EMULSION_FILL, 1, 0}, 1);
    ASSERT_EQ(values.size(), 32u * 12);
    for (std::size_t i = 0; i < values.size(); i++) {
        const std::size_t block = i / (12 * 16), lane = i % 16;
        EXPECT_EQ(values[i], block * 16 + lane < 18 ? 1.0f : 0.0f);
    }
}

// The value of a logical element is the same in every layout that holds it.
TEST(AbiInit, ValuesDoNotDependOnTheLayout) {
    const emulsion_initializer normal = {0, EMULSION_NORMAL, 1, 0};
    emulsion_tensor dense = make_tensor({5, 12});
    const auto plain = init(dense, normal, 3);  // [1][12][16]
    dense.flattened[0] = 3;
    dense.flattened[1] = 2;
    dense.flattened[2] = 2;
    const auto map = init(dense, normal, 3);                         // [1][2][2][3][16]
    const auto filter = init(make_tensor({5, 3, 2, 2}), normal, 3);  // [1][2][2][3][16]
    EXPECT_EQ(map, filter);
    for (std::size_t o = 0; o < 5; o++) {
        for (std::size_t c = 0; c < 3; c++) {
            for (std::size_t p = 0; p < 4; p++)
                EXPECT_EQ(map[(p * 3 + c) * 16 + o], plain[(c * 4 + p) * 16 + o]);
        }
    }
}

// Every element of a tensor of any rank is written, in its place; the values are those of a vector
// of as many elements. A tensor of rank 0 is one element.
TEST(AbiInit, EveryRankIsWritten) {
    const std::vector<std::int64_t> extents = {18, 3, 2, 5, 4};
    for (std::size_t rank = 0; rank <= EMULSION_MAX_RANK; rank++) {
        SCOPED_TRACE(rank);
        const std::vector<std::int64_t> shape(extents.begin(),
                                              extents.begin() + static_cast<std::ptrdiff_t>(rank));
        std::size_t outer = rank > 0 ? 18 : 1, inner = rank > 1 ? 3 : 1, places = 1;
        for (std::size_t axis = 2; axis < rank; axis++)
            places *= static_cast<std::size_t>(extents[axis]);
        for (const int kind : {EMULSION_FILL, EMULSION_NORMAL, EMULSION_UNIFORM}) {
            const emulsion_initializer initializer = {0, kind, 0.75f, 0};
            const auto values = init(make_tensor(shape), initializer, 5);
            const auto list = init(make_tensor({static_cast<std::int64_t>(outer * inner * places)}),
                                   initializer, 5);
            std::vector<float> expected(values.size());
            std::size_t element = 0;
            for (std::size_t o = 0; o < outer; o++) {
                for (std::size_t i = 0; i < inner; i++) {
                    for (std::size_t p = 0; p < places; p++) {
                        expected[((o / 16 * places + p) * inner + i) * 16 + o % 16] =
                            list[element++];
                    }
                }
            }
            EXPECT_EQ(values, expected);
            if (kind == EMULSION_FILL) {
                EXPECT_EQ(values[0], 0.75f);
            }
        }
    }
}

// The bits of first values are part of the interface: a seed gives the same network for ever.
TEST(AbiInit, ValuesStayWhatTheyAre) {
    const auto hash = [](std::int32_t kind, std::uint64_t seed) {
        std::uint64_t sum = 0;
        for (const float value : init(make_tensor({16, 5000}), {0, kind, 0.3f, 0}, seed)) {
            std::uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            sum = (sum ^ bits) * 0x100000001b3u;
        }
        return sum;
    };
    EXPECT_EQ(hash(EMULSION_NORMAL, 1), 0xd1d783b28c56fe36u);
    EXPECT_EQ(hash(EMULSION_NORMAL, 0x123456789abcdefu), 0x79bf87fa8882f4f5u);
    EXPECT_EQ(hash(EMULSION_UNIFORM, 1), 0x85e8c02605747950u);
}

TEST(AbiInit, SeedsDiffer) {
    const emulsion_initializer normal = {0, EMULSION_NORMAL, 1, 0};
    EXPECT_EQ(init(make_tensor({16}), normal, 3), init(make_tensor({16}), normal, 3));
    EXPECT_NE(init(make_tensor({16}), normal, 3), init(make_tensor({16}), normal, 4));
    EXPECT_NE(init(make_tensor({16}), normal, 3),
              init(make_tensor({16}), normal, 3 + (std::uint64_t{1} << 32)));
}

TEST(AbiInit, NormalHasItsMoments) {
    const auto values = init(make_tensor({16, 20000}), {0, EMULSION_NORMAL, 0.5f, 0}, 11);
    double sum = 0, square = 0, fourth = 0, beyond = 0;
    for (const float value : values) {
        const double z = value / 0.5;
        sum += z;
        square += z * z;
        fourth += z * z * z * z;
        beyond += std::abs(z) > 1.959964;
    }
    const double count =
        static_cast<double>(values.size());  // 320,000: standard errors 0.0018, 0.0025, 0.017
    EXPECT_NEAR(sum / count, 0, 0.008);
    EXPECT_NEAR(square / count, 1, 0.012);
    EXPECT_NEAR(fourth / count, 3, 0.08);
    EXPECT_NEAR(beyond / count, 0.05, 0.002);
}

TEST(AbiInit, UniformHasItsRange) {
    const auto values = init(make_tensor({16, 20000}), {0, EMULSION_UNIFORM, 2, 0}, 12);
    double sum = 0, square = 0;
    for (const float value : values) {
        EXPECT_GE(value, -2);
        EXPECT_LT(value, 2);
        sum += value;
        square += value * value;
    }
    const double count = static_cast<double>(values.size());
    EXPECT_NEAR(sum / count, 0, 0.01);
    EXPECT_NEAR(square / count, 4.0 / 3, 0.02);
}

}  // namespace
}  // namespace emulsion::testing
