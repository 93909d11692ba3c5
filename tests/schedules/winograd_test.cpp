// Winograd convolution and filter gradient as they ship, on memory of exact size between protected pages: against the
// double-precision reference over shapes, samples, prologues and epilogues, and bit by bit over threads, instruction
// sets and tilings.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/winograd.h"
#include "schedules/library.h"
#include "schedules/winograd.h"
#include "schedules/winograd_filter_gradient.h"
#include "tests/schedules/recipe_support.h"
#include "tests/support/kernel_harness.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Bytes = std::vector<std::vector<std::byte>>;

struct ConvCase {
    int64_t in, out, height, width;
    int64_t kernel = 3;
    std::vector<int64_t> padding = {1, 1, 1, 1};
    int batch = 3;
};

TensorType input_type(const ConvCase& c) { return batched_type({c.in, c.height, c.width}); }
TensorType filter_type(const ConvCase& c) { return plain_type({c.out, c.in, c.kernel, c.kernel}); }
TensorType output_type(const ConvCase& c) {
    Conv2d conv;
    conv.padding = c.padding;
    return conv.infer({{input_type(c), filter_type(c)}})[0];
}

std::shared_ptr<WinogradConv2d> forward_op(const ConvCase& c) {
    auto op = std::make_shared<WinogradConv2d>();
    op->tile = 7 - c.kernel;
    op->padding = c.padding;
    return op;
}

std::shared_ptr<Conv2dBackwardFilter> gradient_op(const ConvCase& c) {
    auto op = std::make_shared<Conv2dBackwardFilter>();
    op->kernel = {c.kernel, c.kernel};
    op->padding = c.padding;
    return op;
}

Group forward_group(const ConvCase& c) {
    return group_of(forward_op(c), {input_type(c), plain_type({c.out, c.in, 6, 6})}, c.batch);
}

Group gradient_group(const ConvCase& c) {
    return group_of(gradient_op(c), {input_type(c), output_type(c)}, c.batch);
}

// Every height from 4 to 13; channels, batches and paddings take turns.
std::vector<ConvCase> sweep(int64_t kernel) {
    const std::vector<int64_t> channels = {16, 32, 48, 64};
    const std::vector<int> batches = {1, 2, 3, kernel == 5 ? 2 : 5};
    const int64_t same = kernel / 2;
    const std::vector<std::vector<int64_t>> paddings = {
        {same, same, same, same}, {0, 0, 0, 0}, {2, 0, 1, 3}, {0, same, same, 1}};
    std::vector<ConvCase> cases;
    for (int64_t height = 4; height <= 13; height++) {
        const auto turn = static_cast<size_t>(height);
        std::vector<int64_t> padding = paddings[turn % 4];
        if (height + padding[0] + padding[1] < 6) padding = paddings[0];
        const size_t out = kernel == 5 ? turn / 2 % 2 : turn / 2 % 4;  // 5x5 takes long enough with few
        cases.push_back({channels[turn % 4], channels[out], height, height + height % 3, kernel, padding,
                         batches[(turn + turn / 4) % 4]});
    }
    return cases;
}

// ---- Running ----

// Filters of the group's size, transformed in double precision: the reference then is that of conv2d.
Tensor transformed_filter(const TensorType& u, int64_t tile, std::mt19937_64& generator) {
    std::uniform_real_distribution<double> uniform(-0.5, 0.5);
    Tensor w = reference::make_tensor(plain_type({u.shape[0], u.shape[1], 7 - tile, 7 - tile}), 1);
    for (double& value : w.values) value = static_cast<float>(uniform(generator));
    WinogradFilter op;
    op.tile = tile;
    return reference::evaluate(op, {w}, 1)[0];
}

// Values for a group: maps uniform in +-0.5, filters transformed, bytes winners of windows.
reference::Sources sources_of(const Group& group, int64_t samples) {
    std::mt19937_64 generator(samples);
    std::uniform_real_distribution<double> uniform(-0.5, 0.5);
    reference::Sources sources = random_sources(group, samples, int64_t{2});
    for (auto& [name, tensor] : sources) {
        if (tensor.type.element != ElementType::f32) continue;
        for (double& value : tensor.values) value = static_cast<float>(uniform(generator));
    }
    if (const auto* op = dynamic_cast<const WinogradConv2d*>(group.anchor_node().op.get())) {
        const Node& filter = group.body.node(group.anchor_node().inputs[1].node);
        sources[filter.name] = transformed_filter(filter.types[0], op->tile, generator);
    }
    return sources;
}

// Largest difference over largest value of the reference, over all results.
double relative_error(const Group& group, const Bytes& actual, const reference::Values& expected, int64_t samples) {
    double error = 0;
    for (size_t k = 0; k < actual.size(); k++) {
        const Value value = group.body.results()[k].value;
        const Tensor& right = expected[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
        const Tensor tensor = reference::unpack(group.body.type(value), samples, actual[k].data());
        double largest = 1e-30, difference = 0;
        for (size_t i = 0; i < right.values.size(); i++) {
            largest = std::max(largest, std::abs(right.values[i]));
            const double here = std::abs(tensor.values[i] - right.values[i]);
            difference = here <= difference ? difference : here;  // NaN stays
        }
        error = difference / largest <= error ? error : difference / largest;
    }
    return error;
}

struct Check {
    std::string recipe;
    bool all_tilings = false;
    bool checked = false;      // with Halide's asserts
    bool without_fma = false;  // on the oldest processors too; other bits
    double tolerance = 2e-5;  // of a result's largest value
};

std::vector<CompiledKernel> compile(const std::vector<PlannedKernel>& kernels, const Isa& isa, bool checked) {
    static const RecipeLibrary library = make_library();
    KernelOptions options;
    options.processes = 2;
    options.checked = checked;
    return compile_kernels(kernels, isa, library, options);
}

// Kernels of equal groups, whatever their tiling and instruction set, write the same bytes.
using Expected = std::map<std::pair<std::string, int64_t>, Bytes>;

void run_kernel(const PlannedKernel& kernel, const Isa& isa, const CompiledKernel& compiled, const Check& check,
                Expected& bits) {
    const Group& group = kernel.group;
    const std::string name = kernel.identity(isa);
    SCOPED_TRACE(name);
    const FaultNote note(name);
    for (int threads : {1, 2, 3}) {
        KernelHarness harness(group, compiled, check.checked, threads);
        for (int64_t samples : std::set<int64_t>{1, 2, group.batch - 1, group.batch}) {
            if (samples < 1 || samples > group.batch) continue;
            SCOPED_TRACE(fmt::format("{} samples, {} threads", samples, threads));
            const reference::Sources sources = sources_of(group, samples);
            const Bytes results = harness.run(
                sources, samples, (threads + samples) % 2 == 0 ? Edge::front : Edge::back);
            auto [first, is_new] = bits.try_emplace({group.signature() + (isa.fma ? "" : " without fma"), samples}, results);
            if (!is_new) {
                EXPECT_TRUE(first->second == results) << "other bits than with other threads, tiling or processor";
                continue;
            }
            const reference::Values expected = reference::evaluate(group.body, sources, samples);
            const double error = relative_error(group, results, expected, samples);
            EXPECT_LT(error, check.tolerance);
        }
    }
}

// Each group by the recipe, with AVX2 and AVX-512, with 1 to 3 threads, with 1 to `batch` samples.
void check_groups(const std::vector<Group>& groups, const Check& check) {
    const Recipe& recipe = recipe_named(check.recipe);
    Expected bits;
    for (const Isa* isa : runnable_isas()) {
        if (!isa->fma && !check.without_fma) continue;
        std::vector<PlannedKernel> kernels;
        for (const Group& group : groups) {
            ASSERT_TRUE(recipe.applies(group, *isa)) << group.signature();
            std::vector<Tiling> tilings = recipe.tilings(group, *isa);
            ASSERT_FALSE(tilings.empty());
            if (!check.all_tilings) tilings.resize(1);
            for (const Tiling& tiling : tilings) {
                EXPECT_GT(recipe.cost(group, tiling, *isa, Machine()), 0);
                kernels.push_back({group, check.recipe, recipe.version(), tiling});
            }
        }
        const std::vector<CompiledKernel> compiled = compile(kernels, *isa, check.checked);
        for (size_t i = 0; i < kernels.size(); i++) run_kernel(kernels[i], *isa, compiled[i], check, bits);
    }
}

std::vector<Group> groups_of(const std::vector<ConvCase>& cases, Group (*group)(const ConvCase&)) {
    std::vector<Group> groups;
    for (const ConvCase& c : cases) groups.push_back(group(c));
    return groups;
}

// ---- Forward ----

TEST(Winograd, ShapesOf3x3) { check_groups(groups_of(sweep(3), forward_group), {"winograd"}); }
TEST(Winograd, ShapesOf5x5) { check_groups(groups_of(sweep(5), forward_group), {"winograd"}); }

TEST(Winograd, EveryTiling) {
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({forward_group({32, 64, 9, 10}), forward_group({16, 32, 6, 7, 5, {2, 2, 2, 2}, 2})}, check);
}

// Maps of more than 3 MB and few channels: products ask for the next block's input, beyond the last one too.
const ConvCase kLargeMap = {16, 16, 20, 20, 3, {1, 1, 1, 1}, 128};

TEST(Winograd, ReadsAhead) { check_groups({forward_group(kLargeMap)}, {"winograd"}); }

// The pass runs for every processor, so the recipe must.
TEST(Winograd, WithoutFusedMultiplyAdd) {
    Check check{"winograd"};
    check.without_fma = true;
    check_groups({forward_group({16, 32, 6, 7, 3, {1, 1, 1, 1}, 2})}, check);
}

TEST(Winograd, WithHalidesAsserts) {
    Check check{"winograd"};
    check.checked = true;
    check_groups({forward_group({16, 32, 5, 7}), forward_group({32, 16, 8, 4, 5, {2, 2, 2, 2}, 2})}, check);
}

// tanh(x + bias): not zero at zero, so a border that went through it shows.
Value add_prologue(GraphBuilder& b, Value x) {
    const Value bias = add_operand(b, "p_bias", plain_type({b.type(x).shape[0]}));
    return b.add(std::make_shared<Tanh>(), {b.add(std::make_shared<Add>(), {x, bias}, "p_sum")}, "p");
}

// The data gradient of a net: dy comes back through a pool, dx is masked by what the layer below stored.
Group masked_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const std::vector<int64_t> half = {c.in, c.height / 2, c.width / 2};
        const Value dy = add_operand(b, "a0", batched_type(half));
        const Value index = add_operand(b, "a1", batched_type(half, ElementType::u8));
        const Value u = add_operand(b, "a2", plain_type({c.out, c.in, 6, 6}));
        const Value mask = add_operand(b, "a3", output_type(c));
        auto unpool = std::make_shared<MaxPoolBackward>();
        unpool->input = {c.height, c.width};
        const Value spread = b.add(unpool, {dy, index}, "v0");
        const Value dx = b.add(forward_op(c), {spread, u}, "v1");
        return {b.add(std::make_shared<ReluBackward>(), {dx, mask}, "v2")};
    });
}

Group residual_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", plain_type({c.out, c.in, 6, 6}));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        const Value skip = add_operand(b, "a3", output_type(c));
        const Value y = b.add(forward_op(c), {add_prologue(b, x), u}, "v1");
        const Value sum = b.add(std::make_shared<Add>(), {b.add(std::make_shared<Add>(), {y, bias}, "v2"), skip}, "v3");
        return {b.add(std::make_shared<Relu>(), {sum}, "v4"), sum};
    });
}

Group pooled_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", plain_type({c.out, c.in, 6, 6}));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        auto pool = std::make_shared<MaxPool>();
        const Value pooled = b.add(pool, {b.add(forward_op(c), {x, u}, "v0")}, "v1");
        const Value sum = b.add(std::make_shared<Add>(), {pooled, bias}, "v2");
        return {b.add(std::make_shared<Relu>(), {sum}, "v3"), {pooled.node, 1}};
    });
}

const std::vector<ConvCase> kFused = {
    {16, 32, 6, 8}, {32, 16, 8, 10, 5, {2, 2, 2, 2}, 2}, {16, 16, 12, 4, 3, {1, 1, 1, 1}, 5}};

TEST(Winograd, PrologueOfUnpoolingAndMask) { check_groups(groups_of(kFused, masked_group), {"winograd"}); }
TEST(Winograd, PrologueAndTwoResults) { check_groups(groups_of(kFused, residual_group), {"winograd"}); }
TEST(Winograd, PooledWithIndex) {
    std::vector<ConvCase> cases = kFused;
    cases.push_back({16, 32, 7, 9, 3, {0, 1, 1, 2}, 2});  // odd, so the pool leaves cells out
    cases.push_back({16, 16, 9, 5});  // tiles without any pooled cell
    check_groups(groups_of(cases, pooled_group), {"winograd"});
}

// A convolution whose result goes into the moments of a batch norm.
Group moments_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", plain_type({c.out, c.in, 6, 6}));
        const Value y = b.add(forward_op(c), {add_prologue(b, x), u}, "v1");
        const Value moments = b.add(std::make_shared<PartialMoments>(), {y}, "v2");
        return {y, moments, {moments.node, 1}, {moments.node, 2}};
    });
}

// The tail of a residual block backwards: a sum of gradients, masked, stored and summed for two batch norms.
Group dots_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value dy = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", plain_type({c.out, c.in, 6, 6}));
        const Value skip = add_operand(b, "a2", output_type(c)), mask = add_operand(b, "a3", output_type(c));
        const Value dx = b.add(forward_op(c), {dy, u}, "v0");
        const Value sum = b.add(std::make_shared<Add>(), {dx, skip}, "v1");
        const Value dz = b.add(std::make_shared<ReluBackward>(), {sum, mask}, "v2");
        std::vector<Value> results = {dz};
        for (int i = 0; i < 2; i++) {
            const Value below = add_operand(b, fmt::format("a{}", 4 + 2 * i), output_type(c));
            const Value mean = add_operand(b, fmt::format("a{}", 5 + 2 * i), plain_type({c.out}));
            const Value dots = b.add(std::make_shared<PartialDots>(), {dz, below, mean}, fmt::format("v{}", 3 + i));
            results.push_back(dots);
            results.push_back({dots.node, 1});
        }
        return results;
    });
}

// Sizes where strips and tiles end early in either direction, and one tile a row.
std::vector<ConvCase> strip_cases() {
    std::vector<ConvCase> cases;
    const std::vector<std::vector<int64_t>> paddings = {{1, 1, 1, 1}, {0, 0, 0, 0}, {2, 0, 1, 3}};
    for (int64_t height = 3; height <= 13; height++) {
        const auto turn = static_cast<size_t>(height);
        cases.push_back({height % 2 == 0 ? 16 : 32, height % 3 == 0 ? 48 : 32, height, 16 - height, 3,
                         paddings[height < 12 ? 0 : turn % 3], static_cast<int>(1 + turn % 4)});
    }
    return cases;
}

TEST(Winograd, SumsMomentsOfStrips) { check_groups(groups_of(strip_cases(), moments_group), {"winograd"}); }
TEST(Winograd, SumsDotsOfStrips) { check_groups(groups_of(strip_cases(), dots_group), {"winograd"}); }
TEST(Winograd, SumsStripsWithEveryTiling) {
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({moments_group({16, 64, 9, 22, 3, {1, 1, 1, 1}, 4})}, check);
}

// The tail of a residual block, stored, and the convolution that reads it.
Value add_tail(GraphBuilder& b, const ConvCase& c) {
    const Value x = add_operand(b, "a0", input_type(c)), skip = add_operand(b, "a1", input_type(c));
    const Value sum = b.add(std::make_shared<Add>(), {add_prologue(b, x), skip}, "sum");
    return b.add(std::make_shared<Relu>(), {sum}, "tail");
}

Group tail_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", plain_type({c.out, c.in, 6, 6}));
        return {b.add(forward_op(c), {tail, u}, "y"), tail};
    });
}

Group tail_and_moments_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", plain_type({c.out, c.in, 6, 6}));
        const Value y = b.add(forward_op(c), {tail, u}, "y");
        const Value moments = b.add(std::make_shared<PartialMoments>(), {y}, "moments");
        return {y, moments, {moments.node, 1}, {moments.node, 2}, tail};
    });
}

Group pooled_tail_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", plain_type({c.out, c.in, 6, 6}));
        const Value y = b.add(forward_op(c), {tail, u}, "y");
        const Value pooled = b.add(std::make_shared<MaxPool>(), {y}, "pooled");
        return {pooled, {pooled.node, 1}, tail};
    });
}

// Halide joins loops only where it sees the same in them, which depends on the shape.
TEST(Winograd, StoresTheTailOfEveryShape) {
    std::vector<ConvCase> cases;
    for (int64_t height = 1; height <= 13; height++) {
        const int64_t channels = height % 2 == 0 ? 16 : 32;
        cases.push_back({channels, 16, height, height % 3 == 0 ? 14 - height : height, 3,
                         {1, 1, 1, 1}, height % 4 < 2 ? 3 : 1});
    }
    check_groups(groups_of(cases, tail_and_moments_group), {"winograd"});
}

TEST(Winograd, StoresTheTailOfOtherForms) {
    std::vector<ConvCase> cases = {{16, 32, 6, 8, 5, {2, 2, 2, 2}, 2}, {32, 16, 7, 5, 5, {2, 2, 2, 2}, 3},
                                   {16, 16, 7, 9, 3, {2, 0, 0, 2}, 3}};
    check_groups(groups_of(cases, tail_group), {"winograd"});
    check_groups(groups_of({{16, 32, 6, 8}, {16, 16, 9, 7}}, pooled_tail_group), {"winograd"});
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({tail_and_moments_group({16, 64, 9, 22, 3, {1, 1, 1, 1}, 4})}, check);
    check.all_tilings = false;
    check.checked = true;
    check_groups({tail_and_moments_group({16, 32, 5, 7}), tail_group({16, 16, 8, 4})}, check);
}

// ---- Filter transform ----

std::shared_ptr<WinogradFilter> transform_op(int64_t kernel) {
    auto op = std::make_shared<WinogradFilter>();
    op->tile = 7 - kernel;
    return op;
}

TEST(WinogradFilterTransform, AgreesWithTheReference) {
    for (int64_t kernel : {3, 5}) {
        for (int64_t channels : {1, 16, 48}) {
            check_recipe("winograd_filter", group_of(transform_op(kernel), {plain_type({32, channels, kernel, kernel})}, 1));
        }
    }
}

TEST(WinogradFilterTransform, TurnsFiltersOnTheWay) {
    for (int64_t kernel : {3, 5}) {
        check_recipe("winograd_filter", make_group(1, [&](GraphBuilder& b) -> std::vector<Value> {
                         const Value w = add_operand(b, "a0", plain_type({48, 32, kernel, kernel}));
                         return {b.add(transform_op(kernel), {b.add(std::make_shared<RotateFilter>(), {w}, "v0")}, "v1")};
                     }));
    }
}

// ---- Filter gradient ----

// Both recipes, by name.
class WinogradFilterGradients : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Recipes, WinogradFilterGradients,
                         testing::Values("winograd_filter_gradient", "winograd_panel_gradient"),
                         [](const auto& test) { return test.param; });

TEST_P(WinogradFilterGradients, ShapesOf3x3) {
    check_groups(groups_of(sweep(3), gradient_group), {GetParam()});
}
TEST_P(WinogradFilterGradients, ShapesOf5x5) {
    check_groups(groups_of(sweep(5), gradient_group), {GetParam()});
}

TEST_P(WinogradFilterGradients, EveryTiling) {
    Check check{GetParam()};
    check.all_tilings = true;
    check_groups({gradient_group({48, 64, 9, 10}), gradient_group({16, 32, 6, 7, 5, {2, 2, 2, 2}, 2})}, check);
}

TEST_P(WinogradFilterGradients, WithHalidesAsserts) {
    Check check{GetParam()};
    check.checked = true;
    check_groups({gradient_group({16, 32, 5, 7}), gradient_group({32, 16, 8, 4, 5, {2, 2, 2, 2}, 2})}, check);
}

TEST(WinogradFilterGradient, ReadsAhead) {
    check_groups({gradient_group(kLargeMap)}, {"winograd_filter_gradient"});
}

// More blocks than partitions, a last round that is not full.
TEST_P(WinogradFilterGradients, ManySamples) {
    check_groups({gradient_group({16, 16, 13, 13, 3, {1, 1, 1, 1}, 40})}, {GetParam()});
}

// Several tasks either way, and one tile a sample.
TEST_P(WinogradFilterGradients, ManyChannels) {
    check_groups({gradient_group({160, 96, 7, 7}), gradient_group({64, 256, 4, 4, 3, {1, 1, 1, 1}, 5})},
                 {GetParam()});
}

TEST_P(WinogradFilterGradients, Prologues) {
    std::vector<Group> groups;
    for (const ConvCase& c : kFused) {
        groups.push_back(make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value x = add_operand(b, "a0", input_type(c));
            const std::vector<int64_t> half = {c.out, c.height / 2, c.width / 2};
            const Value dy = add_operand(b, "a1", batched_type(half));
            const Value index = add_operand(b, "a2", batched_type(half, ElementType::u8));
            auto unpool = std::make_shared<MaxPoolBackward>();
            unpool->input = {c.height, c.width};
            const Value spread = b.add(unpool, {dy, index}, "v1");
            return {b.add(gradient_op(c), {add_prologue(b, x), spread}, "v2")};
        }));
    }
    check_groups(groups, {GetParam()});
}

// ---- Accuracy ----

// The largest error of the groups' results lies below what the recipe states and plans print, but not far below.
void expect_error(const std::string& recipe, const std::vector<Group>& groups) {
    const Isa& isa = *runnable_isas().back();
    const Recipe& r = recipe_named(recipe);
    double largest = 0;
    for (const Group& group : groups) {
        ASSERT_TRUE(r.applies(group, isa)) << group.signature();
        const std::vector<PlannedKernel> kernels = {{group, recipe, r.version(), r.tilings(group, isa)[0]}};
        const std::vector<CompiledKernel> compiled = compile(kernels, isa, false);
        KernelHarness harness(group, compiled[0], false, 1);
        const reference::Sources sources = sources_of(group, group.batch);
        const double error = relative_error(group, harness.run(sources, group.batch, Edge::back),
                                            reference::evaluate(group.body, sources, group.batch), group.batch);
        fmt::print("{}: {:.2g} of the largest result, {}\n", recipe, error, group.signature());
        EXPECT_LT(error, r.relative_error()) << group.signature();
        largest = std::max(largest, error);
    }
    EXPECT_GT(4 * largest, r.relative_error()) << "the stated error is far too large";
}

TEST(WinogradAccuracy, Forward) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256, 512}) {
        groups.push_back(forward_group({channels, 32, 8, 8, 3, {1, 1, 1, 1}, 2}));
        groups.push_back(forward_group({channels, 32, 8, 8, 5, {2, 2, 2, 2}, 2}));
    }
    expect_error("winograd", groups);
}

TEST_P(WinogradFilterGradients, Accuracy) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256}) {
        groups.push_back(gradient_group({channels, 32, 8, 8, 3, {1, 1, 1, 1}, 5}));
        groups.push_back(gradient_group({channels, 32, 8, 8, 5, {2, 2, 2, 2}, 5}));
    }
    const int batch = GetParam() == "winograd_panel_gradient" ? 16 : 64;  // sums as long as it takes
    groups.push_back(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, batch}));
    expect_error(GetParam(), groups);
}

TEST(WinogradAccuracy, ExactRecipesStateNoError) {
    for (const auto& recipe : make_library())
        EXPECT_EQ(recipe->is_exact(), recipe->relative_error() == 0) << recipe->name();
}

// 4 x 4 of the result need 36 products instead of 144, 2 x 2 of a 5x5 filter 36 instead of 100.
TEST(Winograd, CountsTheProductsItDoes) {
    const Recipe& forward = recipe_named("winograd");
    const Recipe& gradient = recipe_named("winograd_filter_gradient");
    const Group three = forward_group({16, 32, 8, 8}), five = forward_group({16, 32, 8, 8, 5, {2, 2, 2, 2}});
    EXPECT_EQ(static_cast<double>(three.multiply_adds()), 3 * 8 * 8 * 9 * 16 * 32.0);
    EXPECT_EQ(forward.multiply_adds(three), 3 * 4 * 36 * 16 * 32.0);
    EXPECT_EQ(forward.multiply_adds(five), 3 * 16 * 36 * 16 * 32.0);
    EXPECT_EQ(gradient.multiply_adds(gradient_group({16, 32, 8, 8})), 3 * 4 * 36 * 16 * 32.0);
    EXPECT_EQ(recipe_named("direct").multiply_adds(three), static_cast<double>(three.multiply_adds()));
}

// ---- Where it does not apply ----

TEST(Winograd, LeavesTheRestToOthers) {
    const Recipe& forward = recipe_named("winograd");
    const Recipe& gradient = recipe_named("winograd_filter_gradient");
    EXPECT_FALSE(forward.is_exact());
    EXPECT_FALSE(gradient.is_exact());
    EXPECT_TRUE(recipe_named("winograd_filter").is_exact());
    EXPECT_FALSE(forward.applies(gradient_group({16, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(forward_group({16, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(gradient_group({17, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(gradient_group({16, 16, 9, 9, 1, {0, 0, 0, 0}}), isa_avx512()));
    Conv2dBackwardFilter strided = *gradient_op({16, 16, 9, 9});
    strided.stride = {2, 2};
    const Group group = group_of(std::make_shared<Conv2dBackwardFilter>(strided),
                                 {batched_type({16, 9, 9}), batched_type({16, 5, 5})}, 2);
    EXPECT_FALSE(gradient.applies(group, isa_avx512()));
    const Recipe& panels = recipe_named("winograd_panel_gradient");
    EXPECT_FALSE(panels.is_exact());
    EXPECT_FALSE(panels.applies(group, isa_avx512()));
    EXPECT_TRUE(panels.applies(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, 16}), isa_avx512()));
    EXPECT_FALSE(panels.applies(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, 17}), isa_avx512()));
}

// The recipe of the lowest estimate: partitions of few channels, panels of many.
TEST(WinogradFilterGradient, RecipeByShape) {
    auto cheapest = [](const ConvCase& c) {
        const Group group = gradient_group(c);
        std::pair<double, std::string> best{1e9, ""};
        for (const auto& recipe : make_library()) {
            if (!recipe->applies(group, isa_avx512()) || recipe->name() == "default") continue;
            const Tiling tiling = recipe->tilings(group, isa_avx512())[0];
            best = std::min(best, {recipe->cost(group, tiling, isa_avx512(), Machine()), std::string(recipe->name())});
        }
        return best.second;
    };
    const std::vector<int64_t> same = {1, 1, 1, 1};
    EXPECT_EQ(cheapest({64, 64, 56, 56, 3, same, 16}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({128, 128, 28, 28, 3, same, 16}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({16, 16, 32, 32, 3, same, 128}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({256, 256, 14, 14, 3, same, 16}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({512, 512, 7, 7, 3, same, 16}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({256, 256, 8, 8, 3, same, 64}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({512, 512, 4, 4, 3, same, 64}), "winograd_panel_gradient");
}

}  // namespace
}  // namespace emulsion::test
