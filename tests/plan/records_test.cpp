// Records in the plan: a source that says what a test tells it.
#include "compiler/recipe/records.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

using Texts = std::map<std::string, std::string>;

// Records of the groups around `dense` by instruction set, of 8 threads.
class DenseRecords : public RecordSource {
  public:
    explicit DenseRecords(Texts tilings, std::string recipe = "matmul", int version = 0)
        : tilings_(std::move(tilings)), recipe_(std::move(recipe)), version_(version) {}

    std::optional<Record> find(const Group& group, const Isa& isa, int threads) const override {
        const auto found = tilings_.find(isa.name);
        if (found == tilings_.end() || group.anchor < 0 || threads != 8) return std::nullopt;
        if (group.anchor_node().op->kind() != "dense") return std::nullopt;
        return Record{recipe_, version_ > 0 ? version_ : version_of(recipe_),
                      parse_tiling(found->second), isa.name + ".txt:7"};
    }

  private:
    static int version_of(const std::string& name) {
        for (const auto& recipe : make_library()) {
            if (recipe->name() == name) return recipe->version();
        }
        return 1;
    }

    Texts tilings_;
    std::string recipe_;
    int version_;
};

constexpr const char* kDense = R"(graph net {
  %x = input() : f32[n,64]
  %w = parameter() : f32[64,64]
  %y = dense(%x, %w) : f32[n,64]
  %z = relu(%y) : f32[n,64]
  output "z" %z
})";

Plan plan_with(const RecordSource* records, int threads = 8) {
    static const RecipeLibrary library = make_library();
    PlanOptions options;
    options.isas = {isa_baseline(), isa_avx2(), isa_avx512()};
    options.records = records;
    options.threads = threads;
    return make_plan(parse_graph(kDense, "net.emu"), library, options);
}

// "matmul [kw=16 tn=1 chains=8] by ORIGIN" of the variant.
std::string kernel_line(const Plan& plan, const std::string& isa) {
    for (const VariantPlan& variant : plan.variants) {
        if (variant.isa.name != isa) continue;
        const PlannedKernel& kernel = variant.kernels.at(0);
        return fmt::format("{} [{}]{}{}", kernel.recipe, to_string(kernel.tiling),
                           kernel.record.empty() ? "" : " by ", kernel.record);
    }
    return "";
}

std::vector<std::string> record_notes(const Plan& plan, const std::string& isa) {
    std::vector<std::string> notes;
    for (const VariantPlan& variant : plan.variants) {
        if (variant.isa.name != isa) continue;
        std::copy_if(variant.notes.begin(), variant.notes.end(), std::back_inserter(notes),
                     [](const std::string& note) { return note.find("record") != note.npos; });
    }
    return notes;
}

using Notes = std::vector<std::string>;

TEST(Records, DecideTheTilingAndAreNamed) {
    const DenseRecords records(Texts{{"avx512", "kw=32 tn=1 chains=8"}});
    const Plan plan = plan_with(&records);
    EXPECT_EQ(kernel_line(plan, "avx512"), "matmul [kw=32 tn=1 chains=8] by avx512.txt:7");
    EXPECT_EQ(record_notes(plan, "avx512"), Notes());
    EXPECT_NE(print(plan).find("tiling=[kw=32 tn=1 chains=8] isa=avx512  # by the record "
                               "avx512.txt:7\n"),
              std::string::npos)
        << print(plan);
    EXPECT_NE(plan.variants[2].kernels[0].identity(isa_avx512()),
              plan_with(nullptr).variants[2].kernels[0].identity(isa_avx512()));
}

TEST(Records, WithoutAnyThePlanIsTheSame) {
    const DenseRecords none({});
    EXPECT_EQ(print(plan_with(&none)), print(plan_with(nullptr)));
    const DenseRecords records(Texts{{"avx512", "kw=32 tn=1 chains=8"}});
    EXPECT_EQ(kernel_line(plan_with(&records, 2), "avx512"),
              kernel_line(plan_with(nullptr, 2), "avx512"));
}

// 2 chains in place of 8 is another sum: all variants take it, each with a tiling of its own.
TEST(Records, OrdersOfSumsHoldForAllInstructionSets) {
    for (const char* decisive : {"avx512", "avx2"}) {
        const DenseRecords records(Texts{{decisive, "kw=16 tn=1 chains=2"}});
        const Plan plan = plan_with(&records);
        for (const VariantPlan& variant : plan.variants) {
            EXPECT_EQ(variant.kernels[0].recipe, "matmul");
            EXPECT_EQ(variant.kernels[0].tiling.at("chains"), 2) << variant.isa.name;
            EXPECT_EQ(variant.kernels[0].record, fmt::format("{}.txt:7", decisive));
            EXPECT_EQ(record_notes(plan, variant.isa.name), Notes());
        }
    }
}

TEST(Records, OfNarrowInstructionSetsSayTheRestAlone) {
    const DenseRecords agreeing(
        Texts{{"avx512", "kw=16 tn=1 chains=2"}, {"avx2", "kw=32 tn=1 chains=2"}});
    EXPECT_EQ(kernel_line(plan_with(&agreeing), "avx2"),
              "matmul [kw=32 tn=1 chains=2] by avx2.txt:7");
    const DenseRecords other(
        Texts{{"avx512", "kw=16 tn=1 chains=2"}, {"avx2", "kw=32 tn=1 chains=1"}});
    const Plan plan = plan_with(&other);
    EXPECT_EQ(plan.variants[1].kernels[0].tiling.at("chains"), 2);
    EXPECT_EQ(plan.variants[1].kernels[0].record, "avx512.txt:7");
    EXPECT_EQ(record_notes(plan, "avx2"),
              Notes({"y: the record avx2.txt:7 is left out: all instruction sets follow "
                     "avx512.txt:7: matmul chains=2"}));
}

TEST(Records, ThatAreNotLegalAreLeftOutWithTheReason) {
    const struct {
        DenseRecords records;
        const char* reason;
    } cases[] = {
        {DenseRecords(Texts{{"avx512", "kw=24 tn=1 chains=8"}}),
         "the tiling 'kw=24 tn=1 chains=8' of matmul: kw=24, but it is one of "},
        {DenseRecords(Texts{{"avx512", "kw=16 tn=1"}}),
         "the tiling 'kw=16 tn=1' of matmul: 'chains' is missing at place 3"},
        {DenseRecords(Texts{{"avx512", "kw=64 tn=1 chains=8"}}),
         "the tiling 'kw=64 tn=1 chains=8' of matmul: "},
        {DenseRecords(Texts{{"avx512", "kw=16 tn=1 chains=8"}}, "matmul", 99),
         "it was made for version 99 of matmul, which is at "},
        {DenseRecords(Texts{{"avx512", "kw=16"}}, "gemm"), "there is no recipe 'gemm'"},
        {DenseRecords(Texts{{"avx512", "kw=16"}}, "winograd"),
         "winograd may not run this group on avx512"},
    };
    for (const auto& c : cases) {
        const Plan plan = plan_with(&c.records);
        const Notes notes = record_notes(plan, "avx512");
        ASSERT_EQ(notes.size(), 1u) << c.reason;
        const std::string start = "y: the record avx512.txt:7 is left out: ";
        EXPECT_EQ(notes[0].substr(0, start.size() + std::string(c.reason).size()),
                  start + c.reason);
        for (const char* isa : {"avx512", "avx2", "x86-64"})
            EXPECT_EQ(kernel_line(plan, isa), kernel_line(plan_with(nullptr), isa)) << c.reason;
    }
}

// Runs everything, in strips of as many samples as a register has lanes.
class Strips : public Recipe {
  public:
    std::string_view name() const override { return "strips"; }
    bool applies(const Group&, const Isa&) const override { return true; }
    TilingSpace space(const Group&, const Isa& isa) const override {
        return {{"strip", {4, isa.lanes}, 0, -1, true}};
    }
    std::vector<Tiling> tilings(const Group&, const Isa&) const override {
        return {parse_tiling("strip=4")};
    }
    double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
        return 1;
    }
    std::vector<Halide::Func> build(KernelContext&, const Tiling&) const override { return {}; }
};

TEST(Records, ThatTheFamilyCannotFollowAreLeftOut) {
    RecipeLibrary library;
    library.push_back(std::make_unique<Strips>());
    const DenseRecords wide(Texts{{"avx512", "strip=16"}}, "strips"),
        narrow(Texts{{"avx512", "strip=16"}, {"avx2", "strip=4"}}, "strips");
    PlanOptions options;
    options.isas = {isa_avx512()};
    options.records = &wide;
    const Plan plan = make_plan(parse_graph(kDense, "net.emu"), library, options);
    EXPECT_EQ(kernel_line(plan, "avx512"), "strips [strip=4]");
    EXPECT_EQ(record_notes(plan, "avx512"),
              Notes({"y: the record avx512.txt:7 is left out: strips has no tiling with strip=16 "
                     "on avx2"}));
    options.records = &narrow;
    EXPECT_EQ(kernel_line(make_plan(parse_graph(kDense, "net.emu"), library, options), "avx512"),
              "strips [strip=4] by avx2.txt:7");
}

// An update stores its results where its operands lie.
TEST(Records, ThatDoNotWriteOverOperandsAreLeftOutOfPasses) {
    class Everywhere : public RecordSource {
        std::optional<Record> find(const Group& group, const Isa&, int) const override {
            if (group.anchor >= 0) return std::nullopt;
            return Record{"default", 1, {}, "slow.txt:1"};
        }
    };
    const Everywhere records;
    const RecipeLibrary library = make_library();
    PlanOptions options;
    options.training = true;
    options.batches = {16};
    options.isas = {isa_avx2()};
    options.records = &records;
    const Plan plan = make_plan(training_graph(golden_network("mlp")), library, options);
    const Notes notes = record_notes(plan, "avx2");
    ASSERT_FALSE(notes.empty());
    EXPECT_NE(notes[0].find("default does not write over its operands"), std::string::npos);
    for (const PlannedKernel& kernel : plan.variants[0].kernels) EXPECT_EQ(kernel.record, "");
}

// Groups are those of the cost model, whatever the records.
TEST(Records, DoNotChangeWhichGroupsThereAre) {
    class Last : public RecordSource {
        std::optional<Record> find(const Group&, const Isa&, int) const override {
            return Record{"default", 1, {}, "slow.txt:1"};
        }
    };
    const Last records;
    const RecipeLibrary library = make_library();
    const Graph graph = training_graph(golden_network("resnet20"));
    PlanOptions options;
    options.training = true;
    options.batches = {16};
    options.isas = {isa_avx2()};
    const Plan before = make_plan(graph, library, options);
    options.records = &records;
    const Plan after = make_plan(graph, library, options);
    const std::vector<PlannedKernel>&kernels = before.variants[0].kernels,
          &recorded = after.variants[0].kernels;
    ASSERT_EQ(kernels.size(), recorded.size());
    for (size_t i = 0; i < kernels.size(); i++) {
        EXPECT_EQ(kernels[i].group.signature(), recorded[i].group.signature());
        EXPECT_EQ(recorded[i].record, recorded[i].recipe == "default" ? "slow.txt:1" : "");
    }
    EXPECT_NE(kernels[0].recipe, "default");
    EXPECT_EQ(recorded[0].recipe, "default");
    EXPECT_EQ(slow_kernels(after), Notes());
}

TEST(Records, ReachTheStagesOfABuild) {
    const DenseRecords records(Texts{{"avx512", "kw=32 tn=1 chains=8"}});
    BuildOptions options;
    options.target = "avx512";
    options.records = &records;
    EXPECT_NE(show(golden_network("lenet"), make_library(), "plan", options).find("by the record"),
              std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
