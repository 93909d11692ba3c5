// What the lowering pass rewrites for Vulkan, run there: Halide alone gets each of these wrong.
#include "compiler/codegen/device/vulkan_forms.h"

#include <Halide.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "compiler/codegen/device/lowering.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/group.h"
#include "compiler/recipe/kernel_context.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

namespace ir = Halide::Internal;
using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::Var;

const Halide::Target& target() {
    static const Halide::Target vulkan("x86-64-linux-jit" + target_features(isa_vulkan()));
    return vulkan;
}

class VulkanForms : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!Halide::host_supports_target_device(target())) GTEST_SKIP() << "no driver of Vulkan";
    }
};

// The values of `func`, over x, on Vulkan. What it reads are the values of `in`.
template <class T>
std::vector<T> values_of(Func func, int count, int vector = 1, ImageParam* in = nullptr,
                         const std::vector<float>& given = {}) {
    const Var x = func.args()[0], block("block"), thread("thread"), lane("lane");
    func.bound(x, 0, count);
    func.output_buffer().dim(0).set_bounds(0, count);
    if (in != nullptr) in->dim(0).set_bounds(0, 64);
    if (vector > 1) func.split(x, x, lane, vector, Halide::TailStrategy::RoundUp).vectorize(lane);
    func.split(x, block, thread, 16, Halide::TailStrategy::GuardWithIf)
        .gpu_blocks(block)
        .gpu_threads(thread);
    Halide::Pipeline pipeline(func);
    add_device_lowering(pipeline, isa_vulkan(), 1);
    if (in != nullptr) {
        Halide::Buffer<float> buffer(static_cast<int>(given.size()));
        std::copy(given.begin(), given.end(), buffer.begin());
        buffer.set_host_dirty();
        in->set(buffer);
    }
    Halide::Buffer<T> values(count);
    pipeline.realize(values, target());
    values.copy_to_host();
    return {values.begin(), values.end()};
}

int floor_quotient(int a, int b) {
    return static_cast<int>(std::floor(static_cast<double>(a) / b));
}

TEST_F(VulkanForms, IntegersBelowZero) {
    const Var x("x");
    const Expr a = x - 100;
    for (int b : {1, 2, 3, 8, 10, 300}) {
        Func quotients("quotients"), rests("rests");
        quotients(x) = a / b;
        rests(x) = a % b;
        const std::vector<int> q = values_of<int>(quotients, 256), r = values_of<int>(rests, 256);
        for (int i = 0; i < 256; i++) {
            EXPECT_EQ(q[i], floor_quotient(i - 100, b)) << i - 100 << " / " << b;
            EXPECT_EQ(r[i], i - 100 - b * floor_quotient(i - 100, b)) << i - 100 << " % " << b;
        }
    }
    Func shifted("shifted");
    shifted(x) = a >> (x % 4);
    const std::vector<int> s = values_of<int>(shifted, 256);
    for (int i = 0; i < 256; i++) EXPECT_EQ(s[i], (i - 100) >> (i % 4)) << i;
}

// Halide computes in 16 bits what it knows to fit into them.
TEST_F(VulkanForms, IntegersThatFitIntoHalfAWord) {
    const Var x("x");
    Func sums("sums"), exponents("exponents");
    sums(x) = x * 100000 + Halide::cast<int>(Halide::cast<uint8_t>(x)) % 7;
    const Expr bits = Halide::reinterpret<int>(Halide::cast<float>(x - 100));
    exponents(x) = Halide::cast<float>((bits >> 23) - 126 - Halide::cast<int>(x < 50));
    const std::vector<int> s = values_of<int>(sums, 256);
    const std::vector<float> e = values_of<float>(exponents, 256);
    for (int i = 0; i < 256; i++) {
        EXPECT_EQ(s[i], i * 100000 + i % 7) << i;
        int exponent = -126;
        if (i != 100) std::frexp(static_cast<float>(i - 100), &exponent);
        const int sign = i < 100 ? -256 : 0;
        EXPECT_EQ(e[i], static_cast<float>(sign + exponent - (i < 50 ? 1 : 0))) << i;
    }
}

TEST_F(VulkanForms, DivisorsArePositive) {
    const Var x("x");
    Func quotients("quotients");
    quotients(x) = (x - 3) / (x - 5);
    const std::string text = message_of([&] { values_of<int>(quotients, 32); });
    EXPECT_NE(text.find("error[device]: the divisor of "), std::string::npos) << text;
    EXPECT_NE(text.find("may not be positive"), std::string::npos) << text;
}

// A large constant rounds to an integer; NaNs are found.
TEST_F(VulkanForms, StrictArithmetic) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> given;
    for (int i = 0; i < 64; i++) given.push_back(i % 8 == 3 ? nan : static_cast<float>(i) - 40.7F);
    ImageParam in(Halide::Float(32), 1, "in");
    const Var x("x");
    for (int vector : {1, 4}) {
        SCOPED_TRACE(vector);
        Func powers("powers"), known("known"), differ("differ");
        powers(x) = exp_f32(in(x));
        known(x) = Halide::select(is_number(Strict(in(x))), 1.0F, 2.0F);
        differ(x) = Halide::select(in(x) != 0.0F, 1.0F, 2.0F);
        const std::vector<float> p = values_of<float>(powers, 64, vector, &in, given),
                                 k = values_of<float>(known, 64, vector, &in, given),
                                 d = values_of<float>(differ, 64, vector, &in, given);
        for (size_t i = 0; i < given.size(); i++) {
            const bool is_nan = std::isnan(given[i]);
            EXPECT_EQ(k[i], is_nan ? 2.0F : 1.0F) << i;
            EXPECT_EQ(d[i], 1.0F) << i;
            if (is_nan) continue;
            const double right = std::exp(static_cast<double>(given[i]));
            EXPECT_NEAR(p[i], right, 1e-6 * right) << given[i];
        }
    }
}

TEST_F(VulkanForms, Vectors) {
    const Var x("x");
    std::vector<float> given;
    for (int i = 0; i < 64; i++) given.push_back(static_cast<float>(i));
    ImageParam in(Halide::Float(32), 1, "in");
    Func swapped("swapped"), chosen("chosen"), truths("truths");
    swapped(x) = Halide::select(x % 2 == 0, in(x / 2), in(x / 2 + 32));
    chosen(x) = Halide::select(in(0) < 1.0F, in(x), 7.0F);
    truths(x) = Halide::select(Halide::cast<bool>(Halide::cast<int>(in(x)) & 4), 1.0F, 0.0F);
    const std::vector<float> s = values_of<float>(swapped, 64, 4, &in, given),
                             c = values_of<float>(chosen, 64, 4, &in, given),
                             t = values_of<float>(truths, 64, 4, &in, given);
    for (int i = 0; i < 64; i++) {
        EXPECT_EQ(s[i], static_cast<float>(i / 2 + (i % 2 == 0 ? 0 : 32))) << i;
        EXPECT_EQ(c[i], static_cast<float>(i)) << i;
        EXPECT_EQ(t[i], (i & 4) != 0 ? 1.0F : 0.0F) << i;
    }
    Func wide("wide");
    wide(x) = in(x) + 1.0F;
    EXPECT_NE(message_of([&] {
                  values_of<float>(wide, 64, 8, &in, given);
              }).find("a vector has 8 lanes, but vulkan allows 4"),
              std::string::npos);
}

// What does not depend on the loops is computed in front of the kernel.
TEST_F(VulkanForms, TruthsOfArguments) {
    const Var x("x"), block("block"), thread("thread");
    Halide::Param<int> limit("limit"), other("other");
    Func chosen("chosen");
    chosen(x) = Halide::select(x % 5 != 0 && limit > 2, x, -1) + other;
    chosen.bound(x, 0, 64).gpu_tile(x, block, thread, 32);
    Halide::Pipeline pipeline(chosen);
    add_device_lowering(pipeline, isa_vulkan(), 1);
    for (const int value : {1, 3}) {
        limit.set(value), other.set(7);
        Halide::Buffer<int> values(64);
        pipeline.realize(values, target());
        values.copy_to_host();
        for (int i = 0; i < 64; i++)
            EXPECT_EQ(values(i), (i % 5 != 0 && value > 2 ? i : -1) + 7) << i << " " << value;
    }
}

// More blocks than an axis takes. The bytes are whole lines: what Halide's own runtime copies.
TEST_F(VulkanForms, LongGrids) {
    constexpr int kCount = 32 * (kMostBlocks + 1) - 16;
    const Var x("x"), block("block"), thread("thread");
    Func tripled("tripled");
    tripled(x) = x * 3;
    tripled.bound(x, 0, kCount)
        .split(x, block, thread, 32, Halide::TailStrategy::GuardWithIf)
        .gpu_blocks(block)
        .gpu_threads(thread);
    Halide::Pipeline pipeline(tripled);
    add_device_lowering(pipeline, isa_vulkan(), 1);
    Halide::Buffer<int> values(kCount);
    pipeline.realize(values, target());
    values.copy_to_host();
    int wrong = 0;
    for (int i = 0; i < kCount; i++) wrong += values(i) != i * 3 ? 1 : 0;
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace emulsion::test
