// A value that one kernel could read under two types, or whose place another result of the kernel
// reads: values on every instruction set, not the plan alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "runtime/support/machine_speed.h"
#include "tests/integration/guarded_support.h"
#include "tests/support/rounding_bounds.h"

namespace emulsion::test {
namespace {

constexpr float kRate = 0.125f;
constexpr int kBatch = 3;

Network network_of(const std::string& body) {
    return parse_network(
        "network net\noptimizer sgd {learning_rate=0.1, momentum=0.9}\nschedule constant\n"
        "graph net {\n" +
            body + "}\n",
        "net.emu");
}

reference::Sources sources_of(const Graph& graph, int samples) {
    reference::Sources sources = random_sources(graph, samples, 3);
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const auto* scalar = graph.op_as<Scalar>(i);
        if (scalar == nullptr) continue;
        EXPECT_EQ(scalar->name, "learning_rate");
        sources[graph.node(i).name] =
            reference::make_tensor(graph.node(i).types[0], 1, {double{kRate}});
    }
    return sources;
}

void expect_results(const Graph& graph, const reference::Sources& sources, int samples,
                    const RawResults& results) {
    RoundingBounds bounds(graph, sources, samples, 1e-6);
    for (const auto& [name, bytes] : results) {
        const auto expected = bounds.expected().find(name);
        if (expected == bounds.expected().end())
            continue;  // a parameter that the loss leaves alone
        EXPECT_EQ(bounds.difference(
                      name, reference::unpack(expected->second.type, samples, bytes.data())),
                  "");
    }
}

// Training and inference of the network, on all instruction sets of this processor, with a whole
// batch and a part of one.
void expect_values(const std::string& body, const std::vector<std::string>& outputs) {
    const Network network = network_of(body);
    const Graph step = training_step(network);
    const BuiltLibraries built(network,
                               {.batch = kBatch, .infer_batches = {kBatch}, .target = "portable"});
    for (int variant = 1; variant <= built.train().info()->variant_count; variant++) {
        if (!can_run(built.train().info()->variants[variant - 1])) continue;
        for (int samples : {1, kBatch}) {
            SCOPED_TRACE(fmt::format("variant {}, {} samples", variant, samples));
            const reference::Sources sources = sources_of(step, samples);
            GuardedTrainer trainer(built.train(), 2, variant, Edge::back, sources);
            const RawResults trained = trainer.step(sources, samples, kRate);
            EXPECT_TRUE(trained.contains("output loss"));
            expect_results(step, sources, samples, trained);
            GuardedRunner runner(built.infer(), 2, variant, Edge::front, sources);
            const RawResults inferred = runner.run(sources, samples);
            for (const std::string& name : outputs)
                EXPECT_TRUE(inferred.contains("output " + name)) << name;
            expect_results(network.graph, sources, samples, inferred);
        }
    }
}

// r as a map of one cell and as features: the same bytes, other coordinates.
TEST(TwoTypes, AMapTimesItself) {
    expect_values(
        "  %image = input() : f32[n,5,1,1]\n"
        "  %w = parameter() {init=\"he\", fan_in=5} : f32[19,5,1,1]\n"
        "  %c = conv2d(%image, %w) : f32[n,19,1,1]\n"
        "  %r = tanh(%c) : f32[n,19,1,1]\n"
        "  %f = flatten(%r) : f32[n,19]\n"
        "  %y = multiply(%r, %f) : f32[n,19,1,1]\n"
        "  %loss = reduce(%y) {keep_samples=false, keep_channels=false, mean=true} : f32[]\n"
        "  output \"loss\" %loss\n"
        "  output \"y\" %y\n",
        {"y"});
}

// The same, and r leaves the kernel too.
TEST(TwoTypes, AMapTimesItselfThatIsAnOutput) {
    expect_values(
        "  %image = input() : f32[n,5,1,1]\n"
        "  %w = parameter() {init=\"he\", fan_in=5} : f32[16,5,1,1]\n"
        "  %c = conv2d(%image, %w) : f32[n,16,1,1]\n"
        "  %r = sigmoid(%c) : f32[n,16,1,1]\n"
        "  %f = flatten(%r) : f32[n,16]\n"
        "  %y = multiply(%r, %f) : f32[n,16,1,1]\n"
        "  %z = add(%y, %r) : f32[n,16,1,1]\n"
        "  %loss = reduce(%z) {keep_samples=false, keep_channels=false, mean=true} : f32[]\n"
        "  output \"loss\" %loss\n"
        "  output \"r\" %r\n"
        "  output \"z\" %z\n",
        {"r", "z"});
}

// Features as maps of one cell.
TEST(TwoTypes, FeaturesTimesThemselvesAsAMap) {
    expect_values(
        "  %x = input() : f32[n,7]\n"
        "  %w = parameter() {init=\"he\", fan_in=7} : f32[16,7]\n"
        "  %d = dense(%x, %w) : f32[n,16]\n"
        "  %r = tanh(%d) : f32[n,16]\n"
        "  %m = unflatten(%r) {shape=[16,1,1]} : f32[n,16,1,1]\n"
        "  %y = multiply(%m, %r) : f32[n,16,1,1]\n"
        "  %loss = reduce(%y) {keep_samples=false, keep_channels=false, mean=true} : f32[]\n"
        "  output \"loss\" %loss\n"
        "  output \"y\" %y\n",
        {"y"});
}

// Two results of one pass, of which the second reads an operand that ends there: its place must not
// be taken by the first.
TEST(TwoTypes, AnOperandThatAnotherResultReads) {
    expect_values(
        "  %x = input() : f32[n,4,9,9]\n"
        "  %w = parameter() {init=\"he\", fan_in=4} : f32[16,4,1,1]\n"
        "  %v = parameter() {init=\"he\", fan_in=4} : f32[16,4,1,1]\n"
        "  %a = conv2d(%x, %w) : f32[n,16,9,9]\n"
        "  %b = conv2d(%x, %v) : f32[n,16,9,9]\n"
        "  %p = average_pool(%a) {window=[3,3], stride=[1,1], padding=[1,1,1,1]} : f32[n,16,9,9]\n"
        "  %q = average_pool(%b) {window=[3,3], stride=[1,1], padding=[1,1,1,1]} : f32[n,16,9,9]\n"
        "  %r = sigmoid(%p) : f32[n,16,9,9]\n"
        "  %s = add(%r, %q) : f32[n,16,9,9]\n"
        "  %t = average_pool(%r) {window=[2,2], stride=[1,1]} : f32[n,16,8,8]\n"
        "  %u = average_pool(%s) {window=[2,2], stride=[1,1]} : f32[n,16,8,8]\n"
        "  %y = multiply(%t, %u) : f32[n,16,8,8]\n"
        "  %loss = reduce(%y) {keep_samples=false, keep_channels=false, mean=true} : f32[]\n"
        "  output \"loss\" %loss\n"
        "  output \"y\" %y\n",
        {"y"});
}

}  // namespace
}  // namespace emulsion::test
