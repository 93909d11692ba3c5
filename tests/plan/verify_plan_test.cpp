// The checker of plans finds each kind of damage in a plan that is sound.
#include "compiler/plan/verify_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// %d reads %a again after two kernels, and dies nowhere before.
Graph small_graph() {
    return parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %b = conv2d(%a, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %c = tanh(%b) : f32[n,16,8,8]
  %d = conv2d(%c, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %e = add(%d, %a) : f32[n,16,8,8]
  %f = conv2d(%e, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  output "c" %c
  output "f" %f
})",
                       "net.emu");
}

PlannedBuffer& buffer(Plan& plan, const std::string& name) {
    for (PlannedBuffer& b : plan.variants[0].buffers) {
        if (b.name == name) return b;
    }
    throw std::runtime_error("no buffer " + name);
}

// What the checker says of a plan of batch 2 that `damage` has changed.
std::string fault_after(const std::function<void(Plan&)>& damage) {
    const Graph graph = small_graph();
    Plan plan = plan_graph(graph, {.batches = {2}});
    damage(plan);
    return plan_fault({graph}, plan);
}

std::vector<PlannedCall>& calls(Plan& plan) { return plan.variants[0].batches[0].calls; }

TEST(PlanFault, NothingIsWrongWithASoundPlan) {
    EXPECT_EQ(fault_after([](Plan&) {}), "");
}

TEST(PlanFault, BytesAndOffsets) {
    EXPECT_EQ(fault_after([](Plan& plan) { buffer(plan, "a").offset += 4; }),
              "avx2: 'a' lies at 4");
    EXPECT_EQ(fault_after([](Plan& plan) { plan.variants[0].activation_bytes = 64; }),
              "avx2: 'a' ends at 8192, workspace has 64 bytes");
    EXPECT_EQ(fault_after([](Plan& plan) { buffer(plan, "a").bytes /= 2; }),
              "avx2, batch 2: 'a' of 'a' has 4096 bytes");
}

TEST(PlanFault, ReadingWhatIsNotThere) {
    EXPECT_EQ(fault_after([](Plan& plan) { std::swap(calls(plan)[0], calls(plan)[1]); }),
              "avx2, batch 2: 'b' reads 'a', which nobody wrote, or whose bytes were reused");
    EXPECT_EQ(fault_after([](Plan& plan) { calls(plan).erase(calls(plan).begin()); }),
              "avx2, batch 2: 'b' reads 'a', which nobody wrote, or whose bytes were reused");
}

TEST(PlanFault, TwoValuesInOnePlace) {
    // %c takes the bytes of %a, which %e still reads: the tanh is added twice.
    const std::string fault = fault_after([](Plan& plan) {
        buffer(plan, "c").memory = MemoryClass::workspace;
        buffer(plan, "c").offset = buffer(plan, "a").offset;
    });
    EXPECT_EQ(fault, "avx2, batch 2: 'b' writes 'c' over its operand 'a'");
}

// %e lies where %a did: its kernel adds %a to the convolution of %c.
TEST(PlanFault, ARecipeThatDoesNotWriteInPlace) {
    EXPECT_EQ(fault_after([](Plan& plan) {
                  for (PlannedKernel& kernel : plan.variants[0].kernels) {
                      EXPECT_TRUE(kernel.writes_in_place);
                      kernel.writes_in_place = false;
                  }
              }),
              "avx2, batch 2: 'd' writes 'e' over its operand 'a', which direct may not");
}

// The filter gradient of a convolution keeps partial sums beside what it reads and writes.
TEST(PlanFault, ScratchOverWhatACallReads) {
    const Network network = golden_network("lenet");
    const Graph graph = training_graph(network);
    Plan plan = plan_network(network, {.training = true, .batches = {64}, .isas = {isa_avx512()}});
    VariantPlan& variant = plan.variants[0];
    for (const PlannedCall& call : variant.batches[0].calls) {
        if (call.scratch.empty()) continue;
        PlannedBuffer& scratch = variant.buffers[static_cast<size_t>(call.scratch[0])];
        EXPECT_EQ(scratch.name, call.name + ".partial");
        for (int index : call.buffers) {
            const PlannedBuffer& other = variant.buffers[static_cast<size_t>(index)];
            if (other.memory != MemoryClass::workspace) continue;
            const int64_t before = scratch.offset;
            variant.activation_bytes += scratch.bytes;
            scratch.offset = other.offset;
            const std::string fault = plan_fault({graph}, plan);
            EXPECT_EQ(fault, fmt::format("avx512, batch 64: '{}' has its scratch over '{}'",
                                         call.name, other.name));
            scratch.offset = before;
            scratch.extents[0]++;
            EXPECT_EQ(plan_fault({graph}, plan),
                      fmt::format("avx512, batch 64: '{0}.partial' is not the scratch of '{0}'",
                                  call.name));
            return;
        }
    }
    FAIL() << "no kernel has scratch";
}

TEST(PlanFault, AnotherMeaning) {
    EXPECT_EQ(fault_after([](Plan& plan) { calls(plan).pop_back(); }),
              "avx2, batch 2: output of 'f' is not what the graph computes");
    EXPECT_EQ(fault_after([](Plan& plan) {
                  std::swap(calls(plan).back().buffers[0], calls(plan)[0].buffers[0]);
              }),
              "avx2, batch 2: 'a' reads 'e', which nobody wrote, or whose bytes were reused");
    EXPECT_EQ(fault_after([](Plan& plan) {
                  std::swap(buffer(plan, "c").offset, buffer(plan, "f").offset);
              }),
              "avx2, batch 2: output of 'c' is not what the graph computes");
}

TEST(PlanFault, StagesOutOfOrder) {
    EXPECT_EQ(fault_after([](Plan& plan) { calls(plan)[0].stage = Stage::backward; }),
              "avx2, batch 2: 'b' runs after a later stage");
}

TEST(PlanFault, AResultWrittenTwice) {
    EXPECT_EQ(fault_after([](Plan& plan) { calls(plan).push_back(calls(plan).back()); }),
              "avx2, batch 2: 'f' writes 'f', which was written before");
}

// Written before the test of the loss: a refused step would change the parameter.
TEST(PlanFault, AParameterWrittenInForward) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %b = parameter() : f32[16]
  %s = reduce(%x) {keep_channels=true} : f32[16]
  %g = scale(%s) {factor=2} : f32[16]
  %next = add(%b, %s) : f32[16]
  %y = reduce(%x) : f32[]
  output "loss" %y
  gradient %b <- %g
  update %b <- %next
})",
                                    "net.emu");
    Plan plan = plan_graph(graph, {.training = true, .batches = {2}, .update_at_once = true});
    for (PlannedCall& call : plan.variants[0].batches[0].calls) call.stage = Stage::forward;
    EXPECT_EQ(plan_fault({graph}, plan),
              "avx2, batch 2: 'next' of forward writes 'next' in parameters");
}

}  // namespace
}  // namespace emulsion::test
