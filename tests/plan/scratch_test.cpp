// What kernels keep from loop to loop: placed like a tensor that lives during one call.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "compiler/recipe/kernel_context.h"
#include "compiler/support/diagnostic.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"

namespace emulsion::test {
namespace {

// Runs everything, with two pieces of scratch.
class Scribbler : public Recipe {
  public:
    explicit Scribbler(int64_t extent) : extent_(extent) {}
    std::string_view name() const override { return "scribbler"; }
    bool applies(const Group&, const Isa&) const override { return true; }
    std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {Tiling{}}; }
    double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
        return 0;
    }
    std::vector<Scratch> scratch(const Group&, const Tiling&) const override {
        return {{"sums", {3, 5}}, {"parts", {16, extent_}}};
    }
    std::vector<Halide::Func> build(KernelContext&, const Tiling&) const override { return {}; }

  private:
    int64_t extent_;
};

Plan plan_with(int64_t extent) {
    RecipeLibrary library;
    library.push_back(std::make_unique<Scribbler>(extent));
    PlanOptions options;
    options.isas = {isa_avx2()};
    options.fuse = false;
    return make_plan(parse_graph(R"(graph net {
  %x = input() : f32[n,16,4,4]
  %a = tanh(%x) : f32[n,16,4,4]
  %b = tanh(%a) : f32[n,16,4,4]
  %y = tanh(%b) : f32[n,16,4,4]
  output "y" %y
})",
                                 "net.emu"),
                     library, options);
}

TEST(Scratch, LivesDuringItsCallAlone) {
    const VariantPlan variant = plan_with(1000).variants[0];
    const int64_t map = 16 * 4 * 4 * 4, sums = 64, parts = 16 * 1000 * 4;
    EXPECT_EQ(variant.activation_bytes, 2 * map + sums + parts);  // in the second call
    EXPECT_EQ(variant.largest_live_bytes, variant.activation_bytes);
    for (const PlannedCall& call : variant.batches[0].calls) {
        ASSERT_EQ(call.scratch.size(), 2u);
        const PlannedBuffer& b = variant.buffers[static_cast<size_t>(call.scratch[1])];
        EXPECT_EQ(b.name, call.name + ".parts");
        EXPECT_EQ(b.memory, MemoryClass::workspace);
        EXPECT_EQ(b.bytes, parts);
        EXPECT_EQ(b.extents, (std::vector<int64_t>{16, 1000}));
    }
    EXPECT_NE(print(plan_with(1000)).find("a.parts scratch[16,1000] workspace at "),
              std::string::npos);
}

TEST(Scratch, BeyondTheLimitIsRefusedByName) {
    try {
        plan_with(int64_t{1} << 30);
        FAIL() << "16 * 2^30 elements";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("'a.parts'"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace emulsion::test
