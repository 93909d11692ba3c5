// Stages: which nodes run before the loss test, which after, which in `update`, which in `prepare`.
#include "compiler/graph/network.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/grouping.h"

namespace emulsion {

std::string to_string(MemoryClass memory) {
    switch (memory) {
        case MemoryClass::parameters:
            return "parameters";
        case MemoryClass::gradients:
            return "gradients";
        case MemoryClass::state:
            return "state";
        case MemoryClass::prepared:
            return "prepared";
        case MemoryClass::workspace:
            return "workspace";
        case MemoryClass::input:
            return "input";
        case MemoryClass::output:
            return "output";
    }
    return "";
}

std::string to_string(Stage stage) {
    switch (stage) {
        case Stage::prepare:
            return "prepare";
        case Stage::forward:
            return "forward";
        case Stage::backward:
            return "backward";
        case Stage::update:
            return "update";
    }
    return "";
}

Value root_of(const Graph& graph, Value value) {
    while (graph.node(value.node).op->op_class() == OpClass::view)
        value = graph.node(value.node).inputs[0];
    return value;
}

std::vector<bool> result_owners(const Graph& graph) {
    std::vector<bool> owners(graph.nodes().size(), false);
    for (const Result& result : graph.results()) {
        owners[static_cast<size_t>(root_of(graph, result.value).node)] = true;
    }
    return owners;
}

namespace {

// Gives `stage` to the undecided nodes that `value` depends on, itself included.
void mark(const Graph& graph, Value value, Stage stage, std::vector<Stage>& stages,
          std::vector<bool>& decided) {
    std::vector<int> pending = {value.node};
    while (!pending.empty()) {
        auto node = static_cast<size_t>(pending.back());
        pending.pop_back();
        if (decided[node]) continue;
        decided[node] = true;
        stages[node] = stage;
        for (Value input : graph.nodes()[node].inputs) pending.push_back(input.node);
    }
}

bool is_optimizer_update(const Graph& graph, const Result& result) {
    if (graph.op_as<Parameter>(result.target) != nullptr) return true;
    const auto* state = graph.op_as<State>(result.target);
    return state != nullptr && state->optimizer;
}

// What parameters and state alone decide, but for outputs, which are the caller's memory, and
// values of samples: only a call knows both.
void mark_prepared(const Graph& graph, std::vector<Stage>& stages) {
    const std::vector<bool> is_output = result_owners(graph);
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        const Node& node = graph.nodes()[i];
        int index = static_cast<int>(i);
        bool fixed =
            graph.op_as<Parameter>(index) != nullptr || graph.op_as<State>(index) != nullptr ||
            graph.op_as<Constant>(index) != nullptr || node.op->op_class() != OpClass::source;
        for (Value input : node.inputs) {
            if (stages[static_cast<size_t>(input.node)] != Stage::prepare) fixed = false;
        }
        for (const TensorType& type : node.types) fixed = fixed && !type.batched;
        if (fixed && !is_output[i]) stages[i] = Stage::prepare;
    }
}

}  // namespace

std::vector<Stage> stages_of(const Graph& graph, bool training) {
    std::vector<Stage> stages(graph.nodes().size(), Stage::forward);
    if (!training) {
        mark_prepared(graph, stages);
        return stages;
    }
    std::vector<bool> decided(graph.nodes().size(), false);
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output && is_for_training(result.name))
            mark(graph, result.value, Stage::forward, stages, decided);
    }
    for (const Result& result : graph.results()) {
        bool backward =
            result.kind == Result::Kind::gradient || result.kind == Result::Kind::output ||
            (result.kind == Result::Kind::update && !is_optimizer_update(graph, result));
        if (backward) mark(graph, result.value, Stage::backward, stages, decided);
    }
    for (const Result& result : graph.results())
        mark(graph, result.value, Stage::update, stages, decided);
    return stages;
}

}  // namespace emulsion
