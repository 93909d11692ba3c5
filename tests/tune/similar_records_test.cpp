// What records of other kernels and machines make of a search's beginning.
#include "schedules/tune/similar_records.h"

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "schedules/library.h"
#include "tests/support/golden.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

TunedRecord record_of(const PlannedKernel& kernel, const std::string& tiling, double gain) {
    TunedRecord record = some_record(kernel.group.signature(), gain);
    record.recipe = kernel.recipe;
    record.version = kernel.recipe_version;
    record.tiling = parse_tiling(tiling);
    return record;
}

class Similar : public testing::Test {
  protected:
    Similar() : library_(make_library()) {}
    std::vector<std::string> starts(size_t most) const {
        std::vector<std::string> lines;
        for (const Start& start : SimilarRecords(set_).find(
                 dense_kernel(library_, isa_avx2()), isa_avx2(), 2, some_machine(), library_, most))
            lines.push_back(to_string(start.candidate) + ": " + start.why);
        return lines;
    }

    RecipeLibrary library_;
    RecordSet set_;
};

TEST_F(Similar, KernelsComeInTheOrderOfTheirKinship) {
    set_.add(record_of(dense_kernel(library_, isa_avx2(), 512), "kw=8 tn=2 chains=1", 3));
    set_.add(record_of(dense_kernel(library_, isa_avx2(), 64), "kw=16 tn=2 chains=1", 2));
    set_.add(record_of(dense_kernel(library_, isa_avx2(), 32, true), "kw=8 tn=4 chains=1", 1.1));
    TunedRecord foreign = record_of(dense_kernel(library_, isa_avx2()), "kw=16 tn=4 chains=1", 1.2);
    foreign.machine.model++;
    set_.add(foreign);
    const std::vector<std::string> all{
        "matmul kw=16 tn=4 chains=1: this kernel, another machine",
        "matmul kw=8 tn=4 chains=1: this layer, fused otherwise",
        "matmul kw=16 tn=2 chains=1: another shape",
        "matmul kw=8 tn=2 chains=1: another shape",
    };
    EXPECT_EQ(starts(5), all);
    EXPECT_EQ(starts(1), std::vector(all.begin(), all.begin() + 2));
}

TEST_F(Similar, OfOtherInstructionSetsAreMovedToWhatIsLegal) {
    TunedRecord wide = record_of(dense_kernel(library_, isa_avx2()), "kw=16 tn=1000 chains=1", 2);
    wide.isa = "avx512";
    wide.threads = 1;
    set_.add(wide);
    const std::vector<std::string> lines = starts(3);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(
        lines[0].ends_with(": this kernel, 1 threads, avx512, moved from kw=16 tn=1000 chains=1"))
        << lines[0];
}

TEST_F(Similar, AnythingThatIsLegalStaysAndAnythingElseIsMoved) {
    const Isa& isa = isa_avx2();
    const Plan plan = plan_of(golden_network("lenet"), library_, {}, /*training=*/true);
    int moved = 0, given_up = 0;
    for (const PlannedKernel& kernel : plan.variants[0].kernels) {
        for (const auto& recipe : library_) {
            if (!can_run(*recipe, kernel.group, isa, /*exact=*/false)) continue;
            for (Tiling tiling : recipe->tilings(kernel.group, isa)) {
                EXPECT_EQ(nearest_legal(*recipe, kernel.group, isa, tiling), tiling);
                for (auto& [name, value] : tiling.values) value = value * 3 + 1;
                if (tiling_fault(*recipe, kernel.group, tiling, isa).empty()) continue;
                const std::optional<Tiling> other =
                    nearest_legal(*recipe, kernel.group, isa, tiling);
                (other ? moved : given_up)++;
                if (!other) continue;
                EXPECT_EQ(tiling_fault(*recipe, kernel.group, *other, isa), "");
            }
        }
    }
    EXPECT_GT(moved, 20);
    EXPECT_LT(given_up, moved);
}

}  // namespace
}  // namespace emulsion::test
