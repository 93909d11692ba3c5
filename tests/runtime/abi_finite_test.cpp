// Losses and gradients that are not finite: what is found, what is left unchanged, what is said.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <string>
#include <vector>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(AbiFinite, Bits) {
    for (const float value : {0.0f, -0.0f, 1.0f, std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::denorm_min()})
        EXPECT_EQ(emulsion_is_finite(std::bit_cast<std::uint32_t>(value)), 1) << value;
    for (const float value : {kNaN, -kNaN, kInfinity, -kInfinity})
        EXPECT_EQ(emulsion_is_finite(std::bit_cast<std::uint32_t>(value)), 0) << value;
}

// Four tensors over several of the test's parts, the second without a gradient, the third one value
// with bytes behind it that nobody writes.
struct Gradients {
    static constexpr std::uint64_t kFloats[] = {16, 16, 1, 150'000};
    Gradients() {
        std::uint64_t offset = 0;
        for (int i = 0; i < 4; i++) {
            tensors[i].name = names[i];
            tensors[i].trained = i != 1;
            tensors[i].bytes = kFloats[i] * sizeof(float);
            tensors[i].gradient_offset = i == 1 ? 0 : offset;
            if (i != 1) offset += (tensors[i].bytes + 63) / 64 * 64;
        }
        fake.info.tensors = tensors;
        fake.info.tensor_count = 4;
        fake.library.initializer_count = 0;
        fake.library.bytes[EMULSION_GRADIENTS] = offset;
    }
    static constexpr const char* names[] = {"a", "frozen", "scalar", "d"};
    emulsion_tensor tensors[4] = {};
    FakeLibrary fake;
};

TEST(AbiFinite, TheFirstTensorWithABadGradientIsFound) {
    for (const int threads : {1, 2, 4}) {
        Gradients gradients;
        FakeNetwork network(gradients.fake, threads);
        ASSERT_EQ(network.status, EMULSION_OK);
        auto* values = static_cast<float*>(network.memory.block[EMULSION_GRADIENTS]);
        const auto place = [&](int tensor) {
            return values + gradients.tensors[tensor].gradient_offset / sizeof(float);
        };
        const auto find = [&] {
            EXPECT_EQ(emulsion_call_begin(network.instance()), EMULSION_OK);
            const int found = emulsion_find_bad_gradient(network.instance());
            emulsion_call_end(network.instance());
            return found;
        };
        for (const int tensor : {0, 2, 3})
            std::fill_n(place(tensor), Gradients::kFloats[tensor], 1e38f);
        std::fill_n(place(2) + 1, 15, kNaN);  // between tensors
        EXPECT_EQ(find(), -1);
        for (const int tensor : {0, 2, 3}) {
            const std::uint64_t last = Gradients::kFloats[tensor] - 1;
            for (const std::uint64_t i : {std::uint64_t{0}, last / 3, last / 2, last}) {
                for (const float bad : {kNaN, kInfinity, -kInfinity}) {
                    place(tensor)[i] = bad;
                    EXPECT_EQ(find(), tensor) << "element " << i;
                    place(tensor)[i] = 0;
                }
            }
        }
        place(3)[7] = place(0)[3] = kNaN;
        EXPECT_EQ(find(), 0) << "the first of several";
    }
}

// A gradient of the weights that is not finite beside a loss that is.
float bad_value;

int bad_backward(emulsion_instance* instance) {
    auto* gradient = static_cast<float*>(instance->descriptors[kGradient].host);
    for (int c = 0; c < kWidth; c++) gradient[c] = c == 11 ? bad_value : 1.0f;
    return 0;
}

TEST(AbiFinite, ABadGradientLeavesParametersAlone) {
    for (const float bad : {kNaN, kInfinity, -kInfinity}) {
        FakeLibrary fake;
        fake.backward[0] = bad_backward;
        FakeNetwork network(fake, 2);
        bad_value = 1;
        ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
        const std::vector<float> before(network.weights(), network.weights() + kWidth);
        const std::string text =
            "the gradient of w is not finite at step 1: parameters and the optimiser's state are "
            "unchanged, running statistics have taken the samples in";
        bad_value = bad;
        EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_NOT_FINITE);
        EXPECT_EQ(network.error(), text);
        EXPECT_EQ(network.forward_backward(kBatch), EMULSION_NOT_FINITE);
        EXPECT_EQ(network.error(), text);
        EXPECT_EQ(network.update(0.1f), EMULSION_NOT_FINITE);
        EXPECT_STREQ(network.error(),
                     "there are no gradients: the last loss or a gradient was not finite");
        EXPECT_EQ(before, std::vector<float>(network.weights(), network.weights() + kWidth));
        EXPECT_EQ(network.state()[1], 1u);
        bad_value = 2;
        EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
        EXPECT_EQ(network.state()[1], 2u);
    }
}

// A NaN among the scores may count as the best: what a program would add up is cleared.
TEST(AbiFinite, ALossThatIsNoneClearsTheOtherOutputs) {
    FakeNetwork network(1);
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    network.outputs()[7] = 5;
    network.inputs()[3] = kNaN;
    EXPECT_EQ(network.step(3, 0.1f), EMULSION_NOT_FINITE);
    for (int n = 0; n < 3; n++) EXPECT_EQ(network.outputs()[n], 0.0f);
    EXPECT_EQ(network.outputs()[7], 5.0f) << "beyond the samples";
    EXPECT_NE(network.loss(), network.loss());
}

TEST(AbiFinite, UpdatesAtOncePromiseNothingOfTheParameters) {
    FakeLibrary fake;
    fake.library.bytes[EMULSION_GRADIENTS] = 0;
    fake.buffers[kGradient].where = EMULSION_WORKSPACE;
    fake.variants[0].update = {};
    FakeNetwork network(fake, 1);
    network.inputs()[3] = kInfinity;
    EXPECT_EQ(network.step(1, 0.1f), EMULSION_NOT_FINITE);
    EXPECT_NE(std::string(network.error())
                  .find("is infinite: this step has changed nothing, but an "
                        "earlier one may have made parameters that are not "
                        "finite"),
              std::string::npos)
        << network.error();
}

}  // namespace
}  // namespace emulsion::testing
