// Tensors, ports and variants of a plan.
#include "compiler/plan/plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "compiler/plan/memory.h"
#include "compiler/plan/variant.h"
#include "compiler/plan/verify_plan.h"

namespace emulsion {

namespace {

constexpr int64_t kStateHeader = 64;  // seed and step, runtime/abi/emulsion_abi.h

// ---- Tensors and ports ----

void set_initializer(PlannedTensor& tensor, const Parameter& parameter) {
    const double fan_in = std::max<double>(1, static_cast<double>(parameter.fan_in));
    const double both = fan_in + static_cast<double>(parameter.fan_out);
    struct Row {
        const char* init;  // as the library fills it: the bound, the deviation, or the number
        double value;
    };
    const std::map<std::string_view, Row> rows = {
        {"constant", {"fill", parameter.scale}},
        {"glorot", {"uniform", std::sqrt(6 / both)}},
        {"glorot_normal", {"normal", std::sqrt(2 / both)}},
        {"he", {"normal", std::sqrt(2 / fan_in)}},
        {"he_uniform", {"uniform", std::sqrt(6 / fan_in)}},
        {"lecun", {"normal", std::sqrt(1 / fan_in)}},
        {"lecun_uniform", {"uniform", std::sqrt(3 / fan_in)}},
        {"normal", {"normal", parameter.scale}},
        {"ones", {"fill", 1}},
        {"uniform", {"uniform", parameter.scale}},
        {"zeros", {"fill", 0}},
    };
    const auto found = rows.find(parameter.init);
    if (found == rows.end()) {
        std::vector<std::string_view> names;
        for (const auto& [name, row] : rows) names.push_back(name);
        fail("initializer",
             fmt::format("'{}': unknown initializer '{}'", tensor.name, parameter.init),
             fmt::format("use one of {}", fmt::join(names, ", ")));
    }
    tensor.init = found->second.init;
    tensor.init_value = found->second.value;
}

// Parameters and gradients lie in node order, then state behind its header.
void plan_tensors(const Graph& graph, int64_t alignment, Plan& plan) {
    std::map<int, bool> trained;
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::gradient) trained[result.target] = true;
    }
    plan.state_bytes = round_up(kStateHeader, alignment);
    for (MemoryClass memory : {MemoryClass::parameters, MemoryClass::state}) {
        int64_t& total =
            memory == MemoryClass::parameters ? plan.parameter_bytes : plan.state_bytes;
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            const auto* parameter = graph.op_as<Parameter>(i);
            const auto* state = graph.op_as<State>(i);
            if ((memory == MemoryClass::parameters ? parameter != nullptr : state != nullptr) ==
                false)
                continue;
            PlannedTensor tensor;
            tensor.name = graph.node(i).name;
            tensor.type = graph.node(i).types[0];
            tensor.memory = memory;
            tensor.offset = total;
            tensor.bytes = memory_bytes(tensor.type, 1);
            total += round_up(tensor.bytes, alignment);
            if (parameter != nullptr) {
                set_initializer(tensor, *parameter);
                tensor.trained = trained.contains(i);
                if (tensor.trained && !plan.update_at_once) {
                    tensor.gradient_offset = plan.gradient_bytes;
                    plan.gradient_bytes += round_up(tensor.bytes, alignment);
                }
            } else {
                tensor.init = "fill";
                tensor.init_value = state->value;
            }
            plan.tensors.push_back(std::move(tensor));
        }
    }
}

void plan_ports(const Graph& graph, Plan& plan) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (graph.op_as<Input>(i) != nullptr)
            plan.inputs.push_back({graph.node(i).name, graph.node(i).types[0]});
    }
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output)
            plan.outputs.push_back({result.name, graph.type(result.value)});
    }
}

bool equal_ports(const std::vector<PlannedPort>& a, const std::vector<PlannedPort>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const PlannedPort& x, const PlannedPort& y) {
                          return x.name == y.name && x.type == y.type;
                      });
}

bool equal_tensors(const std::vector<PlannedTensor>& a, const std::vector<PlannedTensor>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const PlannedTensor& x, const PlannedTensor& y) {
                          return x.name == y.name && x.type == y.type && x.memory == y.memory &&
                                 x.offset == y.offset && x.trained == y.trained &&
                                 x.gradient_offset == y.gradient_offset;
                      });
}

// Whether a library's user sees the same.
bool equal_interfaces(const Plan& a, const Plan& b) {
    return a.network == b.network && a.training == b.training &&
           a.update_at_once == b.update_at_once && equal_ports(a.inputs, b.inputs) &&
           equal_ports(a.outputs, b.outputs) && equal_tensors(a.tensors, b.tensors) &&
           a.parameter_bytes == b.parameter_bytes && a.gradient_bytes == b.gradient_bytes &&
           a.state_bytes == b.state_bytes;
}

// Tensors and ports as one of the graphs says.
Plan interface_of(const Graph& graph, const PlanOptions& options) {
    Plan plan;
    plan.network = graph.name();
    plan.training = options.training;
    plan.update_at_once = options.update_at_once;
    plan.threads = options.threads;
    plan.machine = options.machine;
    const int64_t alignment = options.isas.at(0).family->alignment;
    plan_tensors(graph, std::max(alignment, options.tensor_alignment), plan);
    plan_ports(graph, plan);
    return plan;
}

void check_sizes(const Graph& graph, int batch) {
    for (const Node& node : graph.nodes()) {
        for (const TensorType& type : node.types) check_size(node.name, type, batch);
    }
}

// Whether all variants fit; the planner has done what it could.
void check_budget(const Plan& plan, const PlanOptions& options) {
    int64_t bytes = 0;
    for (const VariantPlan& variant : plan.variants)
        bytes = std::max(bytes, planned_bytes(plan, variant));
    if (options.memory_budget == 0 || bytes <= options.memory_budget) return;
    fail("memory",
         fmt::format("the memory budget is {} bytes, but a training step of '{}' with {} samples "
                     "needs {} at least, whatever runs again",
                     options.memory_budget, plan.network, options.batches.back(), bytes),
         fmt::format("allow {} bytes or more, or choose a smaller batch{}", bytes,
                     options.update_at_once ? "" : ", or updates at once"));
}

}  // namespace

int64_t planned_bytes(const Plan& plan, const VariantPlan& variant) {
    return plan.parameter_bytes + plan.gradient_bytes + plan.state_bytes + variant.prepared_bytes +
           variant.activation_bytes;
}

Plan make_plan(const std::vector<Graph>& graphs, const RecipeLibrary& library,
               const PlanOptions& options) {
    EMU_CHECK(graphs.size() == options.batches.size() && !graphs.empty(),
              "{} graphs for {} batches", graphs.size(), options.batches.size());
    for (size_t i = 0; i < graphs.size(); i++) check_sizes(graphs[i], options.batches[i]);
    Plan plan = interface_of(graphs[0], options);
    for (const Graph& graph : graphs) {
        EMU_CHECK(equal_interfaces(plan, interface_of(graph, options)),
                  "the batches of '{}' have different tensors or ports", graph.name());
    }
    for (const Isa& isa : options.isas) {
        EMU_CHECK(isa.family == options.isas[0].family, "{} and {} are of two families", isa.name,
                  options.isas[0].name);
        plan.variants.push_back(plan_variant(graphs, plan, library, options, isa));
    }
    plan.choices = plan.variants.back().choices;
    plan.left_out = plan.variants.back().left_out;
    check_budget(plan, options);
    const std::string fault = plan_fault(graphs, plan);
    EMU_CHECK(fault.empty(), "the plan of graph '{}' is wrong: {}", plan.network, fault);
    return plan;
}

void add_variants(Plan& plan, Plan other) {
    EMU_CHECK(equal_interfaces(plan, other), "the families of '{}' have different tensors or ports",
              plan.network);
    for (VariantPlan& variant : other.variants) plan.variants.push_back(std::move(variant));
}

Plan make_plan(const Graph& graph, const RecipeLibrary& library, const PlanOptions& options) {
    return make_plan(std::vector<Graph>(options.batches.size(), graph), library, options);
}

}  // namespace emulsion
