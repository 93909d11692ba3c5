// The graph: immutable, typed, in topological order. Passes read one and build another.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/op.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

struct Node {
    std::shared_ptr<const Op> op;
    std::vector<Value> inputs;      // of earlier nodes
    std::vector<TensorType> types;  // of the outputs
    std::string name;               // unique in the graph
    SourceLocation where;
};

// What a graph hands out. An `update` writes its value into the memory of `target`, a parameter or
// state node, when the graph's run ends well; a `gradient` is the gradient of the parameter
// `target`.
struct Result {
    enum class Kind { output, gradient, update };
    Kind kind = Kind::output;
    std::string name;  // of an output; empty otherwise
    Value value;
    int target = -1;
    bool operator==(const Result&) const = default;
};

class Graph {
  public:
    Graph() = default;
    const std::string& name() const { return name_; }
    const std::vector<Node>& nodes() const { return nodes_; }
    const std::vector<Result>& results() const { return results_; }
    const Node& node(int index) const { return nodes_[static_cast<size_t>(index)]; }
    const TensorType& type(Value value) const {
        return node(value.node).types[static_cast<size_t>(value.output)];
    }
    // The op of a node as its own type, or null.
    template <class T>
    const T* op_as(int index) const {
        return dynamic_cast<const T*>(node(index).op.get());
    }
    // Index of the node with this name, or -1.
    int find(std::string_view name) const;
    // The result that is the output with this name, or null.
    const Result* find_output(std::string_view name) const;

  private:
    friend class GraphBuilder;
    std::string name_;
    std::vector<Node> nodes_;
    std::vector<Result> results_;
};

// Users of each node: for node i the nodes that read one of its outputs, ascending, each once.
std::vector<std::vector<int>> users_of(const Graph& graph);

// Builds a graph node by node; infers types as nodes are added.
class GraphBuilder {
  public:
    explicit GraphBuilder(std::string name);
    // Starts from all nodes (and, if asked, results) of a graph.
    explicit GraphBuilder(const Graph& graph, bool keep_results = false);

    // Adds a node and returns its first output. Throws Error[…] from the op's `infer`, with `where`
    // and the operands as notes; Error[name] if the name is taken.
    Value add(std::shared_ptr<const Op> op, std::vector<Value> inputs, std::string name,
              SourceLocation where = {});
    // As `add`, with the given output types instead of inferred ones (layout factors).
    Value add_typed(Node node);

    void output(std::string name, Value value);
    void gradient(int target, Value value);
    void update(int target, Value value);

    const Graph& graph() const { return graph_; }
    const TensorType& type(Value value) const { return graph_.type(value); }
    // `base`, or base.2, base.3, … if taken.
    std::string unique_name(std::string_view base) const;
    // Takes the graph; the builder is empty afterwards.
    Graph build();

  private:
    Graph graph_;
    std::map<std::string, int, std::less<>> names_;
};

// Whether parameters and state that no result needs stay: what a network learns is part of every
// graph made of it.
enum class UnreadWeights { stay, go };

// The nodes that results need, and parameters and state, in order; others dropped (inputs included
// where nobody reads them).
Graph remove_dead_nodes(const Graph& graph, UnreadWeights unread = UnreadWeights::stay);

// Checks all invariants: order, arity, types equal to those inferred, unique names, results. Throws
// Error[verify].
void verify(const Graph& graph);

// Equal nodes (op, inputs, types, names) and results; locations do not count.
bool operator==(const Graph& a, const Graph& b);

}  // namespace emulsion
