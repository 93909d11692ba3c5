// Whole messages of the compiler behind the passes: targets, initialisers, results, stages,
// objects.
#include <gtest/gtest.h>

#include "compiler/codegen/loader.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

TEST(CompilerErrors, UnknownInstructionSet) {
    EXPECT_EQ(message_of([] { isa_named("mmx"); }),
              "error[isa]: unknown instruction set 'mmx'\n"
              "  fix: the instruction sets are x86-64, avx2, avx512");
}

TEST(CompilerErrors, UnknownInitializer) {
    GraphBuilder builder("net");
    auto parameter = std::make_shared<Parameter>(plain_type({16}));
    parameter->init = "ortho";
    Value value = builder.add(parameter, {}, "w");
    builder.output("y", value);
    PlanOptions options;
    options.isas = {isa_baseline()};
    const Graph graph = builder.build();
    EXPECT_EQ(message_of([&] { make_plan(graph, make_library(), options); }),
              "error[initializer]: 'w': unknown initializer 'ortho'\n"
              "  fix: use one of constant, glorot, glorot_normal, he, he_uniform, lecun, "
              "lecun_uniform, normal, ones, uniform, zeros");
}

TEST(CompilerErrors, ResultWithoutComputation) {
    GraphBuilder builder("net");
    Value x = builder.add(std::make_shared<Input>(batched_type({4})), {}, "x");
    builder.output("y", x);
    PlanOptions options;
    options.isas = {isa_baseline()};
    const Graph graph = builder.build();
    EXPECT_EQ(message_of([&] { make_plan(graph, make_library(), options); }),
              "error[result]: 'x' is a result twice, or a result without any computation\n"
              "  fix: give each output, update and gradient a value of its own");
}

// Before anything is planned, let alone compiled.
TEST(CompilerErrors, ABatchTooLarge) {
    GraphBuilder builder("net");
    Value x = builder.add(std::make_shared<Input>(batched_type({3, 2048, 2048})), {}, "x");
    Value w = builder.add(std::make_shared<Parameter>(plain_type({64, 3, 1, 1})), {}, "w");
    builder.output("y", builder.add(op_from_text("conv2d"), {x, w}, "conv1"));
    PlanOptions options;
    options.isas = {isa_baseline()};
    options.batches = {1, 16};
    const Graph graph = builder.build();
    EXPECT_EQ(message_of([&] { make_plan(graph, make_library(), options); }),
              "error[size]: 'conv1' of type f32[n,64,2048,2048] has 4294967296 elements in a batch "
              "of 16, more than 2147221504\n"
              "  fix: use a smaller batch: at most 7 samples");
}

TEST(CompilerErrors, UnknownStage) {
    const Network network = parse_network(
        "network net\noptimizer sgd {learning_rate=0.1}\nschedule constant {}\ngraph net {\n"
        "  %image = input() : f32[n,4]\n"
        "  %w = parameter() {init=\"he\", fan_in=4} : f32[3,4]\n"
        "  %scores = dense(%image, %w) : f32[n,3]\n"
        "  %loss = reduce(%scores) {keep_samples=false, keep_channels=false, mean=true} : f32[]\n"
        "  output \"loss\" %loss\n  output \"scores\" %scores\n}\n",
        "net.emu");
    EXPECT_EQ(message_of([&] { show(network, make_library(), "tokens", {}); }),
              "error[stage]: unknown stage 'tokens'\n"
              "  fix: the stages are graph, optimized, plan, choices, loops, stmt, llvm, asm");
}

TEST(CompilerErrors, BytesThatAreNoObject) {
    EXPECT_EQ(message_of([] { LoadedObject object("these bytes are no object"); }),
              "error[load]: an object cannot be loaded: The file was not recognized as a "
              "valid object file\n"
              "  fix: build it anew with this version");
}

}  // namespace
}  // namespace emulsion::test
