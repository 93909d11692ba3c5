// What a network must be beside a graph that verifies.
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "compiler/graph/network.h"
#include "compiler/ops/sources.h"
#include "runtime/support/limits.h"

namespace emulsion {

namespace {

// REQUIRES: lowest <= highest; both ends are allowed.
void check_range(std::string_view code, std::string_view name, double value, double lowest,
                 double highest) {
    if (value >= lowest && value <= highest) return;
    fail(code,
         fmt::format("{} is {}, which is not between {} and {}", name, value, lowest, highest),
         fmt::format("choose a value from {} to {}", lowest, highest));
}

void check_name(const Network& network) {
    if (is_network_name(network.name)) return;
    fail("name", fmt::format("'{}' is no name for a network", network.name),
         "use a letter, then letters, digits, '_' and '-', at most 64");
}

// Names of tensors stand in files of weights, whose readers have a limit.
void check_lengths(const Network& network) {
    for (const Node& node : network.graph.nodes()) {
        if (node.name.size() <= kMostTensorName) continue;
        fail("name",
             fmt::format("the name '{}...' has {} bytes, more than {}", node.name.substr(0, 40),
                         node.name.size(), kMostTensorName),
             "give it a shorter name");
    }
}

void check_optimizer(const Network& network) {
    const OptimizerSpec& spec = network.optimizer;
    check_range("optimizer", "learning_rate", spec.learning_rate, 0, 1e6);
    check_range("optimizer", "weight_decay", spec.weight_decay, 0, 1e6);
    check_range("optimizer", "momentum", spec.momentum, 0, 1);
    check_range("optimizer", "beta1", spec.beta1, 0, 0.999999);
    check_range("optimizer", "beta2", spec.beta2, 0, 0.999999);
    check_range("optimizer", "rho", spec.rho, 0, 0.999999);
    check_range("optimizer", "initial", spec.initial, 0, 1e6);
    // 0 / epsilon of a weight that never had a gradient is 0, in 32 bits too.
    check_range("optimizer", "epsilon", spec.epsilon, spec.kind == "sgd" ? 0 : 1e-30, 1);
    check_range("optimizer", "clip_value", spec.clip_value, 0, 1e6);
    check_range("optimizer", "clip_norm", spec.clip_norm, 0, 1e6);
    check_range("optimizer", "l1", spec.l1, 0, 1e6);
    if (spec.clip_value != 0 && spec.clip_norm != 0) {
        fail("optimizer",
             fmt::format("the gradients are clipped both by the value {} and by the norm {}",
                         spec.clip_value, spec.clip_norm),
             "choose one of clip_value and clip_norm");
    }
    if (spec.kind == "levenberg_marquardt" && spec.adjustable) {
        fail("optimizer", "levenberg_marquardt has nothing that is adjustable",
             "leave adjustable out");
    }
    if (spec.form != "outside" && spec.form != "inside" && spec.form != "keras") {
        fail("optimizer", fmt::format("adam has no form '{}'", spec.form),
             "write outside, inside or keras");
    }
}

void check_rates(const Network& network) {
    for (const auto& [name, factor] : network.rates) {
        const int node = network.graph.find(name);
        if (node < 0 || network.graph.op_as<Parameter>(node) == nullptr) {
            fail("optimizer", fmt::format("the rates name '{}', which is no parameter", name),
                 "name parameters of the graph");
        }
        check_range("optimizer", fmt::format("the rate's factor of {}", name), factor, 0, 1e6);
    }
}

constexpr int64_t kMostSteps = 1000000000000;

void check_count(std::string_view name, int64_t value, int64_t lowest) {
    if (value >= lowest && value <= kMostSteps) return;
    fail("schedule",
         fmt::format("{} is {}, which is not between {} and {}", name, value, lowest, kMostSteps),
         fmt::format("choose a value from {} to {}", lowest, kMostSteps));
}

void check_milestones(const ScheduleSpec& spec) {
    if (spec.kind == "multi_step" && spec.at.empty()) {
        fail("schedule", "the multi_step schedule has no steps to fall at",
             "name one or more, such as at = {1000, 2000}");
    }
    for (size_t i = 0; i < spec.at.size(); i++) {
        check_count("at", spec.at[i], 1);
        if (i == 0 || spec.at[i - 1] < spec.at[i]) continue;
        fail("schedule", fmt::format("at has {} behind {}", spec.at[i], spec.at[i - 1]),
             "name the steps in ascending order");
    }
}

void check_schedule(const Network& network) {
    const ScheduleSpec& spec = network.schedule;
    check_range("schedule", "final", spec.final, 0, 1e6);
    check_range("schedule", "gamma", spec.gamma, 0, 1e6);
    check_range("schedule", "power", spec.power, 0, 1e6);
    check_range("schedule", "start", spec.start, 0, 1);
    check_range("schedule", "rise", spec.rise, 0, 1);
    check_range("schedule", "end", spec.end, 0, 1);
    check_range("schedule", "threshold", spec.threshold, 0, 1);
    check_count("every", spec.every, 1);
    check_count("growth", spec.growth, 1);
    check_count("patience", spec.patience, 0);
    check_count("cooldown", spec.cooldown, 0);
    check_count("warm_up", spec.warm_up, 0);
    check_count("warm_up_epochs", spec.warm_up_epochs, 0);
    check_milestones(spec);
    if (spec.metric != "loss" && spec.metric != "accuracy") {
        fail("schedule", fmt::format("there is no metric '{}'", spec.metric),
             "write loss or accuracy");
    }
}

// Which nodes the value depends on, itself included.
std::vector<bool> ancestors(const Graph& graph, Value value) {
    std::vector<bool> reached(graph.nodes().size(), false);
    reached[static_cast<size_t>(value.node)] = true;
    for (size_t i = static_cast<size_t>(value.node) + 1; i-- > 0;) {
        if (!reached[i]) continue;
        for (Value input : graph.nodes()[i].inputs) reached[static_cast<size_t>(input.node)] = true;
    }
    return reached;
}

bool has_output(const Graph& graph) {
    return std::any_of(graph.results().begin(), graph.results().end(),
                       [](const Result& result) { return result.kind == Result::Kind::output; });
}

void check_loss(const Network& network) {
    const Result* loss = network.graph.find_output("loss");
    if (loss == nullptr) {
        if (has_output(network.graph)) return;
        fail("loss", fmt::format("the model '{}' has neither a loss nor an output", network.name),
             "end it with classify(scores), mean_squared_error(prediction) or loss(value), or, for "
             "inference alone, with output(name, value)");
    }
    const TensorType& type = network.graph.type(loss->value);
    if (type != plain_type({})) {
        fail("loss",
             fmt::format("the loss has type {}, but a loss is one number of type f32[]",
                         to_string(type)),
             "reduce it to its mean over the samples");
    }
    std::vector<bool> reached = ancestors(network.graph, loss->value);
    for (size_t i = 0; i < reached.size(); i++) {
        const auto* parameter = network.graph.op_as<Parameter>(static_cast<int>(i));
        if (reached[i] && parameter != nullptr && parameter->trained) return;
    }
    fail("loss", fmt::format("the loss of '{}' depends on no trained parameter", network.name),
         "use a layer with weights between input and loss, or freeze fewer layers");
}

// The type of a number that each call brings or the library keeps; nothing for an unknown name.
std::optional<TensorType> type_of_scalar(const std::string& name) {
    if (name == "learning_rate") return plain_type({});
    for (const char* known : {"seed_low", "seed_high", "step_low", "step_high"}) {
        if (name == known) return plain_type({}, ElementType::i32);
    }
    return std::nullopt;
}

[[noreturn]] void refuse_source(const Node& node, std::string message, std::string fix) {
    throw Error({"source", std::move(message), std::move(fix), node.where, {}});
}

// A file states the types of sources, and nothing else derives them.
void check_sources(const Network& network) {
    const Graph& graph = network.graph;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        if (node.op->op_class() != OpClass::source) continue;
        const TensorType& type = node.types[0];
        if (graph.op_as<Input>(i) != nullptr) {
            if (type.element != ElementType::u8) continue;
            refuse_source(node,
                          fmt::format("the input '{}' has type {}, whose numbers of taps nothing "
                                      "checks",
                                      node.name, to_string(type)),
                          "unpool with the second result of the max_pool itself");
        }
        if (graph.op_as<NotFinite>(i) != nullptr) {
            refuse_source(
                node,
                fmt::format("'{}' is a number that the compiler alone gives to devices", node.name),
                "remove it");
        }
        if (const auto* scalar = graph.op_as<Scalar>(i)) {
            const std::optional<TensorType> wanted = type_of_scalar(scalar->name);
            if (!wanted) {
                refuse_source(
                    node, fmt::format("'{}' is the unknown scalar '{}'", node.name, scalar->name),
                    "name learning_rate, seed_low, seed_high, step_low or step_high");
            }
            if (type == *wanted) continue;
            refuse_source(node,
                          fmt::format("'{}' has type {}, but the scalar '{}' is {}", node.name,
                                      to_string(type), scalar->name, to_string(*wanted)),
                          fmt::format("write {} after the colon", to_string(*wanted)));
        }
        const bool may_be_batched = graph.op_as<Constant>(i) != nullptr;
        if (type.element == ElementType::f32 && (!type.batched || may_be_batched)) continue;
        refuse_source(
            node,
            fmt::format("the {} '{}' has type {}, but must hold f32{}", node.op->kind(), node.name,
                        to_string(type), may_be_batched ? "" : ", the same for all samples"),
            may_be_batched ? "write f32 after the colon" : "write f32 after the colon, without n");
    }
}

// Differentiating is the compiler's work: a gradient that a file brings would be lost.
void check_gradients(const Network& network) {
    for (const Result& result : network.graph.results()) {
        if (result.kind != Result::Kind::gradient) continue;
        const std::string& name = network.graph.node(result.target).name;
        fail("gradient",
             fmt::format("the network '{}' gives a gradient of '{}', but the gradients are the "
                         "compiler's to find",
                         network.name, name),
             fmt::format("remove the line 'gradient %{}'", name));
    }
}

// A batch has statistics in training alone: what inference hands out cannot depend on them.
void check_outputs(const Network& network) {
    const Graph& graph = network.graph;
    const auto check = [&](Value value, const std::string& output) {
        const Node& node = graph.node(value.node);
        if (!node.op->is_batch_statistic(value.output)) return;
        throw Error({"output",
                     fmt::format("the output '{}' depends on '{}:{}', a statistic of the batch, "
                                 "which inference does not have",
                                 output, node.name, value.output),
                     fmt::format("let it depend on '{}:0'", node.name),
                     node.where,
                     {}});
    };
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::output || is_for_training(result.name)) continue;
        check(result.value, result.name);
        const std::vector<bool> reached = ancestors(graph, result.value);
        for (size_t i = 0; i < reached.size(); i++) {
            if (!reached[i]) continue;
            for (Value input : graph.nodes()[i].inputs) check(input, result.name);
        }
    }
}

void check_measures(const Network& network) {
    for (const Result& result : network.graph.results()) {
        if (result.kind != Result::Kind::output || !is_measure(result.name)) continue;
        const bool is_loss = result.name.ends_with(".loss");
        const TensorType& type = network.graph.type(result.value);
        if (type != plain_type({})) {
            fail("count",
                 fmt::format("the output '{}' has type {}, but outputs of this name {}: one number "
                             "of type f32[]",
                             result.name, to_string(type),
                             is_loss ? "are losses" : "count right answers"),
                 "give the output another name");
        }
        if (!is_trained(network)) {
            fail("count",
                 fmt::format("the output '{}' {} in training, but the model '{}' has no loss to "
                             "train with",
                             result.name, is_loss ? "is a loss" : "counts right answers",
                             network.name),
                 "give the model a loss, or the output another name");
        }
    }
}

const Node* first_input(const Graph& graph) {
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        if (graph.op_as<Input>(static_cast<int>(i)) != nullptr) return &graph.nodes()[i];
    }
    return nullptr;
}

void check_input(const Network& network) {
    const Node* image = first_input(network.graph);
    if (image == nullptr) {
        fail("input", fmt::format("the model '{}' has no input", network.name),
             "start it with an input");
    }
    const TensorType& type = image->types[0];
    if (!type.batched || type.element == ElementType::u8 || type.shape.empty()) {
        fail("input",
             fmt::format("the first input '{}' is {}, but must be what is classified: f32, or "
                         "i32 with an axis of indices, for each sample",
                         image->name, to_string(type)),
             "write the picture's input before all others");
    }
}

// Indices are checked where they enter a program: what is computed is not.
void check_indices(const Network& network) {
    const Graph& graph = network.graph;
    for (const Node& node : graph.nodes()) {
        std::vector<TensorType> types;
        for (Value value : node.inputs) types.push_back(graph.type(value));
        for (size_t k = 0; k < types.size(); k++) {
            const int from = node.inputs[k].node;
            const bool is_index =
                types[k].element == ElementType::i32 && node.op->index_limit(k, types) > 0;
            if (!is_index || graph.op_as<Input>(from) != nullptr) continue;
            throw Error({"index",
                         fmt::format("{} '{}' takes its indices from {} '{}', but only those of an "
                                     "input are checked",
                                     node.op->kind(), node.name, graph.node(from).op->kind(),
                                     graph.node(from).name),
                         "give it an input of type i32",
                         node.where,
                         {}});
        }
    }
}

void check_normalization(const Network& network) {
    const Normalization& normalization = network.normalization;
    const Node* image = first_input(network.graph);
    if (image == nullptr || (normalization.mean.empty() && normalization.deviation.empty())) return;
    if (image->types[0].element != ElementType::f32) {
        fail("normalization",
             fmt::format("the first input '{}' holds indices, which are not normalised",
                         image->name),
             "leave the normalization out");
    }
    const std::vector<int64_t>& shape = image->types[0].shape;
    size_t channels = shape.size() > 1 ? static_cast<size_t>(shape[0]) : 1;
    if (normalization.mean.size() != channels || normalization.deviation.size() != channels) {
        fail("normalization",
             fmt::format("normalization has {} means and {} deviations, but '{}' has {} channels",
                         normalization.mean.size(), normalization.deviation.size(), image->name,
                         channels),
             fmt::format("give {} of each", channels));
    }
    for (double mean : normalization.mean) check_range("normalization", "a mean", mean, -1e6, 1e6);
    for (double deviation : normalization.deviation)
        check_range("normalization", "a deviation", deviation, 1e-6, 1e6);
}

void check_augmentation(const Network& network) {
    const Augmentation& augmentation = network.augmentation;
    const Node* image = first_input(network.graph);
    if (image == nullptr || augmentation.empty()) return;
    if (!is_trained(network)) {
        fail("augmentation",
             fmt::format("the model '{}' augments pictures, but has no loss to train with",
                         network.name),
             "give the model a loss, or leave the augmentation out");
    }
    const std::vector<int64_t>& shape = image->types[0].shape;
    if (shape.size() != 3 || (shape[0] != 1 && shape[0] != 3)) {
        fail("augmentation",
             fmt::format("pictures of 1 or 3 channels can be augmented, but '{}' is {}",
                         image->name, to_string(image->types[0])),
             "give the model an input {channels, height, width}, or leave the augmentation out");
    }
    if (const auto fault = find_fault(augmentation, shape[1], shape[2]))
        fail("augmentation", fault->what, fault->fix);
}

void check_classes(const Network& network) {
    const Result* scores = network.graph.find_output("scores");
    if (network.classes.empty()) return;
    if (scores == nullptr) {
        fail("classes",
             fmt::format("the model '{}' names {} classes, but it does not classify", network.name,
                         network.classes.size()),
             "end it with classify(scores), or name no classes");
    }
    const TensorType& type = network.graph.type(scores->value);
    if (type.shape.empty() || type.shape[0] != static_cast<int64_t>(network.classes.size())) {
        fail("classes",
             fmt::format("{} classes are named, but the scores are {}", network.classes.size(),
                         to_string(type)),
             "name one class for each score");
    }
}

}  // namespace

std::vector<Diagnostic> network_faults(const Network& network) {
    std::vector<Diagnostic> faults;
    for (auto check :
         {check_name, check_lengths, check_sources, check_input, check_indices, check_loss,
          check_gradients, check_outputs, check_measures, check_classes, check_normalization,
          check_augmentation, check_optimizer, check_rates, check_schedule}) {
        try {
            check(network);
        } catch (const Error& error) {
            faults.push_back(error.diagnostic());
        }
    }
    return faults;
}

void verify_network(const Network& network) {
    verify(network.graph);
    if (std::vector<Diagnostic> faults = network_faults(network); !faults.empty())
        throw Error(faults[0]);
}

}  // namespace emulsion
