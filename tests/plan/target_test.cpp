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

}  // namespace
}  // namespace emulsion::test
