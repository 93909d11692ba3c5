// Losses are added up, patterns applied, unused layers dropped; what is wrong with the whole joins
// the mistakes.
#include "dsl/finish.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "compiler/ops/sources.h"
#include "dsl/layer.h"
#include "dsl/model_state.h"

namespace emulsion {

using internal::Access;
using internal::ModelState;
using internal::Pattern;

namespace {

// The layer a weight belongs to: "conv1" of "conv1.w".
std::string_view layer_of(std::string_view parameter) {
    return parameter.substr(0, parameter.rfind('.'));
}

bool matches_parameter(const Pattern& pattern, std::string_view name) {
    return internal::matches(pattern.text, name) || internal::matches(pattern.text, layer_of(name));
}

bool any_matches(const std::vector<Pattern>& patterns, std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const Pattern& pattern) { return matches_parameter(pattern, name); });
}

std::vector<std::string> parameter_names(const Graph& graph) {
    std::vector<std::string> names;
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        if (graph.op_as<Parameter>(static_cast<int>(i)) != nullptr)
            names.push_back(graph.nodes()[i].name);
    }
    return names;
}

// Patterns that match nothing are mistakes: a typing error would train what should stay.
void check_patterns(const std::vector<Pattern>& patterns, const Graph& graph, std::string_view what,
                    std::vector<Diagnostic>& mistakes) {
    std::vector<std::string> names = parameter_names(graph);
    for (const Pattern& pattern : patterns) {
        bool found = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
            return matches_parameter(pattern, name);
        });
        if (found) continue;
        Diagnostic diagnostic;
        diagnostic.code = "pattern";
        diagnostic.message =
            fmt::format("{}: no layer and no weight matches '{}'", what, pattern.text);
        diagnostic.fix = fmt::format("match one of {}", fmt::join(names, ", "));
        diagnostic.where = pattern.where;
        mistakes.push_back(std::move(diagnostic));
    }
}

// The same graph with `trained` and `decay` of the parameters set.
Graph apply_patterns(const Graph& graph, const ModelState& state) {
    GraphBuilder builder(graph.name());
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        Node node = graph.nodes()[i];
        if (const auto* parameter = graph.op_as<Parameter>(static_cast<int>(i))) {
            auto copy = std::make_shared<Parameter>(*parameter);
            copy->trained = parameter->trained && !any_matches(state.frozen, node.name);
            copy->decay = parameter->decay && !any_matches(state.undecayed, node.name);
            node.op = std::move(copy);
        }
        builder.add_typed(std::move(node));
    }
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::update) {
            builder.update(result.target, result.value);
        } else {
            builder.output(result.name, result.value);
        }
    }
    return builder.build();
}

// The factors of the learning rates of parameters, where they are not 1.
std::map<std::string, double> rates_of(const Graph& graph, const ModelState& state) {
    std::map<std::string, double> rates;
    for (const std::string& name : parameter_names(graph)) {
        for (const internal::RatePattern& each : state.rates) {
            if (matches_parameter(each.pattern, name)) rates[name] = each.factor;
        }
    }
    std::erase_if(rates, [](const auto& rate) { return rate.second == 1; });
    return rates;
}

// The weighted sum of all losses.
Value total_loss(GraphBuilder& builder, const std::vector<internal::LossTerm>& terms) {
    Value total;
    for (const internal::LossTerm& term : terms) {
        Value value = term.value;
        if (term.weight != 1) {
            value = builder.add(
                internal::make_op_with("scale", {{"factor", term.weight}}), {value},
                builder.unique_name(builder.graph().node(value.node).name + ".weighted"),
                term.where);
        }
        total = total.defined() ? builder.add(internal::make_op_with("add", {}), {total, value},
                                              builder.unique_name("loss.total"), term.where)
                                : value;
    }
    return total;
}

// What loss and outputs need; updates of statistics that nothing reads go, and with them layers
// that nobody uses and their weights.
Graph remove_unused(const Graph& graph) {
    std::vector<bool> live(graph.nodes().size(), false);
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output)
            live[static_cast<size_t>(result.value.node)] = true;
    }
    for (size_t i = graph.nodes().size(); i-- > 0;) {
        if (!live[i]) continue;
        for (Value input : graph.nodes()[i].inputs) live[static_cast<size_t>(input.node)] = true;
    }
    GraphBuilder builder(graph);
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output) builder.output(result.name, result.value);
        if (result.kind == Result::Kind::update && live[static_cast<size_t>(result.target)]) {
            builder.update(result.target, result.value);
        }
    }
    return remove_dead_nodes(builder.build(), UnreadWeights::go);
}

Network assemble(const ModelState& state) {
    Network network;
    network.name = state.name;
    network.optimizer = state.optimizer;
    network.schedule = state.schedule;
    network.classes = state.classes;
    network.normalization = state.normalization;
    network.augmentation = state.augmentation;
    GraphBuilder builder = state.builder;
    if (Value loss = total_loss(builder, state.losses); loss.defined()) {
        for (const internal::LossTerm& term : state.losses) {
            if (state.losses.size() > 1) builder.output(term.name + ".loss", term.value);
        }
        builder.output("loss", loss);
    }
    network.graph = apply_patterns(remove_unused(builder.build()), state);
    network.rates = rates_of(network.graph, state);
    return network;
}

// A model without outputs trains, and its inference library would hand nothing out.
void check_outputs(const ModelState& state, std::vector<Diagnostic>& mistakes) {
    if (!state.outputs.empty()) return;
    Diagnostic diagnostic;
    diagnostic.code = "no_output";
    diagnostic.message = fmt::format("the model '{}' hands nothing out for inference", state.name);
    diagnostic.fix =
        "end it with classify(scores), or name what it computes with output(name, value)";
    diagnostic.where = state.where;
    mistakes.push_back(std::move(diagnostic));
}

// An optimizer without a loss: the loss was forgotten.
void check_optimizer_use(const ModelState& state, std::vector<Diagnostic>& mistakes) {
    if (!state.losses.empty() || state.loss_is_poisoned || state.optimizer_where.file.empty())
        return;
    Diagnostic diagnostic;
    diagnostic.code = "loss";
    diagnostic.message =
        fmt::format("the model '{}' has an optimizer, but no loss to train with", state.name);
    diagnostic.fix =
        "end it with classify(scores), mean_squared_error(prediction) or loss(value), or leave out "
        "the optimizer";
    diagnostic.where = state.optimizer_where;
    mistakes.push_back(std::move(diagnostic));
}

// Where the user wrote what a fault of the whole network is about.
SourceLocation place_of(const Diagnostic& diagnostic, const ModelState& state) {
    SourceLocation place = state.where;
    if (diagnostic.code == "classes") place = state.classes_where;
    if (diagnostic.code == "normalization") place = state.normalization_where;
    if (diagnostic.code == "augmentation") place = state.augmentation_where;
    if (diagnostic.code == "optimizer" || diagnostic.code == "schedule")
        place = state.optimizer_where;
    return place.file.empty() ? state.where : place;
}

}  // namespace

FinishedModel finish(const Model& model) {
    const ModelState& state = Access::state(model);
    FinishedModel result;
    result.mistakes = state.mistakes;
    check_patterns(state.frozen, state.builder.graph(), "freeze", result.mistakes);
    check_patterns(state.undecayed, state.builder.graph(), "no_decay", result.mistakes);
    std::vector<Pattern> rates;
    for (const internal::RatePattern& each : state.rates) rates.push_back(each.pattern);
    check_patterns(rates, state.builder.graph(), "learning_rate", result.mistakes);
    Network network = assemble(state);
    for (Diagnostic& fault : network_faults(network)) {
        // A name or a loss that is wrong already has its own mistake.
        bool is_known = fault.code == "name" || (fault.code == "loss" && state.loss_is_poisoned) ||
                        (fault.code == "input" && network.graph.results().empty()) ||
                        (fault.code == "classes" && state.loss_is_poisoned) ||
                        (fault.code == "augmentation" && state.loss_is_poisoned);
        if (is_known) continue;
        if (fault.where.file.empty()) fault.where = place_of(fault, state);
        result.mistakes.push_back(std::move(fault));
    }
    if (result.mistakes.empty()) check_outputs(state, result.mistakes);
    if (result.mistakes.empty()) check_optimizer_use(state, result.mistakes);
    if (result.mistakes.empty()) result.network = std::move(network);
    return result;
}

}  // namespace emulsion
