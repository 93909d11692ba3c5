// Plans of networks and graphs.
#include "tests/plan/plan_support.h"

#include <stdexcept>

#include "compiler/pipeline.h"
#include "schedules/library.h"

namespace emulsion::test {

namespace {

const RecipeLibrary& recipes() {
    static const RecipeLibrary library = make_library();
    return library;
}

size_t result_count(const VariantPlan& variant, const PlannedCall& call) {
    return variant.kernels[static_cast<size_t>(call.kernel)].group.body.results().size();
}

const PlannedBuffer& buffer_at(const VariantPlan& variant, int index) {
    return variant.buffers[static_cast<size_t>(index)];
}

}  // namespace

Plan plan_graph(const Graph& graph, const PlanSettings& settings) {
    PlanOptions options;
    options.training = settings.training;
    options.batches = settings.batches;
    options.isas = settings.isas;
    options.fuse = settings.fuse;
    options.update_at_once = settings.update_at_once;
    options.machine = settings.machine;
    options.memory_budget = settings.memory_budget;
    return make_plan(graph, recipes(), options);
}

Plan plan_network(const Network& network, const PlanSettings& settings) {
    return plan_graph(settings.training
                          ? training_graph(network, false, 64, settings.update_at_once)
                          : inference_graph(network),
                      settings);
}

const PlannedCall& call_named(const VariantPlan& variant, const std::string& name) {
    for (const PlannedCall& call : variant.batches.at(0).calls) {
        if (call.name == name) return call;
    }
    std::string names;
    for (const PlannedCall& call : variant.batches.at(0).calls) names += " " + call.name;
    throw std::runtime_error("no call '" + name + "' among" + names);
}

std::string kinds_of(const VariantPlan& variant, const PlannedCall& call) {
    std::string kinds;
    for (const Node& node : variant.kernels[static_cast<size_t>(call.kernel)].group.body.nodes()) {
        if (node.op->op_class() == OpClass::source) continue;
        kinds += (kinds.empty() ? "" : " ") + std::string(node.op->kind());
    }
    return kinds;
}

std::vector<std::string> operands_of(const VariantPlan& variant, const PlannedCall& call) {
    std::vector<std::string> names;
    for (size_t i = 0; i + result_count(variant, call) < call.buffers.size(); i++) {
        names.push_back(buffer_at(variant, call.buffers[i]).name);
    }
    return names;
}

std::vector<std::string> results_of_call(const VariantPlan& variant, const PlannedCall& call) {
    std::vector<std::string> names;
    for (size_t i = call.buffers.size() - result_count(variant, call); i < call.buffers.size();
         i++) {
        names.push_back(buffer_at(variant, call.buffers[i]).name);
    }
    return names;
}

int call_count(const Plan& plan) {
    size_t calls = 0;
    for (const VariantPlan& variant : plan.variants) {
        for (const BatchPlan& batch : variant.batches) calls += batch.calls.size();
    }
    return static_cast<int>(calls);
}

}  // namespace emulsion::test
