// Plans of small networks, each proven by plan/verify_plan.h when it is made.
#pragma once

#include <string>

#include "compiler/graph/network.h"
#include "compiler/plan/plan.h"

namespace emulsion::test {

struct PlanSettings {
    bool training = false;
    std::vector<int> batches = {1};
    bool fuse = true;
    std::vector<Isa> isas = {isa_avx2()};
    bool update_at_once = false;
    Machine machine = {};
    int64_t memory_budget = 0;
};

// The plan of a graph as it stands.
Plan plan_graph(const Graph& graph, const PlanSettings& settings = {});
// The plan of the network's optimised training or inference graph.
Plan plan_network(const Network& network, const PlanSettings& settings);

// The call with this name in the first batch; fails the test where there is none.
const PlannedCall& call_named(const VariantPlan& variant, const std::string& name);
// The kinds of the nodes of the call's group but its sources, in order: "conv2d max_pool add relu".
std::string kinds_of(const VariantPlan& variant, const PlannedCall& call);
// Names of the buffers that a call reads, and of those it writes.
std::vector<std::string> operands_of(const VariantPlan& variant, const PlannedCall& call);
std::vector<std::string> results_of_call(const VariantPlan& variant, const PlannedCall& call);

// Calls of all variants and batches.
int call_count(const Plan& plan);

}  // namespace emulsion::test
