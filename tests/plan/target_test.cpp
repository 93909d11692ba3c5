// Plans for a family that is not x86: its own judge, its own alignment.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// Two made-up processors, whose memory is accessed in pieces of 256 bytes.
struct Made {
    TargetFamily family{256, {&wide, &narrow}};
    Isa wide{"wide", 16, 32, true, &family};
    Isa narrow{"narrow", 8, 16, true, &family};
};

// Runs pointwise groups on the made-up processors alone, at no cost on the wide one.
class MadeRecipe : public Recipe {
  public:
    std::string_view name() const override { return "made"; }
    bool applies(const Group& group, const Isa& isa) const override {
        return group.anchor < 0 && (isa.name == "wide" || isa.name == "narrow");
    }
    std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {Tiling{}}; }
    double cost(const Group&, const Tiling&, const Isa& isa, const Machine&) const override {
        return isa.name == "wide" ? 0 : 1e9;
    }
    std::vector<Halide::Func> build(KernelContext&, const Tiling&) const override { return {}; }
};

RecipeLibrary library_with_made_recipe() {
    RecipeLibrary library = make_library();
    library.push_back(std::make_unique<MadeRecipe>());
    return library;
}

TEST(Target, AFamilyHasAJudgeOfItsOwn) {
    const Made made;
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16,4,4]
  %y = relu(%x) : f32[n,16,4,4]
  output "y" %y
})",
                                    "net.emu");
    PlanOptions options;
    options.isas = {made.narrow, made.wide};
    for (const VariantPlan& variant :
         make_plan(graph, library_with_made_recipe(), options).variants)
        EXPECT_EQ(variant.kernels[0].recipe, "made") << variant.isa.name;
    options.isas = {isa_avx2()};
    EXPECT_NE(make_plan(graph, library_with_made_recipe(), options).variants[0].kernels[0].recipe,
              "made");
    options.isas = {isa_avx2(), made.wide};
    EXPECT_DEATH(make_plan(graph, make_library(), options), "wide and avx2 are of two families");
}

// make_plan proves that nothing overlaps (plan/verify_plan.h).
TEST(Target, PlansAreAlignedAsTheFamilyAsks) {
    const Made made;
    for (const bool training : {true, false}) {
        const Plan plan =
            plan_network(golden_network("resnet20"), {training, {3}, true, {made.wide}});
        int odd = 0;  // with another alignment, some would lie elsewhere
        const auto expect_aligned = [&](const std::string& name, int64_t offset, int64_t bytes) {
            EXPECT_EQ(offset % 256, 0) << name;
            odd += bytes % 256 != 0 ? 1 : 0;
        };
        for (const PlannedTensor& tensor : plan.tensors) {
            expect_aligned(tensor.name, tensor.offset, tensor.bytes);
            expect_aligned(tensor.name, tensor.gradient_offset, tensor.bytes);
        }
        for (const PlannedBuffer& buffer : plan.variants[0].buffers) {
            if (buffer.memory == MemoryClass::input || buffer.memory == MemoryClass::output)
                continue;
            expect_aligned(buffer.name, buffer.offset, buffer.bytes);
        }
        EXPECT_GT(odd, 0);
    }
}

// Processors and devices have graphs, kernels and buffers of their own, and one place for each
// tensor: that of the largest alignment. Without devices nothing is spent on them.
TEST(Target, TheFamiliesOfALibraryShareTensors) {
    const Network network = golden_network("resnet20");
    for (const bool training : {true, false}) {
        BuildOptions options;
        options.batch = 3;
        options.infer_batches = {1, 3};
        options.target = "portable";
        const Plan alone = plan_of(network, make_library(), options, training);
        options.devices = {"opencl"};
        Plan plan = plan_of(network, make_library(), options, training);
        std::vector<std::string> names;
        for (const VariantPlan& variant : plan.variants) names.push_back(variant.isa.name);
        EXPECT_EQ(names, (std::vector<std::string>{"x86-64", "avx2", "avx512", "opencl"}));
        EXPECT_EQ(plan.variants.back().batches.size(), training ? 1u : 2u);
        int narrow = 0;
        for (size_t i = 0; i < plan.tensors.size(); i++) {
            EXPECT_EQ(plan.tensors[i].offset % 512, 0) << plan.tensors[i].name;
            EXPECT_EQ(plan.tensors[i].gradient_offset % 512, 0) << plan.tensors[i].name;
            EXPECT_EQ(alone.tensors[i].name, plan.tensors[i].name);
            narrow += alone.tensors[i].offset % 512 != 0 ? 1 : 0;
        }
        EXPECT_GT(narrow, 0);
        for (const PlannedKernel& kernel : plan.variants.back().kernels)
            EXPECT_EQ(kernel.relative_error, 0) << kernel.recipe;
        EXPECT_NE(print(plan).find("  variant opencl: workspace "), std::string::npos);
        EXPECT_DEATH(add_variants(plan, alone), "have different tensors or ports");
    }
}

}  // namespace
}  // namespace emulsion::test
