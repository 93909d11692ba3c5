// Concatenations that are no kernel: their parts are written where they lie in the whole.
#include "compiler/plan/joins.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "compiler/plan/verify_plan.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

// The module of SqueezeNet: two convolutions of one map, side by side.
Graph fire_module() {
    return parse_graph(R"(graph fire {
  %x = input() : f32[n,16,8,8]
  %ws = parameter() : f32[16,16,1,1]
  %w1 = parameter() : f32[24,16,1,1]
  %w3 = parameter() : f32[40,16,3,3]
  %s = conv2d(%x, %ws) : f32[n,16,8,8]
  %squeeze = relu(%s) : f32[n,16,8,8]
  %c1 = conv2d(%squeeze, %w1) : f32[n,24,8,8]
  %expand1 = relu(%c1) : f32[n,24,8,8]
  %c3 = conv2d(%squeeze, %w3) {padding=[1,1,1,1]} : f32[n,40,8,8]
  %expand3 = relu(%c3) : f32[n,40,8,8]
  %whole = concatenate(%expand1, %expand3) : f32[n,64,8,8]
  %pool = average_pool(%whole) {window=[2,2], stride=[2,2]} : f32[n,64,4,4]
  output "y" %pool
})",
                       "fire.emu");
}

// Each layer reads what all layers before it made.
Graph dense_block() {
    return parse_graph(R"(graph dense {
  %x = input() : f32[n,16,8,8]
  %w0 = parameter() : f32[16,16,3,3]
  %w1 = parameter() : f32[12,16,3,3]
  %w2 = parameter() : f32[12,28,3,3]
  %a = conv2d(%x, %w0) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %b = conv2d(%a, %w1) {padding=[1,1,1,1]} : f32[n,12,8,8]
  %ab = concatenate(%a, %b) : f32[n,28,8,8]
  %c = conv2d(%ab, %w2) {padding=[1,1,1,1]} : f32[n,12,8,8]
  %abc = concatenate(%ab, %c) : f32[n,40,8,8]
  %y = tanh(%abc) : f32[n,40,8,8]
  output "y" %y
})",
                       "dense.emu");
}

const PlannedBuffer& buffer(const Plan& plan, const std::string& name) {
    for (const PlannedBuffer& b : plan.variants[0].buffers) {
        if (b.name == name) return b;
    }
    throw std::runtime_error("no buffer " + name);
}

PlannedBuffer& buffer(Plan& plan, const std::string& name) {
    return const_cast<PlannedBuffer&>(buffer(static_cast<const Plan&>(plan), name));
}

int pitched_buffers(const Plan& plan) {
    return static_cast<int>(std::ranges::count_if(
        plan.variants[0].buffers, [](const PlannedBuffer& b) { return b.pitch > 0; }));
}

bool is_noted(const Plan& plan, const std::string& note) {
    return std::ranges::find(plan.variants[0].notes, note) != plan.variants[0].notes.end();
}

int notes_with(const Plan& plan, const std::string& text) {
    return static_cast<int>(std::ranges::count_if(
        plan.variants[0].notes,
        [&](const std::string& note) { return note.find(text) != std::string::npos; }));
}

TEST(Joins, APartLiesAmongTheChannelsOfItsWhole) {
    for (int batch : {1, 3}) {
        const Plan plan = plan_graph(fire_module(), {.batches = {batch}});
        const PlannedBuffer &whole = buffer(plan, "whole"), &first = buffer(plan, "expand1"),
                            &second = buffer(plan, "expand3");
        EXPECT_EQ(whole.pitch, 0);
        EXPECT_EQ(first.pitch, 64);
        EXPECT_EQ(second.pitch, 64);
        EXPECT_EQ(first.offset, whole.offset);
        EXPECT_EQ(second.offset, whole.offset + 24 * 4);
        EXPECT_EQ(first.bytes, batch * 24 * 64 * 4);
        EXPECT_EQ(call_count(plan), 4) << print(plan);  // three convolutions and the pooling
        EXPECT_EQ(plan.variants[0].activation_bytes, batch * (64 + 16) * 64 * 4);
        EXPECT_TRUE(is_noted(plan, "whole is no kernel: its 2 parts are written in place"))
            << print(plan);
    }
}

TEST(Joins, AWholeMayBePartOfALargerOne) {
    const Plan plan = plan_graph(dense_block());
    const int64_t begin = buffer(plan, "abc").offset;
    for (const auto& [name, channel] :
         std::map<std::string, int>{{"a", 0}, {"ab", 0}, {"b", 16}, {"c", 28}}) {
        EXPECT_EQ(buffer(plan, name).pitch, 40) << name;
        EXPECT_EQ(buffer(plan, name).offset, begin + channel * 4) << name;
    }
    EXPECT_EQ(call_count(plan), 4);
    EXPECT_EQ(plan.variants[0].activation_bytes, 40 * 64 * 4);
}

// A kernel for a part is another than one for a map by itself, down to its identity.
TEST(Joins, AKernelSaysItsPitches) {
    const Plan plan = plan_graph(fire_module());
    const VariantPlan& variant = plan.variants[0];
    const PlannedCall& call = call_named(variant, "c3");
    const PlannedKernel& kernel = variant.kernels[static_cast<size_t>(call.kernel)];
    EXPECT_EQ(kernel.group.pitches, (std::vector<int64_t>{0, 0, 64}));
    EXPECT_NE(kernel.identity(variant.isa).find(" pitches=0,0,64 "), std::string::npos)
        << kernel.identity(variant.isa);
    EXPECT_NE(print(plan).find(" among 64 channels\n"), std::string::npos);
}

// ---- What is copied together ----

int joined_parts(const std::string& body) {
    return pitched_buffers(plan_graph(parse_graph("graph net {\n" + body + "}", "net.emu")));
}

TEST(Joins, OnlyPartsThatAreStoredAloneAndReadAsTheyAre) {
    const std::string first = R"(
  %x = input() : f32[n,16,4,4]
  %a = tanh(%x) : f32[n,16,4,4]
)";
    const std::string start = first + "  %b = sigmoid(%x) : f32[n,16,4,4]\n";
    const std::string end = R"(
  %y = average_pool(%c) {window=[2,2], stride=[2,2]} : f32[n,32,2,2]
  output "y" %y
)";
    EXPECT_EQ(joined_parts(start + "  %c = concatenate(%a, %b) : f32[n,32,4,4]\n" + end), 2);
    // The caller's memory.
    EXPECT_EQ(joined_parts(first + "  %c = concatenate(%a, %x) : f32[n,32,4,4]\n" + end), 0);
    EXPECT_EQ(joined_parts(start + "  %c = concatenate(%a, %b) : f32[n,32,4,4]\n" + end +
                           "  output \"c\" %c\n"),
              0);
    EXPECT_EQ(joined_parts(start + "  %c = concatenate(%a, %b) : f32[n,32,4,4]\n" + end +
                           "  output \"a\" %a\n"),
              0);
    // In two places.
    EXPECT_EQ(joined_parts(first + "  %c = concatenate(%a, %a) : f32[n,32,4,4]\n" + end), 0);
    // Flat, without gaps.
    EXPECT_EQ(joined_parts(start + "  %c = concatenate(%a, %b) : f32[n,32,4,4]\n" + end + R"(
  %f = flatten(%a) : f32[n,256]{16,4,4}
  %g = tanh(%f) : f32[n,256]{16,4,4}
  output "g" %g
)"),
              0);
}

// What parameters alone decide is made by each call where it is repeated for each sample, so it may
// be a part.
TEST(Joins, WhatIsRepeatedOfAParameter) {
    const Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16,4,4]
  %w = parameter() : f32[16]
  %s = sigmoid(%w) : f32[16]
  %a = expand(%s) {shape=[16,4,4], batched=true} : f32[n,16,4,4]
  %b = tanh(%x) : f32[n,16,4,4]
  %c = concatenate(%a, %b) : f32[n,32,4,4]
  %y = average_pool(%c) {window=[2,2], stride=[2,2]} : f32[n,32,2,2]
  output "y" %y
})",
                                             "net.emu"));
    EXPECT_EQ(pitched_buffers(plan), 2) << print(plan);
}

// ---- Slices ----

// A map in two halves, of which the first is added to another and cut in turn.
std::string slices(const std::string& sum = "add(%s, %x)") {
    return R"(
  %x = input() : f32[n,16,4,4]
  %z = input() : f32[n,32,4,4]
  %a = tanh(%z) : f32[n,32,4,4]
  %s = slice(%a) {begin=0, count=16} : f32[n,16,4,4]
  %t = slice(%a) {begin=16, count=16} : f32[n,16,4,4]
  %r = )" + sum +
           R"( : f32[n,16,4,4]
  %p = slice(%r) {begin=0, count=5} : f32[n,5,4,4]
  %q = slice(%r) {begin=5, count=11} : f32[n,11,4,4]
  %t1 = average_pool(%t) {window=[3,3], stride=[1,1]} : f32[n,16,2,2]
  %p1 = average_pool(%p) {window=[3,3], stride=[1,1]} : f32[n,5,2,2]
  %q1 = average_pool(%q) {window=[3,3], stride=[1,1]} : f32[n,11,2,2]
  output "t" %t1
  output "p" %p1
  output "q" %q1
)";
}

Graph graph_of(const std::string& body) {
    return parse_graph("graph net {\n" + body + "}", "net.emu");
}

TEST(Joins, ASliceIsReadWhereItLies) {
    for (int batch : {1, 3}) {
        const Plan plan = plan_graph(graph_of(slices()), {.batches = {batch}});
        const int64_t begin = buffer(plan, "a").offset;
        EXPECT_EQ(buffer(plan, "a").pitch, 0);
        for (const auto& [name, channel] :
             std::map<std::string, int>{{"s", 0}, {"t", 16}, {"r", 0}, {"p", 0}, {"q", 5}}) {
            EXPECT_EQ(buffer(plan, name).pitch, 32) << name;
            EXPECT_EQ(buffer(plan, name).offset, begin + channel * 4) << name;
        }
        EXPECT_EQ(call_count(plan), 5) << print(plan);  // tanh, the sum, three poolings
        EXPECT_EQ(plan.variants[0].activation_bytes, batch * 32 * 16 * 4);
        EXPECT_TRUE(is_noted(plan, "t is no kernel: it is read in place")) << print(plan);
        EXPECT_TRUE(is_noted(plan, "r is written over s")) << print(plan);
    }
}

TEST(Joins, OnlySlicesOfWhatIsStoredThatAreReadAsTheyAre) {
    EXPECT_EQ(joined_parts(slices()), 5);
    // The caller's memory: of the whole, of a slice.
    EXPECT_EQ(joined_parts(slices() + "  output \"a\" %a\n"), 2);
    EXPECT_EQ(joined_parts(slices() + "  output \"t0\" %t\n"), 3);
    EXPECT_EQ(joined_parts(R"(
  %x = input() : f32[n,32,4,4]
  %s = slice(%x) {begin=3, count=16} : f32[n,16,4,4]
  %y = average_pool(%s) {window=[2,2], stride=[2,2]} : f32[n,16,2,2]
  output "y" %y
)"),
              0);
    // Flat, without gaps.
    EXPECT_EQ(joined_parts(slices() + R"(
  %f = flatten(%t) : f32[n,256]{16,4,4}
  %g = tanh(%f) : f32[n,256]{16,4,4}
  output "g" %g
)"),
              3);
}

TEST(Joins, NothingIsWrittenOverWhatOthersRead) {
    const auto is_over = [](const std::string& body) {
        return notes_with(plan_graph(graph_of(body)), " is written over ") > 0;
    };
    const auto with_pool = [](const std::string& value, int channels) {
        return fmt::format(
            "  %more = average_pool(%{0}) {{window=[3,3], stride=[1,1]}} : f32[n,{1},2,2]\n"
            "  output \"more\" %more\n",
            value, channels);
    };
    EXPECT_TRUE(is_over(slices()));
    EXPECT_TRUE(is_over(slices("multiply(%x, %s)")));
    EXPECT_FALSE(is_over(slices() + with_pool("s", 16)));
    EXPECT_FALSE(is_over(slices() + with_pool("a", 32)));
    EXPECT_FALSE(is_over(slices() + with_pool("r", 16)));  // not all of it is cut
    EXPECT_FALSE(is_over(slices() + R"(
  %o = slice(%a) {begin=15, count=2} : f32[n,2,4,4]
)" + with_pool("o", 2)));
    // A part of a concatenation, which others read.
    EXPECT_FALSE(is_over(slices() + R"(
  %i = sigmoid(%x) : f32[n,16,4,4]
  %j = concatenate(%a, %i) : f32[n,48,4,4]
)" + with_pool("j", 48)));
}

TEST(Joins, TheCheckerFindsSlicesThatLieWrong) {
    const Graph graph = graph_of(slices());
    const auto fault = [&](const std::string& name, int64_t by) {
        Plan plan = plan_graph(graph, {.batches = {2}});
        buffer(plan, name).offset += by;
        return plan_fault({graph}, plan);
    };
    EXPECT_EQ(fault("t", 0), "");
    EXPECT_EQ(fault("t", -4), "avx2, batch 2: output of 't' is not what the graph computes");
    EXPECT_EQ(fault("s", 4), "avx2, batch 2: 'r' writes 'r' over its operand 's'");
    EXPECT_EQ(fault("p", 4), "avx2, batch 2: output of 'p' is not what the graph computes");
    // What is written over a slice leaves the channels beside it, and those alone.
    Plan plan = plan_graph(graph, {.batches = {2}});
    buffer(plan, "s").offset += 4;
    buffer(plan, "r").offset += 4;
    EXPECT_NE(plan_fault({graph}, plan), "");
}

TEST(Joins, ARecipeThatTakesNoPitchesKeepsItsMapsByThemselves) {
    // winograd_filter has no maps; a recipe that could not follow is made by hand.
    class Dense : public Recipe {
      public:
        std::string_view name() const override { return "dense"; }
        bool applies(const Group&, const Isa&) const override { return true; }
        std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {Tiling{}}; }
        double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
            return 1e-6;
        }
        std::vector<Halide::Func> build(KernelContext&, const Tiling&) const override { return {}; }
    };
    RecipeLibrary library;
    library.push_back(std::make_unique<Dense>());
    PlanOptions options;
    options.isas = {isa_avx2()};
    const Plan plan = make_plan(fire_module(), library, options);
    EXPECT_EQ(pitched_buffers(plan), 0);
    EXPECT_TRUE(is_noted(plan, "whole is copied together: expand1 would not run dense"))
        << print(plan);
}

TEST(Joins, NoConcatenationOfTheExampleNetworksIsAKernel) {
    for (const char* name : {"squeezenet1_1", "densenet121"}) {
        for (bool training : {false, true}) {
            if (is_left_out(name)) continue;
            SCOPED_TRACE(fmt::format("{} training={}", name, training));
            const Plan plan = plan_network(golden_network(name), {training, {8}});
            for (const PlannedCall& call : plan.variants[0].batches.at(0).calls) {
                const std::string kinds = kinds_of(plan.variants[0], call);
                EXPECT_EQ(kinds.find("concatenate"), std::string::npos) << call.name;
                EXPECT_EQ(kinds.find("slice"), std::string::npos) << call.name;
            }
        }
    }
}

// Has records that copy all slices.
class CopiedSlices : public ChoiceSource {
  public:
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa&,
                                       int) const override {
        const bool is_slice = node.find(" slice(") != std::string::npos;
        if (!is_slice || decision != Decision::fusion) return std::nullopt;
        return RecordedChoice{"pass", "a test"};
    }
};

// Of 58 concatenations in 4 chains, the gradient of all but the first of each chain lies in that of
// its last. A layer's own part is read there by the two gradients of its convolution; the rest is
// added in the pass that makes the gradient of the batch norm, which is one pass less too.
TEST(Joins, GradientsOfDensenet121AreOneMapForEachChain) {
    if (is_left_out("densenet121")) GTEST_SKIP() << "sanitizers watch smaller networks";
    const Network network = golden_network("densenet121");
    const Plan plan = plan_network(network, {true, {8}});
    EXPECT_EQ(notes_with(plan, " is no kernel: it is read in place"), 2 * 58);
    EXPECT_EQ(notes_with(plan, " is written over "), 58 - 4);
    const CopiedSlices copied;
    PlanOptions options;
    options.training = true;
    options.batches = {8};
    options.isas = {isa_avx2()};
    options.choices = &copied;
    const Plan apart =
        make_plan(training_graph(network, /*exact=*/false, 64), make_library(), options);
    EXPECT_EQ(call_count(apart) - call_count(plan), 2 * 58);
    EXPECT_GT(apart.variants[0].kernels.size(), plan.variants[0].kernels.size() + 100);
}

// ---- The checker ----

std::string fault_after(const std::function<void(Plan&)>& damage) {
    const Graph graph = fire_module();
    Plan plan = plan_graph(graph, {.batches = {2}});
    damage(plan);
    return plan_fault({graph}, plan);
}

TEST(Joins, TheCheckerFindsPartsThatLieWrong) {
    EXPECT_EQ(fault_after([](Plan&) {}), "");
    // Onto the last channel of the first part.
    EXPECT_EQ(
        fault_after([](Plan& plan) { buffer(plan, "expand3").offset -= 4; }),
        "avx2, batch 2: 'pool' reads 'whole', which nobody wrote, or whose bytes were reused");
    EXPECT_EQ(
        fault_after([](Plan& plan) {
            std::swap(buffer(plan, "expand1").offset, buffer(plan, "expand3").offset);
        }),
        "avx2, batch 2: 'pool' reads 'whole', which nobody wrote, or whose bytes were reused");
    // Behind the end of the workspace.
    const std::string beyond = fault_after([](Plan& plan) { buffer(plan, "expand3").pitch = 96; });
    EXPECT_TRUE(beyond.starts_with("avx2: 'expand3' ends at ")) << beyond;
    EXPECT_EQ(fault_after([](Plan& plan) { buffer(plan, "expand3").pitch = 32; }),
              "avx2: 'expand3' in workspace is no part of 32 channels");
    EXPECT_EQ(fault_after([](Plan& plan) { buffer(plan, "expand3").pitch = 48; }),
              "avx2, batch 2: 'expand3' of 'c3' lies among 48 channels, which its kernel does not "
              "know");
    EXPECT_EQ(fault_after([](Plan& plan) { buffer(plan, "expand1").pitch = 0; }),
              "avx2, batch 2: 'expand1' of 'c1' lies among 0 channels, which its kernel does not "
              "know");
}

TEST(Joins, TheCheckerFindsPartsThatLackOrChangePlaces) {
    EXPECT_EQ(
        fault_after([](Plan& plan) {
            std::vector<PlannedCall>& calls = plan.variants[0].batches[0].calls;
            std::erase_if(calls, [](const PlannedCall& call) { return call.name == "c1"; });
        }),
        "avx2, batch 2: 'pool' reads 'whole', which nobody wrote, or whose bytes were reused");
    // Parts of one size in the wrong order: another meaning.
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,4,4]
  %a = tanh(%x) : f32[n,16,4,4]
  %b = sigmoid(%x) : f32[n,16,4,4]
  %c = concatenate(%a, %b) : f32[n,32,4,4]
  %y = average_pool(%c) {window=[2,2], stride=[2,2]} : f32[n,32,2,2]
  output "y" %y
})",
                                    "net.emu");
    Plan plan = plan_graph(graph);
    std::swap(buffer(plan, "a").offset, buffer(plan, "b").offset);
    EXPECT_EQ(plan_fault({graph}, plan),
              "avx2, batch 1: output of 'y' is not what the graph computes");
}

}  // namespace
}  // namespace emulsion::test
