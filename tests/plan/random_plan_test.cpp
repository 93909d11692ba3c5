// Plans of random networks: make_plan proves each of them (plan/verify_plan.h), whatever is fused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "compiler/graph/text.h"
#include "tests/plan/plan_support.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

// A caller may change one gradient before `update`: another parameter's must not move with it.
void expect_updates_read_their_own_gradients(const Plan& plan) {
    const VariantPlan& variant = plan.variants[0];
    for (const PlannedCall& call : variant.batches[0].calls) {
        if (call.stage != Stage::update) continue;
        std::set<int64_t> read, own;
        for (int index : call.buffers) {
            const PlannedBuffer& buffer = variant.buffers[static_cast<size_t>(index)];
            if (buffer.memory == MemoryClass::gradients) read.insert(buffer.offset);
            if (buffer.memory != MemoryClass::parameters) continue;
            for (const PlannedTensor& tensor : plan.tensors) {
                if (tensor.memory == buffer.memory && tensor.offset == buffer.offset)
                    own.insert(tensor.gradient_offset);
            }
        }
        if (own.empty()) continue;  // a norm of gradients that are clipped
        EXPECT_EQ(read, own) << call.name;
    }
}

TEST(RandomNetworks, PlansAreSound) {
    int fused = 0, apart = 0, joined = 0, over = 0;
    std::vector<uint64_t> seeds = {307, 526};  // whose gradients are written over one another
    for (uint64_t seed = 1; seed <= 120; seed++) seeds.push_back(seed);
    for (const uint64_t seed : seeds) {
        Network network = random_network(seed);
        for (bool training : {true, false}) {
            SCOPED_TRACE(fmt::format("seed {} training {}\n{}", seed, training, print(network)));
            std::vector<int> batches = training ? std::vector<int>{6} : std::vector<int>{1, 4};
            const Plan plan = plan_network(network, {training, batches, true, {isa_avx2()}});
            fused += call_count(plan);
            const std::vector<PlannedBuffer>& buffers = plan.variants[0].buffers;
            const bool has_parts = std::ranges::any_of(
                buffers, [](const PlannedBuffer& buffer) { return buffer.pitch > 0; });
            joined += has_parts ? 1 : 0;
            over += std::ranges::any_of(plan.variants[0].notes, [](const std::string& note) {
                return note.find(" is written over ") != std::string::npos;
            });
            if (training) {
                expect_updates_read_their_own_gradients(plan);
                plan_network(network, {true, batches, true, {isa_avx2()}, true});
            }
            apart += call_count(plan_network(network, {training, batches, false, {isa_avx2()}}));
            if (::testing::Test::HasFailure()) return;
        }
    }
    EXPECT_LT(fused * 10, apart * 8);  // fusion does something
    EXPECT_GE(joined, 5);              // and so does writing parts in place
    EXPECT_GE(over, 1);                // gradients of chains too
}

}  // namespace
}  // namespace emulsion::test
