// Whole plans: memory that stays sound, batches, tensors and the text.
#include "compiler/plan/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

TEST(Plan, NoCallReadsWhatAnotherHasOverwritten) {
    for (const char* name : {"mlp", "lenet", "resnet20"}) {
        for (bool training : {true, false}) {
            for (bool fuse : {true, false}) {
                SCOPED_TRACE(fmt::format("{} training={} fuse={}", name, training, fuse));
                std::vector<int> batches =
                    training ? std::vector<int>{16} : std::vector<int>{1, 3, 8};
                for (bool at_once : {false, true}) {
                    if (at_once && !training) continue;
                    Plan plan = plan_network(
                        golden_network(name),
                        {training, batches, fuse, {isa_avx2(), isa_avx512()}, at_once});
                    EXPECT_GT(call_count(plan), 0);
                }
            }
        }
    }
}

// In `fuse` form one kernel, else one after another: x is read again by the sum, after relu and
// scale.
const char* const kResidual = R"(graph net {
  %image = input() : f32[n,16]
  %x = tanh(%image) : f32[n,16]
  %a = relu(%x) : f32[n,16]
  %b = scale(%a) {factor=2} : f32[n,16]
  %y = add(%b, %x) : f32[n,16]
  output "y" %y
})";

TEST(Plan, AResidualKeepsItsMemory) {  // case X4
    Plan plan = plan_graph(parse_graph(kResidual, "net.emu"), {false, {4}, false, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(call_count(plan), 4);
    EXPECT_EQ(variant.activation_bytes, 2 * 4 * 64);  // x, and a and b in one place
    auto place = [&](const std::string& call) {
        return variant.buffers[static_cast<size_t>(call_named(variant, call).buffers.back())]
            .offset;
    };
    EXPECT_NE(place("a"), place("x"));
    EXPECT_EQ(place("b"), place("a"));  // a dies where b is made
}

TEST(Plan, AResidualOfPointwiseWorkIsOnePass) {
    Plan plan = plan_graph(parse_graph(kResidual, "net.emu"));
    EXPECT_EQ(plan.variants[0].batches[0].calls.size(), 1u);
    EXPECT_EQ(plan.variants[0].activation_bytes, 0);
}

TEST(Plan, AKernelThatReadsNeighboursNeverWritesInPlace) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %image = input() : f32[n,16,4,4]
  %x = tanh(%image) : f32[n,16,4,4]
  %w = parameter() : f32[16,16,3,3]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,4,4]
  %b = conv2d(%a, %w) {padding=[1,1,1,1]} : f32[n,16,4,4]
  output "y" %b
})",
                                       "net.emu"),
                           {false, {2}, false, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    EXPECT_EQ(call_count(plan), 3);
    EXPECT_EQ(variant.activation_bytes, 2 * 2 * 16 * 16 * 4);
    EXPECT_EQ(variant.activation_bytes, variant.largest_live_bytes);
}

// The shortcut is what the convolution reads too, so its neighbours are still needed.
TEST(Plan, AShortcutThatTheConvolutionReadsIsNotOverwritten) {
    Plan plan = plan_graph(parse_graph(R"(graph net {
  %image = input() : f32[n,16,4,4]
  %w = parameter() : f32[16,16,3,3]
  %x = conv2d(%image, %w) {padding=[1,1,1,1]} : f32[n,16,4,4]
  %a = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,4,4]
  %sum = add(%a, %x) : f32[n,16,4,4]
  %y = conv2d(%sum, %w) {padding=[1,1,1,1]} : f32[n,16,4,4]
  output "y" %y
})",
                                       "net.emu"),
                           {false, {2}, true, {isa_avx2()}});
    EXPECT_EQ(call_count(plan), 3);
    EXPECT_EQ(kinds_of(plan.variants[0], call_named(plan.variants[0], "a")), "conv2d add");
    EXPECT_EQ(plan.variants[0].activation_bytes, 2 * 2 * 16 * 16 * 4);  // x beside the sum
}

TEST(Plan, TensorsLieInOrderBehindTheStateHeader) {
    Plan plan = plan_network(golden_network("mlp"), {true, {8}, true, {isa_avx2()}});
    int64_t parameters = 0, gradients = 0, state = 64;
    for (const PlannedTensor& tensor : plan.tensors) {
        int64_t& total = tensor.memory == MemoryClass::parameters ? parameters : state;
        EXPECT_EQ(tensor.offset, total) << tensor.name;
        EXPECT_EQ(tensor.bytes, memory_bytes(tensor.type, 1)) << tensor.name;
        total += round_up(tensor.bytes, 64);
        if (!tensor.trained) continue;
        EXPECT_EQ(tensor.gradient_offset, gradients) << tensor.name;
        gradients += round_up(tensor.bytes, 64);
    }
    EXPECT_EQ(plan.parameter_bytes, parameters);
    EXPECT_EQ(plan.gradient_bytes, gradients);
    EXPECT_EQ(plan.state_bytes, state);
    // 784 x 800 and 800 x 10 (its outputs padded to 16) with their biases
    EXPECT_EQ(plan.parameter_bytes, 4 * (784 * 800 + 800 + 16 * 800 + 16));
}

TEST(Plan, InitialValuesFollowTheFans) {
    Network network = golden_network("mlp");
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,8]
  %a = parameter() {init="he", fan_in=8} : f32[4,8]
  %b = parameter() {init="glorot", fan_in=8, fan_out=4} : f32[4,8]
  %c = parameter() {init="lecun", fan_in=16} : f32[4,8]
  %d = parameter() {init="uniform", scale=0.3} : f32[4,8]
  %e = parameter() {init="constant", scale=2} : f32[4,8]
  %f = parameter() {init="ones"} : f32[4,8]
  %g = parameter() {init="normal", scale=0.02} : f32[4,8]
  %h = parameter() {init="he_uniform", fan_in=24} : f32[4,8]
  %i = parameter() {init="glorot_normal", fan_in=6, fan_out=2} : f32[4,8]
  %j = parameter() {init="lecun_uniform", fan_in=12} : f32[4,8]
  %ab = add(%a, %b) : f32[4,8]
  %cd = add(%c, %d) : f32[4,8]
  %ef = add(%e, %f) : f32[4,8]
  %abcd = add(%ab, %cd) : f32[4,8]
  %gh = add(%g, %h) : f32[4,8]
  %ij = add(%i, %j) : f32[4,8]
  %ghij = add(%gh, %ij) : f32[4,8]
  %efg = add(%ef, %ghij) : f32[4,8]
  %w = add(%abcd, %efg) : f32[4,8]
  %y = dense(%x, %w) : f32[n,4]
  output "y" %y
})",
                              "net.emu");
    std::string text;
    for (const PlannedTensor& tensor : plan_graph(graph).tensors) {
        text += fmt::format("{} {} {:.6f}\n", tensor.name, tensor.init, tensor.init_value);
    }
    EXPECT_EQ(text,
              "a normal 0.500000\nb uniform 0.707107\nc normal 0.250000\nd uniform 0.300000\n"
              "e fill 2.000000\nf fill 1.000000\ng normal 0.020000\nh uniform 0.500000\n"
              "i normal 0.500000\nj uniform 0.500000\n");
}

// What a parameter is repeated to for each sample is made by each call.
TEST(Plan, ValuesOfSamplesAreNotPrepared) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,24]
  %w = parameter() : f32[24]
  %half = scale(%w) {factor=0.5} : f32[24]
  %rows = expand(%half) {shape=[24]} : f32[n,24]
  %mixed = factor(%rows) {factors=[2,3,4]} : f32[n,24]{2,3,4}
  %map = unflatten(%mixed) {shape=[2,3,4]} : f32[n,2,3,4]
  %sums = reduce_axes(%map) {axes=[1,2]} : f32[n,2,1,1]
  %flat = flatten(%sums) : f32[n,2]
  output "y" %flat
  %z = relu(%x) : f32[n,24]
  output "z" %z
})",
                                    "net.emu");
    PlanOptions options;
    options.batches = {5};
    options.isas = {isa_avx2()};
    const Plan plan = make_plan(graph, make_library(), options);
    for (const PlannedCall& call : plan.variants[0].batches[0].calls) {
        for (int index : call.buffers) {
            const PlannedBuffer& buffer = plan.variants[0].buffers[static_cast<size_t>(index)];
            EXPECT_FALSE(buffer.type.batched && call.stage == Stage::prepare) << buffer.name;
        }
    }
}

TEST(Plan, SeveralInferenceBatches) {
    Plan plan = plan_network(golden_network("resnet20"), {false, {1, 8}, true, {isa_avx2()}});
    const VariantPlan& variant = plan.variants[0];
    ASSERT_EQ(variant.batches.size(), 2u);
    EXPECT_EQ(variant.batches[0].batch, 1);
    EXPECT_EQ(variant.batches[1].batch, 8);
    auto prepare_calls = [](const BatchPlan& batch) {
        return std::count_if(batch.calls.begin(), batch.calls.end(),
                             [](const PlannedCall& call) { return call.stage == Stage::prepare; });
    };
    EXPECT_GT(prepare_calls(variant.batches[0]), 0);
    EXPECT_EQ(prepare_calls(variant.batches[1]), 0);
    for (const BatchPlan& batch : variant.batches) {
        EXPECT_FALSE(batch.inputs.empty());
        EXPECT_FALSE(batch.outputs.empty());
        for (const PlannedCall& call : batch.calls) {
            EXPECT_EQ(variant.kernels[static_cast<size_t>(call.kernel)].group.batch, batch.batch)
                << call.name;
        }
    }
    // Folded weights are shared: the larger batch adds workspace, no prepared bytes.
    Plan single = plan_network(golden_network("resnet20"), {false, {8}, true, {isa_avx2()}});
    EXPECT_EQ(variant.prepared_bytes, single.variants[0].prepared_bytes);
    EXPECT_EQ(variant.activation_bytes, single.variants[0].activation_bytes);
}

// Folded weights that are only transformed further live in the workspace while `prepare` runs.
TEST(Plan, PreparedWeightsAreWhatRunsRead) {
    for (const char* name : {"lenet", "resnet20"}) {
        Plan plan = plan_network(golden_network(name), {false, {1, 8}, true, {isa_avx2()}});
        const VariantPlan& variant = plan.variants[0];
        std::set<std::string> read, prepared;
        int64_t bytes = 0, steps = 0;
        for (const BatchPlan& batch : variant.batches) {
            for (const PlannedCall& call : batch.calls) {
                if (call.stage == Stage::prepare) continue;
                for (const std::string& operand : operands_of(variant, call)) read.insert(operand);
            }
        }
        for (const PlannedCall& call : variant.batches[0].calls) {
            if (call.stage != Stage::prepare) continue;
            for (const std::string& result : results_of_call(variant, call)) {
                prepared.insert(result);
                steps += read.contains(result) ? 0 : 1;
            }
        }
        std::set<int64_t> offsets;
        for (const PlannedBuffer& buffer : variant.buffers) {
            if (buffer.memory != MemoryClass::prepared) continue;
            EXPECT_TRUE(prepared.contains(buffer.name) && read.contains(buffer.name))
                << buffer.name;
            if (offsets.insert(buffer.offset).second) bytes += round_up(buffer.bytes, 64);
        }
        EXPECT_EQ(variant.prepared_bytes, bytes);
        EXPECT_EQ(steps > 0, std::string(name) == "resnet20");  // which has batch norm to fold
    }
}

// What the text says besides tilings and recipes, which change with every look at a schedule.
std::string without_schedules(const std::string& text) {
    std::string plain =
        std::regex_replace(text, std::regex(R"((= k\d+) \S+ \[[^\]\n]*\] \()"), "$1 (");
    return std::regex_replace(plain, std::regex(R"( recipe=\S+ tiling=\[[^\]\n]*\])"), "");
}

TEST(Plan, TextOfLenet) {
    Network network = golden_network("lenet");
    std::string text = print(plan_network(network, {true, {64}, true, {isa_avx512()}})) +
                       print(plan_network(network, {false, {1, 16}, true, {isa_avx512()}}));
    expect_golden("golden/lenet.plan.txt", without_schedules(text));
}

// Concatenations in a chain: one map forward, one map backward.
TEST(Plan, TextOfADenseBlock) {
    const Network network =
        parse_network(read_test_file("plan/dense_block.emu"), "dense_block.emu");
    const std::string text = print(plan_network(network, {true, {4}, true, {isa_avx512()}}));
    expect_golden("golden/dense_block.plan.txt", without_schedules(text));
}

TEST(Plan, EveryTilingIsPrintedAndParsesBack) {
    Plan plan = plan_network(golden_network("lenet"), {true, {64}, true, {isa_avx512()}});
    std::string text = print(plan);
    for (const PlannedKernel& kernel : plan.variants[0].kernels) {
        EXPECT_NE(text.find("recipe=" + kernel.recipe), std::string::npos);
        EXPECT_EQ(parse_tiling(to_string(kernel.tiling)), kernel.tiling);
    }
    EXPECT_EQ(print(plan_network(golden_network("lenet"), {true, {64}, true, {isa_avx512()}})),
              text);
}

// The forms of Winograd convolution differ in accuracy, and a kernel states its own.
TEST(Plan, StatesTheErrorOfEachForm) {
    Network network;
    network.name = "net";
    network.graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %w = parameter() : f32[16,16,3,3]
  %v = parameter() : f32[16,16,3,3]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,8,8]
  %z = conv2d(%y, %v) : f32[n,16,6,6]
  output "z" %z
})",
                                "net.emu");
    const std::string text = print(plan_network(network, {false, {64}, true, {isa_avx2()}}));
    for (auto [form, bound] :
         {std::pair{"tile=4, padding", "2e-05"}, {"tile=2, padding", "2e-06"}}) {
        const size_t at = text.find(form);
        ASSERT_NE(at, std::string::npos) << text;
        const std::string line = text.substr(at, text.find('\n', at) - at);
        EXPECT_NE(line.find(fmt::format(
                      "# differs from double precision by at most {} of the largest value", bound)),
                  std::string::npos)
            << line;
    }
}

// Two biases that are added to one sum have one gradient, and each wants it in its own place.
TEST(Plan, EqualGradientsOfTwoParameters) {
    Network network = parse_network(R"(network net
optimizer sgd {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,16,4,4]
  %a.w = parameter() : f32[16,16,1,1]
  %a.b = parameter() : f32[16]
  %b.w = parameter() : f32[16,16,1,1]
  %b.b = parameter() : f32[16]
  %a = conv2d(%x, %a.w) : f32[n,16,4,4]
  %a.biased = add(%a, %a.b) : f32[n,16,4,4]
  %b = conv2d(%x, %b.w) : f32[n,16,4,4]
  %b.biased = add(%b, %b.b) : f32[n,16,4,4]
  %sum = add(%a.biased, %b.biased) : f32[n,16,4,4]
  %y = tanh(%sum) : f32[n,16,4,4]
  %loss = reduce(%y) {mean=true} : f32[]
  output "loss" %loss
})",
                                    "net.emu");
    Plan plan = plan_network(network, {true, {4}, true, {isa_avx2()}});
    std::vector<int64_t> written;
    for (const PlannedBuffer& buffer : plan.variants[0].buffers) {
        if (buffer.memory == MemoryClass::gradients) written.push_back(buffer.offset);
    }
    std::sort(written.begin(), written.end());
    written.erase(std::unique(written.begin(), written.end()), written.end());
    EXPECT_EQ(written.size(), 4u);
}

// The gradient of a mean is a constant that the convolution's gradients read through a view.
TEST(Plan, ConstantsBehindAViewAreStored) {
    const Network network = parse_network(R"(network net
graph net {
  %x = input() : f32[n,3,4,4]
  %w = parameter() : f32[5,3,1,1]
  %y = conv2d(%x, %w) : f32[n,5,4,4]
  %flat = flatten(%y) : f32[n,80]{5,4,4}
  %loss = reduce(%flat) {mean=true} : f32[]
  output "loss" %loss
})",
                                          "net.emu");
    const Plan plan = plan_network(network, {true, {4}, true, {isa_avx2()}});
    EXPECT_GE(call_count(plan), 3);
}

TEST(Plan, OneValueUnderTwoNames) {
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16]
  %y = tanh(%x) : f32[n,16]
  output "one" %y
  output "two" %y
})",
                              "net.emu");
    Network network;
    network.name = "net";
    network.graph = graph;
    Plan plan = plan_network(network, {false, {2}, true, {isa_avx2()}});
    ASSERT_EQ(plan.outputs.size(), 2u);
    EXPECT_EQ(plan.variants[0].batches[0].outputs.size(), 2u);
}

// %r does not need %a, and %s does: were %r written over %a, %s might read it too late.
TEST(Plan, AResultLiesOverAnOperandOnlyWhereItNeedsIt) {
    const Plan plan = plan_graph(parse_graph(R"(graph net {
  %x = input() : f32[n,16]
  %w = parameter() : f32[16,16]
  %d = dense(%x, %w) : f32[n,16]
  %a = tanh(%d) : f32[n,16]
  %e = dense(%a, %w) : f32[n,16]
  %r = sigmoid(%x) : f32[n,16]
  %s = add(%r, %a) : f32[n,16]
  %p = dense(%r, %w) : f32[n,16]
  %q = dense(%s, %w) : f32[n,16]
  %y = add(%p, %q) : f32[n,16]
  output "e" %e
  output "y" %y
})",
                                             "net.emu"),
                                 {.batches = {4}});
    const VariantPlan& variant = plan.variants[0];
    ASSERT_EQ(results_of_call(variant, call_named(variant, "s")),
              (std::vector<std::string>{"r", "s"}));
    std::map<std::string, int64_t> places;
    for (const PlannedBuffer& buffer : variant.buffers) places[buffer.name] = buffer.offset;
    EXPECT_NE(places.at("r"), places.at("a"));
    EXPECT_EQ(places.at("s"), places.at("a"));
}

// Sgd and filter transforms are one kernel for all batches.
TEST(Plan, KernelsWithoutSamplesDoNotKnowTheBatch) {
    std::set<std::string> small, large;
    for (auto [batch, kernels] : {std::pair(8, &small), std::pair(32, &large)}) {
        const Plan plan = plan_network(golden_network("lenet"), {true, {batch}});
        for (const PlannedKernel& kernel : plan.variants[0].kernels) {
            if (!kernel.group.has_samples()) kernels->insert(kernel.identity(isa_avx2()));
        }
    }
    EXPECT_EQ(small, large);
    EXPECT_GE(small.size(), 4u);
}

// The calls of a batch as kernels, whatever else the library holds.
std::vector<std::string> kernels_of(const Plan& plan, int batch) {
    const VariantPlan& variant = plan.variants[0];
    std::vector<std::string> lines;
    for (const BatchPlan& calls : variant.batches) {
        for (const PlannedCall& call : calls.calls) {
            if (calls.batch != batch || call.stage == Stage::prepare) continue;
            lines.push_back(
                call.name + " " +
                variant.kernels[static_cast<size_t>(call.kernel)].identity(variant.isa));
        }
    }
    return lines;
}

Plan inference_plan(const Network& network, const std::vector<int>& batches) {
    static const RecipeLibrary library = make_library();
    std::vector<Graph> graphs;
    for (int batch : batches) graphs.push_back(inference_graph(network, false, batch));
    PlanOptions options;
    options.batches = batches;
    options.isas = {isa_avx512()};
    return make_plan(graphs, library, options);
}

// One sample of 512 channels at 7x7 runs direct, 16 by Winograd, whether or not both are built.
TEST(Plan, ABatchDoesNotDependOnTheOthers) {
    for (const char* name : {"resnet18", "lenet", "resnet20"}) {
        const Network network = golden_network(name);
        const Plan one = inference_plan(network, {1}), both = inference_plan(network, {1, 16});
        EXPECT_EQ(kernels_of(both, 1), kernels_of(one, 1)) << name;
        EXPECT_EQ(kernels_of(both, 16), kernels_of(inference_plan(network, {16}), 16)) << name;
    }
    const Network network = golden_network("resnet18");
    const Plan both = inference_plan(network, {1, 16});
    const auto recipe_of = [&](size_t batch, const std::string& name) {
        for (const PlannedCall& call : both.variants[0].batches[batch].calls) {
            if (call.name == name)
                return both.variants[0].kernels[static_cast<size_t>(call.kernel)].recipe;
        }
        return std::string();
    };
    EXPECT_EQ(recipe_of(0, "conv20.normalized"), "direct");
    EXPECT_EQ(recipe_of(1, "conv20.normalized"), "winograd");
    // What both prepare is there once.
    const Plan sixteen = inference_plan(network, {16}), one = inference_plan(network, {1});
    EXPECT_LT(both.variants[0].prepared_bytes,
              one.variants[0].prepared_bytes + sixteen.variants[0].prepared_bytes);
    std::set<int64_t> written;
    for (const PlannedCall& call : both.variants[0].batches[0].calls) {
        const PlannedBuffer& result =
            both.variants[0].buffers[static_cast<size_t>(call.buffers.back())];
        if (result.memory != MemoryClass::prepared || !call.name.ends_with(".transformed"))
            continue;
        EXPECT_TRUE(written.insert(result.offset).second) << call.name;
    }
    EXPECT_GT(written.size(), 10u);
}

}  // namespace
}  // namespace emulsion::test
