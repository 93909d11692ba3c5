// Building, checking and comparing graphs.
#include "compiler/graph/graph.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <set>

#include "compiler/graph/limits.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

[[noreturn]] void rethrow_at(const Error& error, const std::string& name, std::string_view kind,
                             const SourceLocation& where, const Graph& graph,
                             const std::vector<Value>& inputs) {
    Diagnostic diagnostic = error.diagnostic();
    if (diagnostic.where.file.empty()) diagnostic.where = where;
    diagnostic.message = fmt::format("{} '{}': {}", kind, name, diagnostic.message);
    for (Value value : inputs) {
        const Node& node = graph.node(value.node);
        std::string note = fmt::format("operand '{}' {}", node.name, to_string(graph.type(value)));
        if (!node.where.file.empty())
            note += fmt::format(" from {}:{}", node.where.file, node.where.line);
        diagnostic.notes.push_back(note);
    }
    throw Error(std::move(diagnostic));
}

std::vector<TensorType> types_of(const Graph& graph, const std::vector<Value>& inputs) {
    std::vector<TensorType> types;
    for (Value value : inputs) types.push_back(graph.type(value));
    return types;
}

std::vector<TensorType> infer_types(const Op& op, const Graph& graph,
                                    const std::vector<Value>& inputs) {
    return op.infer(types_of(graph, inputs));
}

}  // namespace

int Graph::find(std::string_view name) const {
    for (size_t i = 0; i < nodes_.size(); i++) {
        if (nodes_[i].name == name) return static_cast<int>(i);
    }
    return -1;
}

const Result* Graph::find_output(std::string_view name) const {
    for (const Result& result : results_) {
        if (result.kind == Result::Kind::output && result.name == name) return &result;
    }
    return nullptr;
}

std::vector<std::vector<int>> users_of(const Graph& graph) {
    std::vector<std::vector<int>> users(graph.nodes().size());
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        for (Value value : graph.nodes()[i].inputs) {
            auto& list = users[static_cast<size_t>(value.node)];
            if (list.empty() || list.back() != static_cast<int>(i))
                list.push_back(static_cast<int>(i));
        }
    }
    return users;
}

GraphBuilder::GraphBuilder(std::string name) { graph_.name_ = std::move(name); }

GraphBuilder::GraphBuilder(const Graph& graph, bool keep_results) : graph_(graph) {
    if (!keep_results) graph_.results_.clear();
    for (size_t i = 0; i < graph_.nodes_.size(); i++)
        names_[graph_.nodes_[i].name] = static_cast<int>(i);
}

Value GraphBuilder::add(std::shared_ptr<const Op> op, std::vector<Value> inputs, std::string name,
                        SourceLocation where) {
    Node node;
    try {
        check_attributes(*op);
        node.types = infer_types(*op, graph_, inputs);
    } catch (const Error& error) {
        rethrow_at(error, name, op->kind(), where, graph_, inputs);
    }
    node.op = std::move(op);
    node.inputs = std::move(inputs);
    node.name = std::move(name);
    node.where = std::move(where);
    return add_typed(std::move(node));
}

Value GraphBuilder::add_typed(Node node) {
    for (Value value : node.inputs) {
        EMU_CHECK(value.node >= 0 && value.node < static_cast<int>(graph_.nodes_.size()),
                  "operand of '{}' is undefined", node.name);
    }
    if (auto found = names_.find(node.name); found != names_.end()) {
        const Node& first = graph_.node(found->second);
        Diagnostic diagnostic{"name",
                              fmt::format("the name '{}' is used twice", node.name),
                              "give one of the two another name",
                              node.where,
                              {}};
        if (!first.where.file.empty()) {
            diagnostic.notes.push_back(
                fmt::format("first used at {}:{}", first.where.file, first.where.line));
        }
        throw Error(std::move(diagnostic));
    }
    for (const TensorType& type : node.types) {
        try {
            check_size(node.name, type);
            check_factors(node.name, type);
        } catch (const Error& error) {
            rethrow_at(error, node.name, node.op->kind(), node.where, graph_, node.inputs);
        }
    }
    names_[node.name] = static_cast<int>(graph_.nodes_.size());
    graph_.nodes_.push_back(std::move(node));
    return {static_cast<int>(graph_.nodes_.size()) - 1, 0};
}

void GraphBuilder::output(std::string name, Value value) {
    graph_.results_.push_back({Result::Kind::output, std::move(name), value, -1});
}

void GraphBuilder::gradient(int target, Value value) {
    graph_.results_.push_back({Result::Kind::gradient, "", value, target});
}

void GraphBuilder::update(int target, Value value) {
    graph_.results_.push_back({Result::Kind::update, "", value, target});
}

std::string GraphBuilder::unique_name(std::string_view base) const {
    std::string name(base);
    for (int i = 2; names_.contains(name); i++) name = fmt::format("{}.{}", base, i);
    return name;
}

Graph GraphBuilder::build() {
    Graph graph = std::move(graph_);
    graph_ = Graph();
    names_.clear();
    return graph;
}

namespace {

bool is_weight(const Graph& graph, int node) {
    return graph.op_as<Parameter>(node) != nullptr || graph.op_as<State>(node) != nullptr;
}

}  // namespace

Graph remove_dead_nodes(const Graph& graph, UnreadWeights unread) {
    std::vector<bool> live(graph.nodes().size(), false);
    for (const Result& result : graph.results()) {
        live[static_cast<size_t>(result.value.node)] = true;
        if (result.target >= 0) live[static_cast<size_t>(result.target)] = true;
    }
    for (size_t i = graph.nodes().size(); i-- > 0;) {
        if (unread == UnreadWeights::stay && is_weight(graph, static_cast<int>(i))) live[i] = true;
        if (!live[i]) continue;
        for (Value value : graph.nodes()[i].inputs) live[static_cast<size_t>(value.node)] = true;
    }
    GraphBuilder builder(graph.name());
    std::vector<int> moved(graph.nodes().size(), -1);
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        if (!live[i]) continue;
        Node node = graph.nodes()[i];
        for (Value& value : node.inputs) value.node = moved[static_cast<size_t>(value.node)];
        moved[i] = builder.add_typed(std::move(node)).node;
    }
    for (Result result : graph.results()) {
        result.value.node = moved[static_cast<size_t>(result.value.node)];
        switch (result.kind) {
            case Result::Kind::output:
                builder.output(result.name, result.value);
                break;
            case Result::Kind::gradient:
                builder.gradient(moved[static_cast<size_t>(result.target)], result.value);
                break;
            case Result::Kind::update:
                builder.update(moved[static_cast<size_t>(result.target)], result.value);
                break;
        }
    }
    return builder.build();
}

namespace {

void verify_node(const Graph& graph, int index) {
    const Node& node = graph.node(index);
    auto refuse = [&](std::string message) {
        throw Error(
            {"verify",
             fmt::format("node '{}' of graph '{}': {}", node.name, graph.name(), message),
             "this graph breaks a rule of the compiler's own: please report it with the model",
             node.where,
             {}});
    };
    if (!node.op) refuse("has no op");
    for (Value value : node.inputs) {
        if (value.node < 0 || value.node >= index) refuse("an operand is not defined before it");
        if (value.output < 0 ||
            value.output >= static_cast<int>(graph.node(value.node).types.size())) {
            refuse(fmt::format("'{}' has no output {}", graph.node(value.node).name, value.output));
        }
    }
    std::vector<TensorType> inferred = infer_types(*node.op, graph, node.inputs);
    if (inferred.size() != node.types.size()) {
        refuse(fmt::format("has {} outputs, its op gives {}", node.types.size(), inferred.size()));
    }
    for (size_t i = 0; i < inferred.size(); i++) {
        if (inferred[i] != node.types[i]) {
            refuse(fmt::format("has type {}, its op gives {}", to_string(node.types[i]),
                               to_string(inferred[i])));
        }
    }
}

const char* kind_name(Result::Kind kind) {
    switch (kind) {
        case Result::Kind::output:
            return "output";
        case Result::Kind::gradient:
            return "gradient";
        case Result::Kind::update:
            return "update";
    }
    return "";
}

// An update is of a parameter or state, a gradient of a parameter, an output of nothing.
void verify_result(const Graph& graph, const Result& result) {
    if (result.kind == Result::Kind::output) return;
    EMU_CHECK(result.target >= 0 && result.target < static_cast<int>(graph.nodes().size()),
              "a result of graph '{}' has no target", graph.name());
    const bool is_parameter = graph.op_as<Parameter>(result.target) != nullptr;
    const bool is_state = graph.op_as<State>(result.target) != nullptr;
    if (is_parameter || (is_state && result.kind == Result::Kind::update)) return;
    const Node& target = graph.node(result.target);
    const bool is_update = result.kind == Result::Kind::update;
    throw Error({"result",
                 fmt::format("'{}' is the result of '{}', but {}", target.name, target.op->kind(),
                             is_update ? "an update writes a parameter or state"
                                       : "a gradient is of a parameter"),
                 is_update ? "name a parameter or state behind 'update'"
                           : "name a parameter behind 'gradient'",
                 target.where,
                 {}});
}

}  // namespace

void verify(const Graph& graph) {
    std::map<std::string, int> names;
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        verify_node(graph, static_cast<int>(i));
        if (!names.emplace(graph.nodes()[i].name, 1).second) {
            fail("verify",
                 fmt::format("graph '{}' has two nodes named '{}'", graph.name(),
                             graph.nodes()[i].name),
                 "please report this with the model");
        }
    }
    std::set<std::pair<Result::Kind, std::string>> results;
    for (const Result& result : graph.results()) {
        EMU_CHECK(
            result.value.node >= 0 && result.value.node < static_cast<int>(graph.nodes().size()),
            "a result of graph '{}' is undefined", graph.name());
        verify_result(graph, result);
        const bool is_output = result.kind == Result::Kind::output;
        const std::string name = is_output ? result.name : graph.node(result.target).name;
        if (!results.emplace(result.kind, name).second) {
            fail("result",
                 is_output ? fmt::format("two outputs are named '{}'", name)
                           : fmt::format("'{}' has two {}s", name, kind_name(result.kind)),
                 is_output ? "give each output a name of its own" : "leave one of them out");
        }
        if (result.target < 0) continue;
        if (graph.type(result.value) != graph.node(result.target).types[0]) {
            fail("verify",
                 fmt::format(
                     "'{}' has type {}, its new value '{}' has {}", graph.node(result.target).name,
                     to_string(graph.node(result.target).types[0]),
                     graph.node(result.value.node).name, to_string(graph.type(result.value))),
                 "please report this with the model");
        }
    }
}

bool operator==(const Graph& a, const Graph& b) {
    if (a.name() != b.name() || a.results() != b.results() || a.nodes().size() != b.nodes().size())
        return false;
    return std::equal(
        a.nodes().begin(), a.nodes().end(), b.nodes().begin(), [](const Node& x, const Node& y) {
            return *x.op == *y.op && x.inputs == y.inputs && x.types == y.types && x.name == y.name;
        });
}

}  // namespace emulsion
