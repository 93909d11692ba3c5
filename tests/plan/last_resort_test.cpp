// What runs the recipe of last resort: nothing that another recipe would run by itself.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/random_network.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

// Whether a recipe that is made for it runs the anchor of a group with nothing fused into it.
bool anchor_has_a_recipe(const Group& group, const Isa& isa) {
    static const RecipeLibrary library = make_library();
    GraphBuilder builder("group");
    std::vector<Value> inputs;
    for (Value value : group.anchor_node().inputs) {
        inputs.push_back(builder.add(std::make_shared<Input>(group.body.type(value)), {},
                                     builder.unique_name("a0")));
    }
    const Value anchor = builder.add(group.anchor_node().op, inputs, "v0");
    builder.output("r0", anchor);
    Group alone;
    alone.body = builder.build();
    alone.anchor = anchor.node;
    alone.batch = group.batch;
    return std::any_of(library.begin(), library.end(), [&](const auto& recipe) {
        return !recipe->is_last_resort() && can_run(*recipe, alone, isa, /*exact=*/false);
    });
}

// Calls that fall back although their anchor alone would not.
std::string needless_fallbacks(const Plan& plan) {
    std::string found;
    for (const VariantPlan& variant : plan.variants) {
        for (const BatchPlan& batch : variant.batches) {
            for (const PlannedCall& call : batch.calls) {
                const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
                if (!kernel.is_last_resort) continue;
                if (kernel.group.anchor < 0 || anchor_has_a_recipe(kernel.group, variant.isa))
                    found += fmt::format("{} {}: {}\n", call.name, variant.isa.name,
                                         kernel.group.signature());
            }
        }
    }
    return found;
}

std::string needless_fallbacks(const Network& network) {
    return needless_fallbacks(
               plan_network(network, {true, {8}, true, {isa_avx2(), isa_avx512()}})) +
           needless_fallbacks(
               plan_network(network, {false, {1, 16}, true, {isa_avx2(), isa_avx512()}}));
}

// Convolution, pooling and activation over a map, in one order of two.
Network block(int channels, int filters, int kernel, int size, int window, bool largest,
              bool biased) {
    const int pooled = size / window;
    const std::string pool = largest ? "max_pool" : "average_pool";
    const std::string taps = largest ? fmt::format(", u8[n,{0},{1},{1}]", filters, pooled) : "";
    const std::string bias = biased ? fmt::format(
                                          "  %b = parameter() : f32[{0}]\n"
                                          "  %s = add(%c, %b) : f32[n,{0},{1},{1}]\n"
                                          "  %r = relu(%s) : f32[n,{0},{1},{1}]\n",
                                          filters, size)
                                    : "";
    return parse_network(
        fmt::format(R"(network net
optimizer sgd {{learning_rate=0.1}}
schedule constant
graph net {{
  %x = input() : f32[n,{0},{3},{3}]
  %u = parameter() : f32[{0},{0},1,1]
  %i = conv2d(%x, %u) : f32[n,{0},{3},{3}]
  %w = parameter() : f32[{1},{0},{2},{2}]
  %c = conv2d(%i, %w) {{padding=[{4},{4},{4},{4}]}} : f32[n,{1},{3},{3}]
{5}  %p = {6}({7}) {{window=[{8},{8}], stride=[{8},{8}]}} : f32[n,{1},{9},{9}]{10}
  %loss = reduce({11}) {{mean=true}} : f32[]
  output "scores" {11}
  output "loss" %loss
}})",
                    channels, filters, kernel, size, kernel / 2, bias, pool, biased ? "%r" : "%c",
                    window, pooled, taps, largest ? "%p:0" : "%p"),
        "net.emu");
}

TEST(LastResort, NoPoolingDragsAConvolutionThere) {
    for (auto [channels, filters] : {std::pair(16, 16), std::pair(3, 32)}) {
        for (int kernel : {1, 3, 5}) {
            for (int window : {2, 3, 4, 6, 12}) {
                for (bool largest : {true, false}) {
                    const Network network =
                        block(channels, filters, kernel, 12, window, largest, largest);
                    EXPECT_EQ(needless_fallbacks(network), "")
                        << channels << " " << kernel << " " << window << " " << largest;
                }
            }
        }
    }
}

TEST(LastResort, NothingOfTheExampleNetworks) {
    for (const auto& [name, batch] : kExampleNetworks) {
        if (is_left_out(name)) continue;
        const Plan plan =
            plan_network(golden_network(name), {true, {batch}, true, {isa_avx2(), isa_avx512()}});
        EXPECT_EQ(slow_kernels(plan), std::vector<std::string>()) << name;
        EXPECT_EQ(print(plan).find("\n    note: "), std::string::npos) << name;
    }
}

// Gates: a factor for each channel, and one for each position.
TEST(LastResort, NoSumOverAxesOfAParameter) {
    for (const char* axes : {"0", "1", "2", "0,1", "1,2,3"}) {
        const std::string text = axes;
        const auto extent = [&](char axis, const char* whole) {
            return text.find(axis) == std::string::npos ? whole : "1";
        };
        const Graph graph =
            parse_graph(fmt::format("graph net {{\n  %w = parameter() : f32[20,6,3,5]\n"
                                    "  %s = reduce_axes(%w) {{axes=[{}]}} : f32[{},{},{},{}]\n"
                                    "  output \"s\" %s\n}}",
                                    axes, extent('0', "20"), extent('1', "6"), extent('2', "3"),
                                    extent('3', "5")),
                        "net.emu");
        EXPECT_EQ(slow_kernels(plan_graph(graph)), std::vector<std::string>()) << axes;
    }
}

TEST(LastResort, NoSumOverAxesAndNoGradientOfOne) {
    const Network network = parse_network(R"(network net
optimizer sgd {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,16,12,12]
  %w = parameter() : f32[20,16,3,3]
  %c = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,20,12,12]
  %channels = reduce_axes(%c) {axes=[1,2], mean=true} : f32[n,20,1,1]
  %a = multiply(%c, %channels) : f32[n,20,12,12]
  %positions = reduce_axes(%a) {axes=[0], mean=true} : f32[n,1,12,12]
  %b = multiply(%a, %positions) : f32[n,20,12,12]
  %rows = reduce_axes(%b) {axes=[0,2]} : f32[n,1,12,1]
  %d = add(%b, %rows) : f32[n,20,12,12]
  %loss = reduce(%d) {mean=true} : f32[]
  output "scores" %d
  output "loss" %loss
})",
                                          "net.emu");
    for (bool training : {true, false}) {
        EXPECT_EQ(
            slow_kernels(plan_network(network, {training, {8}, true, {isa_avx2(), isa_avx512()}})),
            std::vector<std::string>());
    }
}

TEST(LastResort, NothingOfRandomNetworksThatHasARecipe) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const Network network = random_network(seed);
        EXPECT_EQ(needless_fallbacks(network), "") << seed << "\n" << print(network);
    }
}

// A library without any other recipe: the plan says so for each kernel.
TEST(LastResort, IsNamedInTheText) {
    RecipeLibrary library;
    for (auto& recipe : make_library()) {
        if (recipe->is_last_resort()) library.push_back(std::move(recipe));
    }
    PlanOptions options;
    options.isas = {isa_avx2()};
    const Plan plan = make_plan(parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %b = conv2d(%a, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  output "b" %b
})",
                                            "net.emu"),
                                library, options);
    EXPECT_EQ(slow_kernels(plan),
              (std::vector<std::string>{
                  "forward 'a' is slow: no recipe is made for it, so it runs 'default'"}));
    EXPECT_NE(
        print(plan).find(
            "\n    note: forward 'a' is slow: no recipe is made for it, so it runs 'default'\n"),
        std::string::npos);
}

// Whole blocks of channels a group: the direct recipes run them in all directions.
TEST(LastResort, RunsNoConvolutionInGroupsOfBlocks) {
    const Network network = parse_network(read_test_file("plan/grouped.emu"), "grouped.emu");
    for (bool training : {true, false}) {
        const Plan plan =
            plan_network(network, {training, {4}, true, {isa_baseline(), isa_avx2()}});
        for (const VariantPlan& variant : plan.variants) {
            for (const PlannedKernel& kernel : variant.kernels)
                EXPECT_FALSE(kernel.is_last_resort) << kernel.identity(variant.isa);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
