// Rebuilds a graph node by node; shared by the passes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

class Rewriter {
  public:
    explicit Rewriter(const Graph& from);

    const Graph& from() const { return from_; }
    GraphBuilder& builder() { return builder_; }
    const std::vector<int>& users(int node) const { return users_[static_cast<size_t>(node)]; }
    // True if exactly one node and no result reads the node's outputs.
    bool has_single_user(int node) const;

    // The new value that stands for an old one. REQUIRES: its node is rebuilt.
    Value at(Value old) const;
    std::vector<Value> at(const std::vector<Value>& old) const;
    // Rebuilds the node on the new operands, under its name.
    void copy(int node);
    // Lets `value` stand for output k of an old node.
    void replace(int node, int output, Value value) { moved_[{node, output}] = value; }
    // Adds a node; the name is made unique against old names too.
    Value add(std::string_view kind, const std::string& attributes, std::vector<Value> inputs,
              const std::string& name, const SourceLocation& where = {});
    // Moves the results, and drops what they do not need.
    Graph finish();

  private:
    const Graph& from_;
    GraphBuilder builder_;
    std::vector<std::vector<int>> users_;
    std::vector<bool> is_result_;
    std::map<Value, Value> moved_;
};

// Adds to a rebuilt graph what stands for a result of the old one: `value`, and the tensor that the
// result's target has become, as `moved` says.
void move_result(GraphBuilder& builder, const Result& old, Value value,
                 const std::function<Value(Value)>& moved);

// Visits the nodes in order; `rule` returns true where it has replaced all outputs that are read,
// else the node is copied.
Graph rewrite(const Graph& graph, const std::function<bool(Rewriter&, int node)>& rule);

}  // namespace emulsion
