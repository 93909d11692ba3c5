// Shapes, values and runs of Winograd kernels.
#include "tests/schedules/cpu/winograd/winograd_support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "schedules/library.h"
#include "tests/support/kernel_harness.h"

namespace emulsion::test {

using reference::Tensor;

// ---- Groups ----

TensorType input_type(const ConvCase& c) { return batched_type({c.in, c.height, c.width}); }
TensorType filter_type(const ConvCase& c) { return plain_type({c.out, c.in, c.kernel, c.kernel}); }
TensorType transformed_type(const ConvCase& c) {
    return plain_type({c.out, c.in, c.points, c.points});
}
TensorType output_type(const ConvCase& c) {
    Conv2d conv;
    conv.padding = c.padding;
    return conv.infer({{input_type(c), filter_type(c)}})[0];
}

std::shared_ptr<WinogradConv2d> forward_op(const ConvCase& c) {
    auto op = std::make_shared<WinogradConv2d>();
    op->tile = c.points + 1 - c.kernel;
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
    return group_of(forward_op(c), {input_type(c), transformed_type(c)}, c.batch);
}

Group gradient_group(const ConvCase& c) {
    return group_of(gradient_op(c), {input_type(c), output_type(c)}, c.batch);
}

std::vector<Group> groups_of(const std::vector<ConvCase>& cases, Group (*group)(const ConvCase&)) {
    std::vector<Group> groups;
    for (const ConvCase& c : cases) groups.push_back(group(c));
    return groups;
}

std::vector<ConvCase> sweep(int64_t kernel, int64_t points) {
    const std::vector<int64_t> channels = {16, 32, 48, 64};
    const std::vector<int> batches = {1, 2, 3, kernel == 5 ? 2 : 5};
    const int64_t same = kernel / 2;
    const std::vector<std::vector<int64_t>> paddings = {
        {same, same, same, same}, {0, 0, 0, 0}, {2, 0, 1, 3}, {0, same, same, 1}};
    std::vector<ConvCase> cases;
    for (int64_t height = points == 4 ? 1 : 4; height <= 13; height++) {
        const auto turn = static_cast<size_t>(height);
        std::vector<int64_t> padding = paddings[turn % 4];
        if (height + padding[0] + padding[1] < points) padding = paddings[0];
        const size_t out =
            kernel == 5 ? turn / 2 % 2 : turn / 2 % 4;  // 5x5 takes long enough with few
        cases.push_back({channels[turn % 4], channels[out], height, height + height % 3, kernel,
                         padding, batches[(turn + turn / 4) % 4], points});
    }
    return cases;
}

std::vector<ConvCase> fused_cases() {
    return {
        {16, 32, 6, 8}, {32, 16, 8, 10, 5, {2, 2, 2, 2}, 2}, {16, 16, 12, 4, 3, {1, 1, 1, 1}, 5}};
}

std::vector<ConvCase> over_four_points(const std::vector<ConvCase>& cases) {
    std::vector<ConvCase> result;
    for (ConvCase c : cases) {
        c.points = 4;
        if (c.kernel == 3) result.push_back(c);
    }
    return result;
}

std::vector<ConvCase> large_cases() {
    return {{16, 16, 20, 20, 3, {1, 1, 1, 1}, 128}, {16, 16, 6, 6, 3, {1, 1, 1, 1}, 1400, 4}};
}

Value add_prologue(GraphBuilder& b, Value x) {
    const Value bias = add_operand(b, "p_bias", plain_type({b.type(x).shape[0]}));
    return b.add(std::make_shared<Tanh>(), {b.add(std::make_shared<Add>(), {x, bias}, "p_sum")},
                 "p");
}

// ---- Running ----

namespace {

using Bytes = std::vector<std::vector<std::byte>>;

// Filters of the group's size, transformed in double precision: the reference then is that of
// conv2d.
Tensor transformed_filter(const TensorType& u, const WinogradConv2d& conv,
                          std::mt19937_64& generator) {
    std::uniform_real_distribution<double> uniform(-0.5, 0.5);
    const int64_t kernel = conv.kernel(u);
    Tensor w = reference::make_tensor(plain_type({u.shape[0], u.shape[1], kernel, kernel}), 1);
    for (double& value : w.values) value = static_cast<float>(uniform(generator));
    WinogradFilter op;
    op.tile = conv.tile;
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
        sources[filter.name] = transformed_filter(filter.types[0], *op, generator);
    }
    return sources;
}

// Largest difference over largest value of the reference, over all results.
double relative_error(const Group& group, const Bytes& actual, const reference::Values& expected,
                      int64_t samples) {
    double error = 0;
    for (size_t k = 0; k < actual.size(); k++) {
        const Value value = group.body.results()[k].value;
        const Tensor& right =
            expected[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
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

std::vector<CompiledKernel> compile(const std::vector<PlannedKernel>& kernels, const Isa& isa,
                                    bool checked) {
    static const RecipeLibrary library = make_library();
    KernelOptions options;
    options.processes = 2;
    options.checked = checked;
    return compile_kernels(kernels, isa, library, options);
}

// Kernels of equal groups, whatever their tiling and instruction set, write the same bytes.
using Expected = std::map<std::pair<std::string, int64_t>, Bytes>;

void run_kernel(const PlannedKernel& kernel, const Isa& isa, const CompiledKernel& compiled,
                const Check& check, Expected& bits) {
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
            auto [first, is_new] = bits.try_emplace(
                {group.signature() + (isa.fma ? "" : " without fma"), samples}, results);
            if (!is_new) {
                EXPECT_TRUE(first->second == results)
                    << "other bits than with other threads, tiling or processor";
                continue;
            }
            const reference::Values expected = reference::evaluate(group.body, sources, samples);
            const double error = relative_error(group, results, expected, samples);
            EXPECT_LT(error, check.tolerance);
        }
    }
}

}  // namespace

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
        for (size_t i = 0; i < kernels.size(); i++)
            run_kernel(kernels[i], *isa, compiled[i], check, bits);
    }
}

void expect_error(const std::string& recipe, const std::vector<Group>& groups) {
    const Isa& isa = *runnable_isas().back();
    const Recipe& r = recipe_named(recipe);
    double largest = 0, stated = 0;
    for (const Group& group : groups) {
        ASSERT_TRUE(r.applies(group, isa)) << group.signature();
        const std::vector<PlannedKernel> kernels = {
            {group, recipe, r.version(), r.tilings(group, isa)[0]}};
        const std::vector<CompiledKernel> compiled = compile(kernels, isa, false);
        KernelHarness harness(group, compiled[0], false, 1);
        const reference::Sources sources = sources_of(group, group.batch);
        const double error =
            relative_error(group, harness.run(sources, group.batch, Edge::back),
                           reference::evaluate(group.body, sources, group.batch), group.batch);
        fmt::print("{}: {:.2g} of the largest result, {}\n", recipe, error, group.signature());
        EXPECT_LT(error, r.relative_error(group)) << group.signature();
        largest = std::max(largest, error);
        stated = std::max(stated, r.relative_error(group));
    }
    EXPECT_GT(4 * largest, stated) << "the stated error is far too large";
}

}  // namespace emulsion::test
