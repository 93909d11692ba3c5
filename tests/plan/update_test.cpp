// Updates apart from the gradients, and at once behind each of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/graph/text.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

Plan plan_with(const Network& network, int batch, bool at_once) {
    return plan_network(network, {true, {batch}, true, {isa_avx2()}, at_once});
}

bool is_update(const PlannedCall& call) {
    return call.name.ends_with(".sgd") || call.name.ends_with(".adam");
}

TEST(Updates, ApartAreAStageOfTheirOwn) {
    Plan plan = plan_with(golden_network("lenet"), 64, false);
    EXPECT_EQ(plan.gradient_bytes, plan.parameter_bytes);
    for (const PlannedCall& call : plan.variants[0].batches[0].calls) {
        EXPECT_EQ(call.stage == Stage::update, is_update(call)) << call.name;
    }
}

// With all but the head frozen the step is the network's inference and the head's own gradient: no
// backward kernel, no gradient and no momentum of anything else.
TEST(Updates, AFrozenBodyCostsNothing) {
    const std::string trained = ", trained=true", frozen = ", trained=false";
    std::istringstream lines(print(golden_network("resnet20")));
    std::string text;
    for (std::string line; std::getline(lines, line);) {
        const size_t at = line.find(trained);
        const bool is_head = line.find("%dense1.") != line.npos;
        if (at != line.npos && !is_head) line.replace(at, trained.size(), frozen);
        text += line + "\n";
    }
    const Plan whole = plan_with(golden_network("resnet20"), 128, false);
    const Plan plan = plan_with(parse_network(text, "frozen.emu"), 128, false);
    int64_t head_bytes = 0;
    for (const PlannedTensor& tensor : plan.tensors) {
        EXPECT_EQ(tensor.trained, tensor.name == "dense1.w" || tensor.name == "dense1.b")
            << tensor.name;
        if (tensor.trained) head_bytes += tensor.bytes;
    }
    EXPECT_EQ(plan.gradient_bytes, head_bytes);
    EXPECT_EQ(plan.parameter_bytes, whole.parameter_bytes);
    EXPECT_EQ(whole.state_bytes - plan.state_bytes, whole.gradient_bytes - plan.gradient_bytes)
        << "the momentum of the frozen ones";
    EXPECT_LT(plan.variants[0].activation_bytes, whole.variants[0].activation_bytes / 2);
    for (const PlannedCall& call : plan.variants[0].batches[0].calls) {
        const bool is_heads = call.name.starts_with("dense1") || call.name.starts_with("classify1");
        EXPECT_TRUE(call.stage == Stage::forward || is_heads) << call.name;
    }
}

TEST(Updates, AtOnceLeaveNoGradients) {
    for (const auto& [name, batch] : kExampleNetworks) {
        if (is_left_out(name)) continue;
        SCOPED_TRACE(name);
        Plan apart = plan_with(golden_network(name), batch, false);
        Plan at_once = plan_with(golden_network(name), batch, true);
        EXPECT_EQ(at_once.gradient_bytes, 0);
        for (const PlannedTensor& tensor : at_once.tensors) {
            EXPECT_EQ(tensor.gradient_offset, 0) << tensor.name;
        }
        const VariantPlan &before = apart.variants[0], &after = at_once.variants[0];
        EXPECT_EQ(after.batches[0].calls.size(), before.batches[0].calls.size());
        EXPECT_EQ(after.kernels.size(), before.kernels.size());
        // One matrix is most of these two; elsewhere few gradients live at a time.
        const bool is_one_matrix = std::string(name) == "mlp" || std::string(name) == "vgg16";
        int64_t most = apart.gradient_bytes / (is_one_matrix ? 1 : 2);
        EXPECT_LT(after.activation_bytes, before.activation_bytes + most);
        EXPECT_LE(static_cast<double>(after.activation_bytes),
                  1.05 * static_cast<double>(after.largest_live_bytes));
        for (const PlannedCall& call : after.batches[0].calls) {
            EXPECT_NE(call.stage, Stage::update) << call.name;
        }
    }
}

// The call in front of an update is what it waited for: it writes the gradient, or reads the
// parameter that the update overwrites, or is an update that waited for the same.
TEST(Updates, AtOnceStandAsEarlyAsTheyCan) {
    Plan plan = plan_with(golden_network("resnet18_cifar"), 64, true);
    const VariantPlan& variant = plan.variants[0];
    const std::vector<PlannedCall>& calls = variant.batches[0].calls;
    int updates = 0;
    for (size_t i = 0; i < calls.size(); i++) {
        if (!is_update(calls[i])) continue;
        updates++;
        size_t before = i - 1;
        while (is_update(calls[before])) before--;
        std::vector<std::string> touched = operands_of(variant, calls[before]);
        for (const std::string& result : results_of_call(variant, calls[before]))
            touched.push_back(result);
        std::vector<std::string> awaited = operands_of(variant, calls[i]);
        EXPECT_TRUE(std::any_of(touched.begin(), touched.end(),
                                [&](const std::string& name) {
                                    return std::find(awaited.begin(), awaited.end(), name) !=
                                           awaited.end();
                                }))
            << calls[i].name << " stands behind " << calls[before].name;
    }
    EXPECT_EQ(updates, 62);  // 20 filters, 20 batch norms with two tensors, a dense layer with two
}

TEST(Updates, OfAdamAtOnce) {
    Network network = golden_network("mlp");
    network.optimizer = OptimizerSpec();
    network.optimizer.kind = "adam";
    Plan plan = plan_with(network, 32, true);
    const std::vector<PlannedCall>& calls = plan.variants[0].batches[0].calls;
    EXPECT_EQ(std::count_if(calls.begin(), calls.end(), is_update), 4);
    for (const PlannedCall& call : calls) EXPECT_NE(call.stage, Stage::update) << call.name;
    // 1 - beta^t is state, so it moves only where the loss is finite.
    EXPECT_EQ(call_named(plan.variants[0], "adam.correction1.next").stage, Stage::backward);
}

// The running mean of a sum over positions: a recipe that may not write over what its epilogue
// reads leaves the update to a pass.
TEST(Updates, LieOverWhatTheyReadOnlyByRecipesThatAllowIt) {
    class Careless : public Recipe {
      public:
        std::string_view name() const override { return "careless"; }
        bool applies(const Group& group, const Isa&) const override { return group.anchor >= 0; }
        std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {Tiling{}}; }
        double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
            return 1e-9;
        }
        std::vector<Halide::Func> build(KernelContext&, const Tiling&) const override { return {}; }
    };
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,8,8]
  %m = state() : f32[16]
  %s = reduce(%x) {keep_channels=true, mean=true} : f32[16]
  %next = add(%m, %s) : f32[16]
  %y = reduce(%x) : f32[]
  output "loss" %y
  update %m <- %next
})",
                                    "net.emu");
    const Plan joined = plan_graph(graph, {.training = true, .batches = {2}});
    EXPECT_EQ(kinds_of(joined.variants[0], call_named(joined.variants[0], "s")), "reduce add");
    RecipeLibrary library = make_library();
    library.insert(library.begin(), std::make_unique<Careless>());
    PlanOptions options;
    options.training = true;
    options.batches = {2};
    options.isas = {isa_avx2()};
    const Plan apart = make_plan(graph, library, options);
    EXPECT_EQ(kinds_of(apart.variants[0], call_named(apart.variants[0], "s")), "reduce");
    EXPECT_EQ(kinds_of(apart.variants[0], call_named(apart.variants[0], "next")), "add");
    EXPECT_NE(print(apart).find("next stays apart from s: careless does not update what it reads"),
              std::string::npos);
}

TEST(Updates, TheTextNamesTheForm) {
    Plan plan = plan_with(golden_network("mlp"), 8, true);
    EXPECT_EQ(print(plan).find("plan mlp training update=at-once parameters "), 0u);
    EXPECT_EQ(print(plan).find("gradient at"), std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
