// The spaces of the recipes' tilings: what is ranked is legal, what is legal is right, and what is
// not legal is refused by name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/softmax.h"
#include "schedules/library.h"
#include "tests/schedules/cpu/winograd/winograd_support.h"

namespace emulsion::test {
namespace {

// A convolution with a bias and, with a `window`, a pooling.
Group convolution(const ConvCase& c, int64_t stride, int64_t window) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        auto conv = std::make_shared<Conv2d>();
        conv->stride = {stride, stride};
        conv->padding = c.padding;
        const Value y =
            b.add(conv, {add_operand(b, "a0", input_type(c)), add_operand(b, "a1", filter_type(c))},
                  "v0");
        const Value sum =
            b.add(std::make_shared<Add>(), {y, add_operand(b, "a2", plain_type({c.out}))}, "v1");
        auto pool = std::make_shared<MaxPool>();
        pool->window = pool->stride = {window, window};
        return {window == 1 ? sum : b.add(pool, {sum}, "v2")};
    });
}

Group strided_gradient(const ConvCase& c, int64_t stride) {
    Conv2d forward;
    forward.stride = {stride, stride};
    forward.padding = c.padding;
    auto op = std::make_shared<Conv2dBackwardData>();
    op->stride = forward.stride;
    op->padding = c.padding;
    op->input = {c.height, c.width};
    op->rotated = true;
    const TensorType y = forward.infer({{input_type(c), filter_type(c)}})[0];
    return group_of(op, {y, plain_type({c.in, c.out, c.kernel, c.kernel})}, c.batch);
}

Group moments(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value y = b.add(
            forward_op(c),
            {add_operand(b, "a0", input_type(c)), add_operand(b, "a1", transformed_type(c))}, "v0");
        const Value sums = b.add(std::make_shared<PartialMoments>(), {y}, "v1");
        return {y, sums, {sums.node, 1}, {sums.node, 2}};
    });
}

Group channel_sums(const TensorType& type, int batch, bool keep_samples) {
    auto op = std::make_shared<Reduce>();
    op->keep_channels = true;
    op->keep_samples = keep_samples;
    return group_of(op, {type}, batch);
}

// Groups of every recipe, of sizes that follow from `generator`.
std::vector<Group> random_groups(std::mt19937_64& generator) {
    const auto pick = [&](std::vector<int64_t> values) {
        return values[generator() % values.size()];
    };
    const int64_t in = pick({1, 3, 16, 17, 32}), out = pick({5, 16, 33, 48, 64});
    const int64_t height = 5 + static_cast<int64_t>(generator() % 9), kernel = pick({1, 2, 3, 5});
    const auto batch = static_cast<int>(1 + generator() % 9);
    const int64_t pad = kernel / 2;
    const ConvCase any{in, out, height, height + 1, kernel, {pad, pad, pad, pad}, batch};
    const ConvCase blocks{
        pick({16, 32, 48}), pick({16, 32, 64}), height, height + 2, 3, {1, 1, 1, 1}, batch};
    const TensorType x = batched_type({in * 7}), y = batched_type({out}),
                     w = plain_type({out, in * 7});
    return {
        convolution(any, 1, pick({1, 2})),
        convolution(any, 2, 1),
        strided_gradient(any, pick({2, 3, 5})),
        gradient_group(any),
        gradient_group(blocks),
        forward_group(blocks),
        moments(blocks),
        group_of(std::make_shared<Dense>(), {x, w}, batch),
        group_of(std::make_shared<DenseBackwardData>(), {y, w}, batch),
        group_of(std::make_shared<DenseBackwardWeights>(), {x, y}, batch),
        group_of(std::make_shared<Softmax>(), {y}, batch),
        group_of(std::make_shared<MaxPool>(), {input_type(blocks)}, batch),
        group_of(std::make_shared<Tanh>(), {input_type(any)}, batch),
        group_of(std::make_shared<PartialMoments>(), {input_type(blocks)}, batch),
        channel_sums(input_type(blocks), batch, pick({0, 1}) == 1),
    };
}

TEST(TilingSpace, WhatIsRankedIsLegal) {
    std::mt19937_64 generator(1);
    const RecipeLibrary library = make_library();
    for (int round = 0; round < 60; round++) {
        for (const Group& group : random_groups(generator)) {
            for (const auto& recipe : library) {
                for (const Isa* isa : {&isa_baseline(), &isa_avx2(), &isa_avx512()}) {
                    if (!can_run(*recipe, group, *isa, false)) continue;
                    for (const Tiling& tiling : recipe->tilings(group, *isa)) {
                        EXPECT_EQ(tiling_fault(*recipe, group, tiling, *isa), "")
                            << recipe->name() << " " << to_string(tiling) << " " << isa->name << " "
                            << group.signature();
                    }
                }
            }
        }
    }
}

// The fields that the order of sums follows from, with their values.
std::string order_of(const Recipe& recipe, const Group& group, const Isa& isa,
                     const Tiling& tiling) {
    std::string order;
    for (const TilingField& field : recipe.space(group, isa)) {
        if (field.order) order += fmt::format("{}={} ", field.name, tiling.at(field.name));
    }
    return order;
}

// Bits do not depend on the machine that a plan is made for.
TEST(TilingSpace, WhatIsMadeForACacheIsLegalAndOfOneOrder) {
    std::mt19937_64 generator(3);
    const RecipeLibrary library = make_library();
    size_t others = 0;
    for (int round = 0; round < 30; round++) {
        std::vector<Group> groups = random_groups(generator);
        const auto batch = static_cast<int>(1 + generator() % 99);
        groups.push_back(convolution({512, 512, 14, 13, 1, {0, 0, 0, 0}, batch}, 1, 1));
        groups.push_back(convolution({128, 256, 28, 27, 3, {1, 1, 1, 1}, batch}, 2, 2));
        for (const Group& group : groups) {
            for (const auto& recipe : library) {
                for (const Isa* isa : {&isa_baseline(), &isa_avx2(), &isa_avx512()}) {
                    if (!can_run(*recipe, group, *isa, false)) continue;
                    const Tiling first = recipe->tilings(group, *isa)[0];
                    EXPECT_EQ(recipe->default_tiling(group, *isa, {}), first);
                    for (int64_t kib : {1, 256, 512, 1280, 2048, 65536, INT32_MAX}) {
                        Machine machine;
                        machine.l2_bytes = kib << 10;
                        const Tiling own = recipe->default_tiling(group, *isa, machine);
                        EXPECT_EQ(tiling_fault(*recipe, group, own, *isa), "")
                            << recipe->name() << " " << to_string(own) << " " << kib << " KiB "
                            << group.signature();
                        EXPECT_EQ(order_of(*recipe, group, *isa, own),
                                  order_of(*recipe, group, *isa, first));
                        if (!(own == first)) others++;
                    }
                }
            }
        }
    }
    EXPECT_GT(others, 100u);
}

// A legal tiling by chance; empty where none was found.
Tiling random_tiling(const Recipe& recipe, const Group& group, const Isa& isa,
                     std::mt19937_64& generator) {
    const TilingSpace space = recipe.space(group, isa);
    for (int attempt = 0; attempt < 20000; attempt++) {
        Tiling tiling;
        for (const TilingField& field : space) {
            const auto listed = field.values.size();
            const int value =
                listed > 0
                    ? field.values[generator() % listed]
                    : field.low + static_cast<int>(generator() % static_cast<uint64_t>(
                                                                     field.high - field.low + 1));
            tiling.values.emplace_back(field.name, value);
        }
        tiling = in_short(space, tiling);
        if (tiling_fault(recipe, group, tiling, isa).empty()) return tiling;
    }
    return {};
}

TEST(TilingSpace, WhatIsLegalIsRight) {
    std::mt19937_64 generator(2);
    const RecipeLibrary library = make_library();
    const Isa& isa = *runnable_isas().back();
    for (const Group& group : random_groups(generator)) {
        for (const auto& recipe : library) {
            if (!can_run(*recipe, group, isa, false) || recipe->space(group, isa).empty()) continue;
            RecipeCheck check;
            check.all_isas = false;
            check.tolerance = 5e-5;
            if (recipe->name() == "pool") check.fills["a0"] = Fill::separated;
            for (int i = 0; i < 2; i++) {
                check.tilings.push_back(random_tiling(*recipe, group, isa, generator));
                ASSERT_EQ(tiling_fault(*recipe, group, check.tilings.back(), isa), "");
            }
            const TilingSpace space = recipe->space(group, isa);
            check.same_bits = std::none_of(space.begin(), space.end(),
                                           [](const TilingField& field) { return field.order; });
            check_recipe(std::string(recipe->name()), group, check);
        }
    }
}

// Some values of each field that need not be named, and the last ones of all together.
std::vector<Tiling> beside_default(const Recipe& recipe, const Group& group, const Isa& isa) {
    const TilingSpace space = recipe.space(group, isa);
    const Tiling own = in_full(space, recipe.tilings(group, isa)[0]);
    std::vector<Tiling> tilings;
    Tiling last = own;
    for (size_t i = 0; i < space.size(); i++) {
        if (!space[i].otherwise) continue;
        const std::vector<int>& values = space[i].values;
        for (const int value : {values.front(), values[values.size() / 2]}) {
            Tiling tiling = own;
            tiling.values[i].second = value;
            if (value != space[i].otherwise) tilings.push_back(in_short(space, tiling));
        }
        last.values[i].second = values.back();
    }
    tilings.push_back(in_short(space, last));
    return tilings;
}

// Of odd rows and tails, and of more elements than a task has; bits are those of the default.
TEST(TilingSpace, WhatNeedNotBeNamedIsRight) {
    const Isa& isa = *runnable_isas().back();
    const TensorType map = batched_type({96, 7, 13}), odd = batched_type({17, 31, 13}),
                     filter = plain_type({33, 70}), rate = plain_type({});
    auto pool = std::make_shared<MaxPool>();
    pool->window = {3, 3};
    pool->stride = {2, 2};
    const std::vector<std::pair<std::string, Group>> cases = {
        {"reduction", channel_sums(map, 5, false)},
        {"reduction", channel_sums(odd, 5, true)},
        {"reduction", group_of(std::make_shared<PartialMoments>(), {odd}, 5)},
        {"reduction", group_of(std::make_shared<PartialDots>(), {map, map, plain_type({96})}, 5)},
        {"pointwise", group_of(std::make_shared<Tanh>(), {batched_type({37, 5, 3})}, 7)},
        {"pointwise", group_of(std::make_shared<Tanh>(), {batched_type({})}, 70)},
        {"pointwise", group_of(std::make_shared<SgdUpdate>(), {filter, filter, filter, rate}, 1)},
        {"pool", group_of(pool, {batched_type({80, 7, 9})}, 11)},
    };
    for (const auto& [name, group] : cases) {
        RecipeCheck check;
        check.all_isas = false;
        check.tolerance = 2e-5;
        if (name == "pool") check.fills["a0"] = Fill::separated;
        check.tilings = beside_default(recipe_named(name), group, isa);
        EXPECT_GE(check.tilings.size(), 2u) << group.signature();
        check.tilings.insert(check.tilings.begin(), recipe_named(name).tilings(group, isa)[0]);
        check_recipe(name, group, check);
    }
}

// What a recipe runs by without a record is written as it was before there were such fields.
TEST(TilingSpace, WhatHoldsOtherwiseIsNotWritten) {
    const Group group = channel_sums(batched_type({96, 7, 13}), 5, false);
    const Recipe& reduction = recipe_named("reduction");
    const TilingSpace space = reduction.space(group, isa_avx512());
    EXPECT_EQ(to_string(reduction.tilings(group, isa_avx512())[0]), "");
    EXPECT_EQ(to_string(in_full(space, {})), "chunk=48 units=1");
    EXPECT_EQ(to_string(in_full(space, parse_tiling("units=2"))), "chunk=48 units=2");
    EXPECT_EQ(to_string(in_short(space, parse_tiling("chunk=48 units=2"))), "units=2");
    const auto fault = [&](const std::string& text) {
        return tiling_fault(reduction, group, parse_tiling(text), isa_avx512());
    };
    EXPECT_EQ(fault(""), "");
    EXPECT_EQ(fault("units=2"), "");
    EXPECT_EQ(fault("chunk=16 units=4"), "");
    EXPECT_EQ(fault("chunk=48"), "chunk=48 is what holds without it");
    EXPECT_EQ(fault("chunk=17"), "chunk=17, but it is one of 16, 32, 48, 96");
    EXPECT_EQ(fault("units=2 chunk=16"), "'chunk' is not at its place");
}

// The fault of a recipe's first tiling with some fields changed.
std::string fault_with(const std::string& name, const Group& group,
                       const std::vector<std::pair<std::string, int>>& changes,
                       const Isa& isa = isa_avx512()) {
    const Recipe& recipe = recipe_named(name);
    EXPECT_TRUE(recipe.applies(group, isa)) << name;
    Tiling tiling = recipe.tilings(group, isa)[0];
    for (const auto& [field, value] : changes) {
        for (auto& [key, old] : tiling.values) {
            if (key == field) old = value;
        }
    }
    return tiling_fault(recipe, group, tiling, isa);
}

TEST(TilingSpace, WhatIsNotLegalIsRefusedByName) {
    const ConvCase c{32, 64, 9, 10};
    const Group forward = convolution(c, 1, 1), gradient = gradient_group(c),
                sums = moments({32, 64, 9, 22});
    EXPECT_EQ(fault_with("direct", forward, {{"ty", 2}, {"tx", 1}, {"rows", 3}}),
              "rows=3 is no multiple of ty=2");
    EXPECT_EQ(fault_with("direct", forward, {{"rows", 12}, {"ty", 1}}), "rows=12, but all are 9");
    EXPECT_EQ(fault_with("direct", forward, {{"rows", 3}, {"ty", 1}, {"order", 1}}),
              "rows=3, but order=1 takes all, 9");
    EXPECT_EQ(fault_with("direct", forward, {{"kw", 64}, {"tx", 10}, {"ty", 1}}),
              "a register tile of 40 vectors, but 28 are free");
    EXPECT_EQ(fault_with("direct", forward, {{"kw", 40}}), "kw=40, but it is one of 16, 32, 64");
    EXPECT_EQ(fault_with("direct", forward, {{"tx", 0}}), "tx=0, but it is 1 to 10");
    EXPECT_EQ(fault_with("direct_filter_gradient", gradient, {{"bo", 2}, {"split", 4}}),
              "split=4 of bo=2 do not divide the 4 blocks");
    const Group wide = gradient_group({3072, 32, 9, 10});
    EXPECT_EQ(fault_with("direct_filter_gradient", wide, {{"tc", 12}, {"xsplit", 48}}),
              "tc=12 does not divide the 64 channels of a task");
    EXPECT_EQ(fault_with("direct_filter_gradient", gradient, {{"images", 2}, {"parts", 3}}),
              "parts=3 of images=2 for 3 samples");
    EXPECT_EQ(fault_with("winograd", forward_group(c), {{"kw", 32}, {"kb", 16}}),
              "kb=16 is no multiple of kw=32");
    EXPECT_EQ(fault_with("winograd", sums, {{"tb", 14}}),
              "tb=14, but sums over strips need whole rows of 6 tiles");
    EXPECT_EQ(fault_with("winograd_filter_gradient", gradient, {{"tb", 4}}),
              "tb=4, but copies are of whole rows of 3 tiles");
    EXPECT_EQ(fault_with("winograd_panel_gradient", gradient, {{"kb", 32}, {"kp", 16}}),
              "kp=16 is no multiple of kb=32");
    EXPECT_EQ(fault_with("direct_strided_data_gradient", strided_gradient(c, 2), {{"kw", 24}}),
              "kw=24, but it is one of 16, 32");
    const TensorType x = batched_type({40}), y = batched_type({32}), w = plain_type({32, 40});
    EXPECT_EQ(fault_with("matmul", group_of(std::make_shared<Dense>(), {x, w}, 9),
                         {{"kw", 32}, {"tn", 9}, {"chains", 2}}),
              "a register tile of 36 vectors, but 28 are free");
    EXPECT_EQ(fault_with("matmul_data_gradient",
                         group_of(std::make_shared<DenseBackwardData>(), {y, w}, 9), {{"iw", 48}}),
              "iw=48 for 40 features");
    EXPECT_EQ(fault_with("matmul_weight_gradient",
                         group_of(std::make_shared<DenseBackwardWeights>(), {x, y}, 9),
                         {{"ti", 14}, {"chunk", 4}}),
              "chunk=4, but ti=14 makes 3 tiles");
    EXPECT_EQ(fault_with("softmax", group_of(std::make_shared<Softmax>(), {y}, 9), {{"rows", 0}}),
              "rows=0, but it is 1 to 4096");
    EXPECT_EQ(fault_with("pointwise", group_of(std::make_shared<Tanh>(), {x}, 9), {{"task", 7}}),
              "task=7, but it is one of 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072");
    const Recipe& direct = recipe_named("direct");
    EXPECT_EQ(tiling_fault(direct, forward, parse_tiling("kw=16 tx=1"), isa_avx512()),
              "'ty' is missing at place 3");
    EXPECT_EQ(
        tiling_fault(direct, forward, parse_tiling("tx=1 kw=16 ty=1 rows=1 order=0"), isa_avx512()),
        "'kw' is missing at place 1");
    EXPECT_EQ(
        tiling_fault(recipe_named("reduction"), forward, parse_tiling("rows=2"), isa_avx512()),
        "it has no 'rows'");
}

// 4294967312 has the low 32 bits of 16.
TEST(TilingSpace, NumbersBeyond32BitsAreRefused) {
    try {
        parse_tiling("kw=4294967312");
        FAIL() << "taken";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "tiling:1: error[syntax]: kw is 4294967312, which has no 32 bits\n"
                     "  fix: choose a smaller number");
    }
}

TEST(TilingSpace, NoKernelIsCompiledWithAnother) {
    const Group group = convolution({32, 64, 9, 10}, 1, 1);
    const std::vector<PlannedKernel> kernels = {
        {group, "direct", 1, parse_tiling("kw=32 tx=2 ty=2 rows=3 order=0")}};
    static const RecipeLibrary library = make_library();
    try {
        compile_kernels(kernels, isa_avx2(), library, {});
        FAIL() << "compiled";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what())
                      .find("error[tiling]: the recipe direct cannot run with the tiling 'kw=32 "
                            "tx=2 ty=2 rows=3 order=0': rows=3 is no multiple of ty=2"),
                  std::string::npos)
            << error.what();
    }
}

}  // namespace
}  // namespace emulsion::test
