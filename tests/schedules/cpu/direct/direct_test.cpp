// The recipes of direct convolution in its three directions: odd shapes, prologue and epilogue,
// fused pooling.
#include <gtest/gtest.h>

#include <set>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/max_pool.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct ConvCase {
    int64_t in, out;  // channels
    int64_t height, width;
    std::vector<int64_t> kernel = {3, 3};
    std::vector<int64_t> stride = {1, 1};
    std::vector<int64_t> dilation = {1, 1};
    std::vector<int64_t> padding = {1, 1, 1, 1};
    int batch = 3;
    int64_t groups = 1;
};

// Every height from 1 to 13, every pair of 1, 3, 16, 17 and 33 channels that matters.
const std::vector<ConvCase> kUnitStride = {
    {1, 16, 1, 1},
    {16, 16, 2, 2},
    {3, 17, 3, 3},
    {16, 33, 4, 4},
    {33, 16, 5, 5},
    {17, 3, 6, 7},
    {1, 33, 7, 7, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}},
    {16, 32, 8, 8},
    {3, 16, 9, 11, {7, 7}, {1, 1}, {1, 1}, {3, 3, 3, 3}},
    {33, 17, 10, 5, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
    {3, 1, 11, 11, {3, 2}, {1, 1}, {2, 3}, {0, 1, 2, 0}},
    {17, 16, 12, 12, {2, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
    {16, 64, 13, 13, {5, 3}, {1, 1}, {1, 2}, {2, 1, 2, 0}},
};
const std::vector<ConvCase> kStrided = {
    {16, 32, 8, 8, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {3, 17, 13, 11, {7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3}},
    {16, 16, 9, 7, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}},
    {17, 1, 11, 13, {2, 4}, {3, 2}, {2, 1}, {1, 0, 0, 2}},
    {33, 16, 5, 12, {3, 3}, {1, 3}, {1, 3}, {0, 0, 2, 2}},
};

// Each channel by itself.
const std::vector<ConvCase> kDepthwise = {
    {16, 16, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3, 16},
    {48, 48, 7, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3, 48},
    {32, 32, 9, 13, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, 5, 32},
    {16, 16, 6, 8, {2, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 2, 16},
    {32, 32, 12, 11, {3, 2}, {1, 1}, {2, 3}, {0, 1, 2, 0}, 3, 32},
};
const std::vector<ConvCase> kStridedDepthwise = {
    {32, 32, 8, 8, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 3, 32},
    {16, 16, 13, 11, {7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3}, 3, 16},
    {48, 48, 9, 7, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 3, 48},
    {64, 64, 11, 13, {2, 4}, {3, 2}, {2, 1}, {1, 0, 0, 2}, 3, 64},
    {16, 16, 14, 23, {2, 3}, {1, 17}, {2, 2}, {1, 1, 2, 2}, 3, 16},  // more phases than are written
                                                                     // out
};

// Groups of whole blocks of channels.
const std::vector<ConvCase> kGrouped = {
    {32, 32, 7, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3, 2},
    {64, 32, 9, 11, {5, 3}, {1, 1}, {1, 2}, {2, 1, 2, 0}, 3, 2},
    {48, 96, 5, 8, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 5, 3},
    {128, 64, 3, 4, {2, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 2, 4},
};
const std::vector<ConvCase> kStridedGrouped = {
    {32, 64, 8, 9, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 3, 2},
    {96, 48, 11, 13, {2, 4}, {3, 2}, {2, 1}, {1, 0, 0, 2}, 3, 3},
};

// Several groups in a block of channels.
const std::vector<ConvCase> kLaneGroups = {
    {32, 32, 7, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3, 8},
    {16, 32, 5, 9, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, 3, 16},
    {64, 32, 6, 8, {2, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 2, 16},
    {48, 48, 9, 17, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 5, 6},
    {16, 64, 8, 7, {3, 2}, {1, 1}, {2, 3}, {0, 1, 2, 0}, 3, 16},
};
const std::vector<ConvCase> kStridedLaneGroups = {
    {32, 32, 8, 8, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 3, 8},
    {32, 16, 11, 13, {2, 4}, {3, 2}, {2, 1}, {1, 0, 0, 2}, 3, 8},
    {16, 16, 14, 23, {2, 3}, {1, 17}, {2, 2}, {1, 1, 2, 2}, 3, 4},
};

std::vector<ConvCase> all_cases() {
    std::vector<ConvCase> cases = kUnitStride;
    for (const auto* more : {&kStrided, &kDepthwise, &kStridedDepthwise, &kGrouped,
                             &kStridedGrouped, &kLaneGroups, &kStridedLaneGroups})
        cases.insert(cases.end(), more->begin(), more->end());
    return cases;
}

template <class T>
std::shared_ptr<T> conv_op(const ConvCase& c) {
    auto op = std::make_shared<T>();
    op->stride = c.stride;
    op->dilation = c.dilation;
    op->padding = c.padding;
    op->groups = c.groups;
    return op;
}

std::shared_ptr<Conv2dBackwardFilter> filter_gradient_op(const ConvCase& c) {
    auto op = conv_op<Conv2dBackwardFilter>(c);
    op->kernel = c.kernel;
    return op;
}

std::shared_ptr<Conv2dBackwardData> data_gradient_op(const ConvCase& c) {
    auto op = conv_op<Conv2dBackwardData>(c);
    op->input = {c.height, c.width};
    op->rotated = true;
    return op;
}

TensorType input_type(const ConvCase& c) { return batched_type({c.in, c.height, c.width}); }
TensorType filter_type(const ConvCase& c) {
    return plain_type({c.out, c.in / c.groups, c.kernel[0], c.kernel[1]});
}
TensorType rotated_type(const ConvCase& c) {
    return plain_type({c.in, c.out / c.groups, c.kernel[0], c.kernel[1]});
}
TensorType output_type(const ConvCase& c) {
    return conv_op<Conv2d>(c)->infer({{input_type(c), filter_type(c)}})[0];
}

RecipeCheck first_tiling() {
    RecipeCheck check;
    check.all_tilings = false;
    return check;
}

RecipeCheck every_tiling() {
    RecipeCheck check;
    check.all_isas = false;
    return check;
}

std::shared_ptr<MaxPool> pool_op(int64_t window) {
    auto op = std::make_shared<MaxPool>();
    op->window = op->stride = {window, window};
    return op;
}

// tanh(x + bias): not zero at zero, so a border that went through it shows.
Value add_prologue(GraphBuilder& b, Value x, const std::string& name) {
    const Value bias = add_operand(b, name + "_bias", plain_type({b.type(x).shape[0]}));
    return b.add(std::make_shared<Tanh>(),
                 {b.add(std::make_shared<Add>(), {x, bias}, name + "_sum")}, name);
}

TEST(DirectForward, Shapes) {
    for (const ConvCase& c : all_cases()) {
        check_recipe("direct",
                     group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, c.batch),
                     first_tiling());
    }
}

TEST(DirectForward, OneByOneOfOddChannelsAtTheEndOfAPage) {  // case R12
    for (int64_t channels : {1, 3, 7, 17}) {
        const ConvCase c{channels, channels, 3, 5, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}};
        check_recipe("direct", group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, 2),
                     first_tiling());
    }
}

TEST(DirectForward, EveryTiling) {
    for (const ConvCase& c :
         {ConvCase{17, 32, 9, 10}, kDepthwise[1], kGrouped[0], kLaneGroups[0]}) {
        check_recipe("direct", group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, 2),
                     every_tiling());
    }
}

// Tiles of several blocks, and positions inside.
TEST(DirectForward, LaneGroupsInAnyTile) {
    for (const auto& [groups, kernel] :
         {std::pair(32, 3), std::pair(32, 5), std::pair(8, 3), std::pair(8, 5)}) {
        const int64_t pad = kernel / 2;
        const ConvCase c{32, 32,    9, 13, {kernel, kernel}, {1, 1}, {1, 1}, {pad, pad, pad, pad},
                         2,  groups};
        RecipeCheck check = every_tiling();
        for (const char* tiling :
             {"kw=16 tx=1 ty=4 rows=8 order=0", "kw=32 tx=5 ty=2 rows=4 order=0",
              "kw=32 tx=6 ty=1 rows=9 order=1", "kw=16 tx=3 ty=3 rows=9 order=1"})
            check.tilings.push_back(parse_tiling(tiling));
        check_recipe("direct", group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, 2),
                     check);
    }
}

// Groups that neither fill blocks nor fit into them have plain definitions.
TEST(DirectForward, OfGroupsOnlyThoseOfBlocks) {
    const auto applies = [](int64_t in, int64_t out, int64_t groups) {
        const ConvCase c{in, out, 8, 8, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 3, groups};
        std::set<bool> all;
        for (const auto& [name, group] :
             {std::pair("direct", group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, 3)),
              std::pair("direct_strided_data_gradient",
                        group_of(data_gradient_op(c), {output_type(c), rotated_type(c)}, 3)),
              std::pair("direct_filter_gradient",
                        group_of(filter_gradient_op(c), {input_type(c), output_type(c)}, 3))})
            all.insert(recipe_named(name).applies(group, isa_avx2()));
        EXPECT_EQ(all.size(), 1u);
        return *all.begin();
    };
    EXPECT_TRUE(applies(32, 32, 1));
    EXPECT_TRUE(applies(32, 32, 32));
    EXPECT_TRUE(applies(32, 32, 2));
    EXPECT_TRUE(applies(64, 96, 2));
    EXPECT_TRUE(applies(32, 32, 16));
    EXPECT_TRUE(applies(32, 64, 32));
    EXPECT_TRUE(applies(32, 128, 32));
    EXPECT_TRUE(applies(48, 48, 6));
    EXPECT_FALSE(applies(32, 256, 32));
    EXPECT_FALSE(applies(32, 64, 4));
    EXPECT_FALSE(applies(64, 32, 4));
    EXPECT_FALSE(applies(48, 48, 2));
    EXPECT_FALSE(applies(48, 48, 16));
    EXPECT_FALSE(applies(24, 24, 24));
}

// A filter too large for a cache makes output channels the outer loop.
TEST(DirectForward, LargeFilter) {
    const ConvCase c{256, 128, 3, 4};
    check_recipe("direct", group_of(conv_op<Conv2d>(c), {input_type(c), filter_type(c)}, 3),
                 first_tiling());
}

Group residual_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value w = add_operand(b, "a1", filter_type(c));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        const Value skip = add_operand(b, "a3", output_type(c));
        const Value y = b.add(conv_op<Conv2d>(c), {add_prologue(b, x, "v0"), w}, "v1");
        const Value sum = b.add(std::make_shared<Add>(),
                                {b.add(std::make_shared<Add>(), {y, bias}, "v2"), skip}, "v3");
        return {b.add(std::make_shared<Relu>(), {sum}, "v4"), sum};
    });
}

TEST(DirectForward, PrologueAndTwoResults) {
    for (const ConvCase& c : {kUnitStride[3], kUnitStride[5], kUnitStride[9], kStrided[1],
                              kStrided[2], kDepthwise[1], kStridedDepthwise[0], kGrouped[1],
                              kStridedGrouped[1], kLaneGroups[0], kStridedLaneGroups[1]}) {
        check_recipe("direct", residual_group(c), first_tiling());
    }
}

Group pooled_group(const ConvCase& c, int64_t window) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value w = add_operand(b, "a1", filter_type(c));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        const Value y = b.add(conv_op<Conv2d>(c), {x, w}, "v0");
        const Value pooled = b.add(pool_op(window), {y}, "v1");
        const Value sum = b.add(std::make_shared<Add>(), {pooled, bias}, "v2");
        return {b.add(std::make_shared<Relu>(), {sum}, "v3"), {pooled.node, 1}};
    });
}

TEST(DirectForward, Pooled) {
    const ConvCase first{1, 32, 12, 12, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}};
    const ConvCase odd{16, 17, 13, 11};
    check_recipe("direct", pooled_group(first, 2), first_tiling());
    check_recipe("direct", pooled_group(odd, 2), first_tiling());
    RecipeCheck widest = first_tiling();
    widest.all_isas = false;  // the oldest has too few registers
    check_recipe("direct", pooled_group(odd, 3), widest);
    check_recipe("direct", pooled_group(odd, 2), every_tiling());
}

// A window whose positions do not fit the registers stays a kernel of its own.
TEST(DirectForward, PoolsWhatFitsTheRegisters) {
    const std::map<std::string, int64_t> largest = {{"x86-64", 2}, {"avx2", 3}, {"avx512", 5}};
    for (const Isa* isa : {&isa_baseline(), &isa_avx2(), &isa_avx512()}) {
        for (int64_t window : {1, 2, 3, 4, 5, 6, 8, 16}) {
            SCOPED_TRACE(fmt::format("{} {}", isa->name, window));
            const Group group = pooled_group({3, 64, 32, 32}, window);
            const Recipe& recipe = recipe_named("direct");
            EXPECT_EQ(recipe.applies(group, *isa), window <= largest.at(isa->name));
            EXPECT_EQ(recipe_named("default").applies(group, *isa), window == 1);
            if (!recipe.applies(group, *isa)) continue;
            for (const Tiling& tiling : recipe.tilings(group, *isa)) {
                const int64_t vectors = (tiling.at("kw") + isa->lanes - 1) / isa->lanes;
                EXPECT_LE(vectors * tiling.at("tx") * tiling.at("ty") * window * window,
                          isa->registers);
            }
        }
    }
}

TEST(DirectFilterGradient, Shapes) {
    for (const ConvCase& c : all_cases()) {
        check_recipe("direct_filter_gradient",
                     group_of(filter_gradient_op(c), {input_type(c), output_type(c)}, c.batch),
                     first_tiling());
    }
}

TEST(DirectFilterGradient, EveryTiling) {
    for (const ConvCase& c :
         {ConvCase{12, 32, 9, 12}, kDepthwise[2], kGrouped[3], kLaneGroups[1]}) {
        check_recipe("direct_filter_gradient",
                     group_of(filter_gradient_op(c), {input_type(c), output_type(c)}, 5),
                     every_tiling());
    }
}

// Tasks of both kinds of channels: so many cuts and register tiles that do not divide alike.
TEST(DirectFilterGradient, TasksShareInputChannels) {
    const ConvCase c{192, 48, 5, 6};
    const Group group = group_of(filter_gradient_op(c), {input_type(c), output_type(c)}, 3);
    RecipeCheck check = first_tiling();
    for (const char* tiling :
         {"bo=1 tc=2 tx=3 ty=1 unroll=1 rows=5 images=2 parts=2 split=3 xsplit=3",
          "bo=1 tc=4 tx=1 ty=1 unroll=3 rows=5 images=2 parts=2 split=1 xsplit=3",
          "bo=3 tc=1 tx=1 ty=1 unroll=1 rows=5 images=2 parts=2 split=1 xsplit=3"})
        check.tilings.push_back(parse_tiling(tiling));
    check_recipe("direct_filter_gradient", group, check);
    const ConvCase wide{128, 32, 3, 4, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}};
    const Group pointwise =
        group_of(filter_gradient_op(wide), {input_type(wide), output_type(wide)}, 2);
    const Tiling first = recipe_named("direct_filter_gradient").tilings(pointwise, isa_avx2())[0];
    EXPECT_EQ(first.at("split") * first.at("xsplit", 1), 4) << to_string(first);
    check_recipe("direct_filter_gradient", pointwise, first_tiling());
}

// More samples than partitions, several samples in a chunk, a share that is not full.
TEST(DirectFilterGradient, ManySamples) {
    for (int batch : {17, 40}) {
        const ConvCase c{3, 16, 4, 5};
        check_recipe("direct_filter_gradient",
                     group_of(filter_gradient_op(c), {input_type(c), output_type(c)}, batch),
                     first_tiling());
    }
}

// x through an activation, dy scattered back through a max-pooling.
TEST(DirectFilterGradient, Prologues) {
    for (const ConvCase& c :
         {ConvCase{1, 32, 8, 8, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}}, ConvCase{16, 17, 6, 4},
          ConvCase{32, 32, 8, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3, 32}}) {
        const Group group = make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value x = add_operand(b, "a0", input_type(c));
            const std::vector<int64_t> pooled = {c.out, c.height / 2, c.width / 2};
            const Value dy = add_operand(b, "a1", batched_type(pooled));
            const Value index = add_operand(b, "a2", batched_type(pooled, ElementType::u8));
            auto unpool = std::make_shared<MaxPoolBackward>();
            unpool->input = {c.height, c.width};
            const Value spread = b.add(unpool, {dy, index}, "v1");
            return {b.add(filter_gradient_op(c), {add_prologue(b, x, "v0"), spread}, "v2")};
        });
        RecipeCheck check = first_tiling();
        check.classes = 4;
        check.fills["a2"] = Fill::labels;
        check_recipe("direct_filter_gradient", group, check);
    }
}

TEST(DirectStridedDataGradient, Shapes) {
    std::vector<ConvCase> cases = kStrided;
    for (const auto* more : {&kStridedDepthwise, &kStridedGrouped, &kStridedLaneGroups})
        cases.insert(cases.end(), more->begin(), more->end());
    for (const ConvCase& c : cases) {
        check_recipe("direct_strided_data_gradient",
                     group_of(data_gradient_op(c), {output_type(c), rotated_type(c)}, c.batch),
                     first_tiling());
    }
    for (const ConvCase& c :
         {kStrided[0], kStridedDepthwise[0], kStridedGrouped[0], kStridedLaneGroups[0]}) {
        check_recipe("direct_strided_data_gradient",
                     group_of(data_gradient_op(c), {output_type(c), rotated_type(c)}, 2),
                     every_tiling());
    }
}

TEST(DirectStridedDataGradient, PrologueAndEpilogue) {
    for (const ConvCase& c : {kStrided[0], kStrided[2], kStrided[3], kStridedDepthwise[0],
                              kStridedGrouped[1], kStridedLaneGroups[0]}) {
        const Group group = make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value dy = add_operand(b, "a0", output_type(c));
            const Value w = add_operand(b, "a1", rotated_type(c));
            const Value mask = add_operand(b, "a2", input_type(c));
            const Value dx = b.add(data_gradient_op(c), {add_prologue(b, dy, "v0"), w}, "v1");
            return {b.add(std::make_shared<ReluBackward>(), {dx, mask}, "v2")};
        });
        RecipeCheck check = first_tiling();
        check.fills["a2"] = Fill::off_zero;
        check_recipe("direct_strided_data_gradient", group, check);
    }
}

// Phases beyond those that are written out, with more taps than phases and fewer, and strides of
// one behind a border that is wider than the kernel.
TEST(DirectStridedDataGradient, ManyPhasesAndWideBorders) {
    const std::vector<ConvCase> cases = {
        {5, 17, 11, 12, {5, 5}, {5, 5}, {1, 1}, {0, 0, 0, 0}},
        {16, 20, 9, 13, {7, 3}, {3, 6}, {1, 1}, {2, 1, 0, 3}},
        {3, 16, 14, 23, {2, 3}, {1, 17}, {2, 2}, {1, 1, 2, 2}},
        {20, 5, 12, 12, {11, 11}, {5, 4}, {1, 2}, {5, 5, 9, 9}},
        {16, 16, 4, 5, {3, 3}, {1, 1}, {1, 1}, {4, 4, 3, 5}},
        {5, 17, 3, 4, {1, 2}, {1, 1}, {1, 3}, {1, 0, 4, 4}},
        {16, 16, 6, 5, {3, 3}, {2, 1}, {1, 1}, {3, 4, 3, 4}},
    };
    for (const ConvCase& c : cases) {
        check_recipe("direct_strided_data_gradient",
                     group_of(data_gradient_op(c), {output_type(c), rotated_type(c)}, c.batch),
                     first_tiling());
    }
    check_recipe(
        "direct_strided_data_gradient",
        group_of(data_gradient_op(cases[0]), {output_type(cases[0]), rotated_type(cases[0])}, 3),
        every_tiling());
}

}  // namespace
}  // namespace emulsion::test
