// Every kernel of two networks, alone: with Halide's asserts, and as it ships on memory of exact
// size between protected pages, against the double-precision reference; and the same kernel for
// AVX2 and for AVX-512, bit by bit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/codegen/kernel.h"
#include "compiler/plan/plan.h"
#include "runtime/abi/instance.h"
#include "schedules/library.h"
#include "tests/integration/integration_support.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_harness.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 5;
constexpr int kClasses = 5;
constexpr double kTolerance = 1e-5;  // of a result's largest value

const RecipeLibrary& recipes() {
    static const RecipeLibrary library = make_library();
    return library;
}

// The distinct kernels of both libraries.
std::vector<PlannedKernel> kernels_of(const Network& network, const Isa& isa) {
    std::vector<PlannedKernel> kernels;
    std::set<std::string> seen;
    for (bool is_training : {true, false}) {
        PlanOptions options;
        options.training = is_training;
        options.batches = {kBatch};
        options.isas = {isa};
        const Plan plan = make_plan(
            is_training ? training_graph(network) : inference_graph(network), recipes(), options);
        for (const PlannedKernel& kernel : plan.variants[0].kernels) {
            if (seen.insert(kernel.identity(isa)).second) kernels.push_back(kernel);
        }
    }
    return kernels;
}

std::vector<CompiledKernel> compiled(const std::vector<PlannedKernel>& kernels, const Isa& isa,
                                     bool is_checked) {
    KernelOptions options;
    options.checked = is_checked;
    options.processes = 2;
    return compile_kernels(kernels, isa, recipes(), options);
}

void expect_equals_reference(const Group& group, const std::vector<std::vector<std::byte>>& actual,
                             const reference::Values& expected, int64_t samples) {
    for (size_t k = 0; k < actual.size(); k++) {
        const Value value = group.body.results()[k].value;
        const reference::Tensor& right =
            expected[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
        const reference::Tensor tensor =
            reference::unpack(group.body.type(value), samples, actual[k].data());
        double largest = 1e-30, difference = 0;
        for (size_t i = 0; i < right.values.size(); i++) {
            largest = std::max(largest, std::abs(right.values[i]));
            const double here = std::abs(tensor.values[i] - right.values[i]);
            difference = here <= difference ? difference : here;  // NaN stays
        }
        EXPECT_TRUE(difference <= kTolerance * largest)
            << "result " << k << " differs by " << difference << ", its largest value is "
            << largest;
    }
}

void check_kernel(const PlannedKernel& kernel, const Isa& isa, const CompiledKernel& shipped,
                  const CompiledKernel& checked) {
    const std::string name = kernel.identity(isa);
    SCOPED_TRACE(name);
    const FaultNote note(name);
    KernelHarness with_asserts(kernel.group, checked, /*checked=*/true);
    KernelHarness as_shipped(kernel.group, shipped, /*checked=*/false);
    for (int64_t samples : std::set<int64_t>{1, 2, kBatch - 1, kBatch}) {
        SCOPED_TRACE(fmt::format("{} samples", samples));
        const reference::Sources sources = random_sources(kernel.group, samples, kClasses);
        const reference::Values expected = reference::evaluate(kernel.group.body, sources, samples);
        const auto first = with_asserts.run(sources, samples, Edge::back);
        expect_equals_reference(kernel.group, first, expected, samples);
        for (Edge edge : {Edge::front, Edge::back}) {
            const auto results = as_shipped.run(sources, samples, edge);
            expect_equals_reference(kernel.group, results, expected, samples);
        }
    }
}

void check_kernels(const Network& network) {
    const Isa& isa = native_isa();
    const std::vector<PlannedKernel> kernels = kernels_of(network, isa);
    ASSERT_GE(kernels.size(), 10u);
    const std::vector<CompiledKernel> shipped = compiled(kernels, isa, /*is_checked=*/false);
    const std::vector<CompiledKernel> checked = compiled(kernels, isa, /*is_checked=*/true);
    for (size_t i = 0; i < kernels.size(); i++)
        check_kernel(kernels[i], isa, shipped[i], checked[i]);
}

TEST(Kernels, OfLenetStayInTheirMemory) { check_kernels(golden_network("lenet")); }
TEST(Kernels, OfAResidualNetworkStayInTheirMemory) { check_kernels(residual_network()); }
TEST(Kernels, OfASmallNetworkStayInTheirMemory) { check_kernels(small_network()); }

// The harness itself: a kernel that reads or writes past a block of the exact size is caught.
TEST(KernelHarnessDeathTest, ReadsOutsideABlockEndTheTest) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const GuardedBlock back(128, Edge::back), front(128, Edge::front);
    const FaultNote note("kernel of the test");
    volatile const std::byte* after = back.data() + 128;
    volatile const std::byte* before = front.data() - 1;
    EXPECT_DEATH((void)*after, "memory that is not its own: kernel of the test");
    EXPECT_DEATH((void)*before, "memory that is not its own: kernel of the test");
    const GuardedBlock odd(100, Edge::back);
    EXPECT_TRUE(odd.is_pattern_intact());
    odd.data()[100] = std::byte{0};
    EXPECT_FALSE(odd.is_pattern_intact());
}

bool has_both_isas() {
    constexpr uint32_t kBoth = EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512;
    return (emulsion_cpu_features() & kBoth) == kBoth;
}

// Each kernel as the plan of either ISA takes it: recipes and tilings may differ in their register
// tiles alone.
void compare_isas(const Network& network) {
    const std::vector<PlannedKernel> narrow = kernels_of(network, isa_avx2()),
                                     wide = kernels_of(network, isa_avx512());
    ASSERT_EQ(narrow.size(), wide.size());
    const auto narrow_code = compiled(narrow, isa_avx2(), /*is_checked=*/false);
    const auto wide_code = compiled(wide, isa_avx512(), /*is_checked=*/false);
    for (size_t i = 0; i < narrow.size(); i++) {
        ASSERT_EQ(narrow[i].group.signature(), wide[i].group.signature());
        const FaultNote note(narrow[i].group.signature());
        KernelHarness a(narrow[i].group, narrow_code[i], /*checked=*/false);
        KernelHarness b(wide[i].group, wide_code[i], /*checked=*/false);
        for (int64_t samples : {1, kBatch}) {
            const reference::Sources sources = random_sources(narrow[i].group, samples, kClasses);
            EXPECT_TRUE(a.run(sources, samples, Edge::back) == b.run(sources, samples, Edge::back))
                << "other bits with " << samples << " samples:\n  "
                << narrow[i].identity(isa_avx2()) << "\n  " << wide[i].identity(isa_avx512());
        }
    }
}

TEST(Kernels, OfLenetGiveTheSameBitsOnAvx2AndAvx512) {
    if (!has_both_isas()) GTEST_SKIP() << "this processor lacks AVX2 or AVX-512";
    compare_isas(golden_network("lenet"));
}
TEST(Kernels, OfAResidualNetworkGiveTheSameBitsOnAvx2AndAvx512) {
    if (!has_both_isas()) GTEST_SKIP() << "this processor lacks AVX2 or AVX-512";
    compare_isas(residual_network());
}
TEST(Kernels, OfASmallNetworkGiveTheSameBitsOnAvx2AndAvx512) {
    if (!has_both_isas()) GTEST_SKIP() << "this processor lacks AVX2 or AVX-512";
    compare_isas(small_network());
}

}  // namespace
}  // namespace emulsion::test
