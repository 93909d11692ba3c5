// The text form of a network and the checks on it.
#include "compiler/graph/network.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/support/text_file.h"
#include "runtime/support/limits.h"

namespace emulsion {

void ScheduleSpec::fields(Fields& f) {
    if (kind == "cosine") f.field("final", final);
    if (kind == "step") {
        f.field("every", every);
        f.field("gamma", gamma);
    }
}

void OptimizerSpec::fields(Fields& f) {
    f.field("learning_rate", learning_rate);
    f.field("weight_decay", weight_decay);
    if (kind == "sgd") {
        f.field("momentum", momentum);
        f.field("nesterov", nesterov);
        f.field("damped", damped);
    }
    if (kind == "adam") {
        f.field("beta1", beta1);
        f.field("beta2", beta2);
        f.field("epsilon", epsilon);
        f.field("form", form);
        f.field("decoupled", decoupled);
        f.field("bias_correction", bias_correction);
    }
}

bool operator==(const Network& a, const Network& b) {
    return a.name == b.name && a.graph == b.graph && a.optimizer == b.optimizer &&
           a.schedule == b.schedule && a.classes == b.classes && a.normalization == b.normalization;
}

// Text

namespace {

template <class Spec>
std::string print_spec(Spec spec) {
    std::string fields = print_fields([&](Fields& f) { spec.fields(f); });
    return fields.empty() ? spec.kind : spec.kind + " " + fields;
}

std::vector<double> parse_numbers(TextReader& reader, std::string_view name) {
    reader.expect(name);
    reader.expect("=");
    reader.expect("[");
    std::vector<double> values;
    while (!reader.accept("]")) {
        values.push_back(reader.number());
        if (reader.peek() != ']') reader.expect(",");
    }
    return values;
}

std::vector<std::string> parse_classes(TextReader& reader) {
    std::vector<std::string> classes;
    reader.expect("[");
    while (!reader.accept("]")) {
        classes.push_back(reader.quoted());
        if (reader.peek() != ']') reader.expect(",");
    }
    return classes;
}

Normalization parse_normalization(TextReader& reader) {
    Normalization normalization;
    reader.expect("{");
    normalization.mean = parse_numbers(reader, "mean");
    reader.expect(",");
    normalization.deviation = parse_numbers(reader, "deviation");
    reader.expect("}");
    return normalization;
}

// Reads the kind, which must be one of `kinds`, and the fields of that kind. `what` is "optimizer"
// or "schedule".
template <class Spec>
Spec parse_spec(TextReader& reader, const std::string& what,
                const std::vector<std::string>& kinds) {
    Spec spec;
    spec.kind = reader.word();
    if (std::find(kinds.begin(), kinds.end(), spec.kind) == kinds.end()) {
        reader.fail("unknown_kind", fmt::format("'{}' is no {}", spec.kind, what),
                    fmt::format("write one of {}", fmt::join(kinds, ", ")));
    }
    parse_fields(reader, what + " " + spec.kind, [&](Fields& f) { spec.fields(f); });
    return spec;
}

// Reads the header lines, in any order and each at most once, up to the graph.
void parse_headers(TextReader& reader, Network& network) {
    std::set<std::string> found;
    const auto accept = [&](const char* word) {
        if (!reader.accept(word)) return false;
        if (!found.insert(word).second) {
            reader.fail("syntax", fmt::format("the network has two lines '{}'", word),
                        "leave one of them out");
        }
        return true;
    };
    while (true) {
        if (accept("optimizer")) {
            network.optimizer = parse_spec<OptimizerSpec>(reader, "optimizer", {"adam", "sgd"});
        } else if (accept("schedule")) {
            network.schedule =
                parse_spec<ScheduleSpec>(reader, "schedule", {"constant", "cosine", "step"});
        } else if (accept("normalization")) {
            network.normalization = parse_normalization(reader);
        } else if (accept("classes")) {
            network.classes = parse_classes(reader);
        } else {
            return;
        }
    }
}

}  // namespace

std::string print(const Network& network) {
    std::string text = fmt::format("network {}\n", network.name);
    text += fmt::format("optimizer {}\n", print_spec(network.optimizer));
    text += fmt::format("schedule {}\n", print_spec(network.schedule));
    if (!network.normalization.empty()) {
        text += fmt::format("normalization {{mean=[{}], deviation=[{}]}}\n",
                            fmt::join(network.normalization.mean, ","),
                            fmt::join(network.normalization.deviation, ","));
    }
    if (!network.classes.empty()) {
        std::vector<std::string> quoted;
        for (const std::string& name : network.classes) quoted.push_back(quote(name));
        text += fmt::format("classes [{}]\n", fmt::join(quoted, ", "));
    }
    return text + print(network.graph);
}

Network parse_network(std::string_view text, const std::string& file) {
    TextReader reader(text, file);
    Network network;
    reader.expect("network");
    network.name = reader.word();
    parse_headers(reader, network);
    network.graph = parse_graph(reader);
    if (!reader.at_end()) reader.fail("syntax", "there is text after the graph", "remove it");
    if (network.graph.name() != network.name) {
        reader.fail(
            "syntax",
            fmt::format("network '{}' holds the graph '{}'", network.name, network.graph.name()),
            "give both the same name");
    }
    verify_network(network);
    return network;
}

Network read_network(const std::string& path) {
    constexpr uint64_t kMostBytes = uint64_t{64} << 20;
    return parse_network(read_text_file(path, kMostBytes, "model", "file",
                                        "give the path of a .emu file that you may read"),
                         path);
}

// Checks

bool is_count(std::string_view output) {
    return output == "correct" || output.ends_with(".correct");
}

bool is_for_training(std::string_view output) { return output == "loss" || is_count(output); }

bool is_trained(const Network& network) { return network.graph.find_output("loss") != nullptr; }

bool is_network_name(std::string_view name) {
    if (name.empty() || name.size() > 64 || !std::isalpha(static_cast<unsigned char>(name[0])))
        return false;
    for (char c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') return false;
    }
    return true;
}

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
    // Adam's 0 / epsilon of a weight that never had a gradient is 0, in 32 bits too.
    check_range("optimizer", "epsilon", spec.epsilon, spec.kind == "adam" ? 1e-30 : 0, 1);
    if (spec.form != "outside" && spec.form != "inside" && spec.form != "keras") {
        fail("optimizer", fmt::format("adam has no form '{}'", spec.form),
             "write outside, inside or keras");
    }
}

void check_schedule(const Network& network) {
    const ScheduleSpec& spec = network.schedule;
    check_range("schedule", "final", spec.final, 0, 1e6);
    check_range("schedule", "gamma", spec.gamma, 0, 1e6);
    if (spec.every < 1) {
        fail("schedule", fmt::format("the step schedule drops every {} steps", spec.every),
             "choose every = 1 or more");
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
        if (node.op->op_class() != OpClass::source || graph.op_as<Input>(i) != nullptr) continue;
        const TensorType& type = node.types[0];
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

void check_counts(const Network& network) {
    for (const Result& result : network.graph.results()) {
        if (result.kind != Result::Kind::output || !is_count(result.name)) continue;
        const TensorType& type = network.graph.type(result.value);
        if (type != plain_type({})) {
            fail("count",
                 fmt::format("the output '{}' has type {}, but outputs of this name count right "
                             "answers: one number of type f32[]",
                             result.name, to_string(type)),
                 "give the output another name");
        }
        if (!is_trained(network)) {
            fail("count",
                 fmt::format("the output '{}' counts right answers in training, but the model '{}' "
                             "has no loss to train with",
                             result.name, network.name),
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
    if (!type.batched || type.element != ElementType::f32 || type.shape.empty()) {
        fail("input",
             fmt::format(
                 "the first input '{}' is {}, but must be what is classified: f32 for each sample",
                 image->name, to_string(type)),
             "write the picture's input before all others");
    }
}

void check_normalization(const Network& network) {
    const Normalization& normalization = network.normalization;
    const Node* image = first_input(network.graph);
    if (image == nullptr || (normalization.mean.empty() && normalization.deviation.empty())) return;
    const std::vector<int64_t>& shape = image->types[0].shape;
    size_t channels = shape.size() == 3 ? static_cast<size_t>(shape[0]) : 1;
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
    if (type.shape.size() != 1 || type.shape[0] != static_cast<int64_t>(network.classes.size())) {
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
         {check_name, check_lengths, check_sources, check_input, check_loss, check_gradients,
          check_counts, check_classes, check_normalization, check_optimizer, check_schedule}) {
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
