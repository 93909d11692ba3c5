// Which nodes share a kernel, which values are stored, and why.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/graph/text.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

using Names = std::vector<std::string>;

bool has_note(const VariantPlan& variant, const std::string& text) {
    return std::any_of(variant.notes.begin(), variant.notes.end(), [&](const std::string& note) {
        return note.find(text) != std::string::npos;
    });
}

Plan lenet(bool training, bool fuse = true) {
    return plan_network(golden_network("lenet"),
                        {training, {training ? 64 : 1}, fuse, {isa_avx2()}});
}

TEST(Grouping, ConvolutionPoolBiasAndReluAreOneKernel) {
    Plan plan = lenet(/*training=*/true);
    const VariantPlan& variant = plan.variants[0];
    const PlannedCall& conv = call_named(variant, "conv1");
    EXPECT_EQ(kinds_of(variant, conv), "conv2d max_pool add relu");
    EXPECT_EQ(conv.reason, "epilogue max_pool, add, relu");
    EXPECT_EQ(operands_of(variant, conv), (Names{"image", "conv1.w", "conv1.b"}));
    EXPECT_EQ(results_of_call(variant, conv),
              (Names{"max_pool1:1", "relu1.pooled"}));  // the winner's tap, the result
    EXPECT_EQ(kinds_of(variant, call_named(variant, "dense1")), "dense add relu");
}

TEST(Grouping, InferenceStoresNoTaps) {
    Plan plan = lenet(/*training=*/false);
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(results_of_call(variant, call_named(variant, "conv1")), (Names{"relu1.pooled"}));
}

TEST(Grouping, UnpoolingIsRecomputedWhereItIsRead) {
    Plan plan = lenet(/*training=*/true);
    const VariantPlan& variant = plan.variants[0];
    EXPECT_TRUE(has_note(variant, "recompute max_pool1.dx in its 1 readers"));
    EXPECT_TRUE(has_note(variant, "recompute max_pool2.dx in its 2 readers"));
    for (const PlannedBuffer& buffer : variant.buffers) {
        EXPECT_EQ(buffer.name.find("max_pool1.dx"), std::string::npos);
        EXPECT_EQ(buffer.name.find("max_pool2.dx"), std::string::npos);
    }
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv2.dw")),
              "max_pool_backward conv2d_backward_filter");
}

TEST(Grouping, WithoutFusionEveryNodeIsAKernel) {
    Plan plan = lenet(/*training=*/true, /*fuse=*/false);
    for (const PlannedCall& call : plan.variants[0].batches[0].calls) {
        std::string kinds = kinds_of(plan.variants[0], call);
        size_t nodes = static_cast<size_t>(std::count(kinds.begin(), kinds.end(), ' ')) + 1;
        nodes -= kinds.starts_with("constant ") ? 1 : 0;
        EXPECT_LE(nodes, 2u) << kinds;  // one node, and a broadcast constant where it reads one
    }
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "conv1")), "conv2d");
}

Graph residual() {
    return parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %a.w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %a.w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %a.y = relu(%a) : f32[n,16,8,8]
  %b.w = parameter() : f32[16,16,3,3]
  %b = conv2d(%a.y, %b.w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %sum = add(%b, %a.y) : f32[n,16,8,8]
  %y = relu(%sum) : f32[n,16,8,8]
  output "y" %y
})",
                       "net.emu");
}

TEST(Grouping, AValueWithTwoReadersIsStoredOnce) {
    Plan plan = plan_graph(residual());
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(variant.batches[0].calls.size(), 2u);
    EXPECT_EQ(results_of_call(variant, call_named(variant, "a")), (Names{"a.y"}));
    EXPECT_EQ(kinds_of(variant, call_named(variant, "b")), "conv2d add relu");
    EXPECT_EQ(operands_of(variant, call_named(variant, "b")), (Names{"a.y", "b.w"}));
}

TEST(Grouping, AMapBeforeItsActivationIsStoredTooWhereSomebodyReadsIt) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %y = relu(%a) : f32[n,16,8,8]
  %b = conv2d(%a, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  output "y" %y
  output "b" %b
})",
                                       "net.emu"));
    EXPECT_EQ(results_of_call(plan.variants[0], call_named(plan.variants[0], "a")),
              (Names{"a", "y"}));
}

// The sum reads both convolutions, and one of them reads the other: joined with the first it would
// wait for itself.
TEST(Grouping, NoKernelWaitsForItself) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %b = conv2d(%a, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %c = add(%a, %b) : f32[n,16,8,8]
  %d = tanh(%a) : f32[n,16,8,8]
  %y = multiply(%c, %d) : f32[n,16,8,8]
  output "y" %y
})",
                                       "net.emu"));
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(kinds_of(variant, call_named(variant, "a")), "conv2d tanh");
    EXPECT_EQ(kinds_of(variant, call_named(variant, "b")), "conv2d add multiply");
    EXPECT_EQ(call_count(plan), 2);
}

TEST(Grouping, APoolThatDoesNotTileStaysApart) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16,7,7]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,7,7]
  %p = max_pool(%a) : f32[n,16,3,3], u8[n,16,3,3]
  output "y" %p:0
})",
                                       "net.emu"));
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "a")), "conv2d");
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "p")), "max_pool");
}

TEST(Grouping, APoolWhoseMapIsReadElsewhereStaysApart) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %p = max_pool(%a) : f32[n,16,4,4], u8[n,16,4,4]
  output "y" %p:0
  output "map" %a
})",
                                       "net.emu"));
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "p")), "max_pool");
}

TEST(Grouping, BatchNormNeedsNoPassOfItsOwn) {
    Plan plan = plan_network(golden_network("resnet20"), {true, {128}, true, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    const PlannedCall& second = call_named(variant, "conv3");  // of the first block
    EXPECT_EQ(kinds_of(variant, second), "normalize relu winograd_conv2d partial_moments");
    EXPECT_EQ(results_of_call(variant, second),
              (Names{"conv3", "batch_norm3.partial:0", "batch_norm3.partial:1",
                     "batch_norm3.partial:2"}));
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv3.dx")),
              "batch_norm_backward winograd_conv2d normalize relu relu_backward partial_dots");
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv3.dw")),
              "normalize relu batch_norm_backward conv2d_backward_filter");
    // The tail of a block is stored, as four read it: by the convolution behind it, and backwards
    // by an epilogue.
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv4")),
              "normalize normalize relu add relu winograd_conv2d partial_moments");
    EXPECT_EQ(results_of_call(variant, call_named(variant, "conv4")),
              (Names{"conv4", "batch_norm4.partial:0", "batch_norm4.partial:1",
                     "batch_norm4.partial:2", "relu3"}));
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv4.dx")),
              "batch_norm_backward winograd_conv2d add relu_backward partial_dots");
    EXPECT_TRUE(has_note(variant, "recompute relu2 in its 3 readers"));
    for (const PlannedCall& call : variant.batches[0].calls) {
        EXPECT_EQ(call.name.find("batch_norm3.dx"), std::string::npos);
    }
}

TEST(Grouping, GroupNormNeedsNoPassOfItsOwn) {
    Model m("m");
    Tensor x = m.input("image", {16, 32, 32});
    for (int i = 0; i < 3; i++) {
        x = conv(x, 16, {.padding = same, .bias = false});
        x = relu(group_norm(x, 4));
    }
    m.output("map", x);
    m.loss(x);
    const Plan plan = plan_network(finish(m).network.value(), {true, {128}, true, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv2")),
              "normalize relu winograd_conv2d partial_moments");
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv2.dx")),
              "batch_norm_backward winograd_conv2d normalize relu relu_backward partial_dots");
    EXPECT_EQ(kinds_of(variant, call_named(variant, "conv2.dw")),
              "normalize relu batch_norm_backward conv2d_backward_filter");
    EXPECT_EQ(kinds_of(variant, call_named(variant, "group_norm2.statistics")),
              "group_statistics multiply");
    EXPECT_EQ(slow_kernels(plan), Names());
}

// Two tails whose reader can store them; the second is small enough to be found in a cache.
TEST(Grouping, ATailIsStoredByItsReaderWhereItLeavesTheCache) {
    Plan plan = plan_network(golden_network("resnet20"), {true, {128}, true, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(call_named(variant, "conv6").reason,
              "stored prologue normalize, add, relu; epilogue partial_moments");
    EXPECT_TRUE(has_note(variant,
                         "store relu5 in conv6: reads its operands there instead of its "
                         "8388608 bytes"));
    EXPECT_TRUE(has_note(
        variant, "relu11 stays apart from conv13: its 4194304 bytes are read from a cache"));
    EXPECT_EQ(results_of_call(variant, call_named(variant, "relu11")), (Names{"relu11"}));
    // A strided convolution stages nothing that it could store.
    EXPECT_EQ(results_of_call(variant, call_named(variant, "relu7")), (Names{"relu7"}));
}

// As a pass the sum is written over %a; the convolution still needs the neighbours.
TEST(Grouping, AStoredTailDoesNotOverwriteWhatItIsMadeOf) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %m = reduce(%a) {keep_channels=true, mean=true} : f32[16]
  %scaled = multiply(%a, %m) : f32[n,16,8,8]
  %sum = add(%scaled, %x) : f32[n,16,8,8]
  %u = winograd_filter(%w) {tile=4} : f32[16,16,6,6]
  %y = winograd_conv2d(%sum, %u) {tile=4, padding=[1,1,1,1]} : f32[n,16,8,8]
  %p = max_pool(%sum) : f32[n,16,4,4], u8[n,16,4,4]
  %q = average_pool(%sum) : f32[n,16,4,4]
  output "y" %y
  output "p" %p:0
  output "q" %q
})",
                                    "net.emu");
    Machine machine;
    for (int64_t cache_bytes : {int64_t{1} << 20, int64_t{0}}) {
        machine.cache_bytes = cache_bytes;
        Plan plan = plan_graph(graph, {false, {2}, true, {isa_avx2()}, false, machine});
        const VariantPlan& variant = plan.variants[0];
        EXPECT_EQ(call_count(plan), cache_bytes == 0 ? 6 : 7);
        EXPECT_EQ(kinds_of(variant, call_named(variant, "y")),
                  cache_bytes == 0 ? "multiply add winograd_conv2d" : "winograd_conv2d");
        std::map<std::string, int64_t> places;
        for (const PlannedBuffer& buffer : variant.buffers) places[buffer.name] = buffer.offset;
        EXPECT_EQ(places.at("sum") == places.at("a"), cache_bytes != 0);
    }
}

// A filter that stays in the second cache is read by tasks of rows, one that does not by panels.
TEST(Grouping, SchedulesAreOfTheSecondCache) {
    const Graph graph = parse_graph(R"(graph g {
  %x = input() : f32[n,256,14,14]
  %w = parameter() : f32[1024,256,1,1]
  %y = conv2d(%x, %w) : f32[n,1024,14,14]
  output "y" %y
})",
                                    "net.emu");
    const auto plan_for = [&](int64_t l2_bytes) {
        const Machine machine{.l2_bytes = l2_bytes};
        return plan_graph(graph, {false, {16}, true, {isa_avx512()}, false, machine});
    };
    const auto order = [](const Plan& plan) {
        const VariantPlan& variant = plan.variants[0];
        return variant.kernels[static_cast<size_t>(call_named(variant, "y").kernel)].tiling.at(
            "order");
    };
    const Plan common = plan_for(1 << 20), large = plan_for(2 << 20);
    EXPECT_EQ(order(common), 1);
    EXPECT_EQ(order(large), 0);
    EXPECT_EQ(print(plan_for(1 << 20)), print(common));
    EXPECT_NE(print(common).find("\n  machine 1024 KiB of second cache, "), std::string::npos);
    EXPECT_NE(print(large).find("\n  machine 2048 KiB of second cache, "), std::string::npos);
}

// The gradient of a sum is one number everywhere; what reads it as another shape needs memory.
TEST(Grouping, ConstantsAreReadThroughViews) {
    Network network = parse_network(R"(network net
optimizer sgd {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,3,8,8]
  %w = parameter() : f32[8,3,3,3]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,8,8,8]
  %p = max_pool(%y) : f32[n,8,4,4], u8[n,8,4,4]
  %f = flatten(%p:0) : f32[n,128]{8,4,4}
  %g = flatten(%y) : f32[n,512]{8,8,8}
  %one = reduce(%f) {mean=true} : f32[]
  %two = reduce(%g) {mean=true} : f32[]
  %loss = add(%one, %two) : f32[]
  output "out" %y
  output "loss" %loss
})",
                                    "net.emu");
    for (bool fuse : {true, false}) {
        for (bool at_once : {true, false})
            EXPECT_GT(call_count(plan_network(network, {true, {4}, fuse, {isa_avx2()}, at_once})),
                      0);
    }
    const Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,12]{3,2,2}
  %c = constant() {value=2} : f32[n,3,2,2]
  %f = flatten(%c) : f32[n,12]{3,2,2}
  %y = multiply(%x, %f) : f32[n,12]{3,2,2}
  output "y" %y
})",
                                             "net.emu"));
    EXPECT_EQ(operands_of(plan.variants[0], call_named(plan.variants[0], "y")), (Names{"x"}));
}

// A parameter is not stored anew for every sample.
TEST(Grouping, AParameterForEachPositionIsReadWhereItLies) {
    const Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,12]{3,2,2}
  %w = parameter() : f32[12]
  %all = expand(%w) {shape=[12]} : f32[n,12]
  %map = factor(%all) {factors=[3,2,2]} : f32[n,12]{3,2,2}
  %y = add(%x, %map) : f32[n,12]{3,2,2}
  output "y" %y
})",
                                             "net.emu"));
    EXPECT_EQ(call_count(plan), 1);
    EXPECT_EQ(operands_of(plan.variants[0], call_named(plan.variants[0], "y")), (Names{"x", "w"}));
}

// Maps of 1x1 are read as vectors: not in the kernel that makes them.
TEST(Grouping, AMemberIsNotReadAsAnotherType) {
    const Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16]
  %y = input() : f32[n,16]
  %r = relu(%x) : f32[n,16]
  %u = unflatten(%r) {shape=[16,1,1]} : f32[n,16,1,1]
  %f = flatten(%u) : f32[n,16]
  %a = add(%y, %r) : f32[n,16]
  %t = tanh(%u) : f32[n,16,1,1]
  %g = flatten(%t) : f32[n,16]
  output "a" %a
  output "f" %g
})",
                                             "net.emu"));
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "a")), "relu add");
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "t")), "tanh");
}

TEST(Grouping, EqualLayersShareAKernel) {
    Plan plan = plan_network(golden_network("resnet20"), {true, {64}, true, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    EXPECT_LT(variant.kernels.size() * 2, variant.batches[0].calls.size());
    EXPECT_EQ(call_named(variant, "conv6").kernel, call_named(variant, "conv4").kernel);
    EXPECT_EQ(call_named(variant, "conv6.dw").kernel, call_named(variant, "conv4.dw").kernel);
    std::vector<std::string> identities;
    for (const PlannedKernel& kernel : variant.kernels)
        identities.push_back(kernel.identity(variant.isa));
    std::sort(identities.begin(), identities.end());
    EXPECT_EQ(std::adjacent_find(identities.begin(), identities.end()), identities.end());
}

}  // namespace
}  // namespace emulsion::test
