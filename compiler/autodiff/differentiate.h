// Reverse-mode differentiation, graph to graph: each op's gradient is built from ops, so the
// backward pass is optimised and fused like any other part of the graph.
#pragma once

#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// For each node whether it depends on a target.
std::vector<bool> reached_from(const Graph& graph, const std::vector<int>& targets);

// Appends to `builder` the nodes of d loss / d target for each of `targets` (source nodes) and
// returns the values, in order; undefined where the loss does not depend on a target. `loss` is a
// plain scalar. Nodes that no target reaches get no gradient work. Contributions of several users
// are added from the last user to the first.
std::vector<Value> differentiate(GraphBuilder& builder, Value loss,
                                 const std::vector<int>& targets);

// How a rectifier (relu, relu6) of input x hands the gradient g of its result on:
//     gradient       g where it rises with x, else 0: what it is
//     guided         max(g, 0) there, else 0 (guided back-propagation: Springenberg and others,
//                    "Striving for simplicity", 2015)
//     deconvolution  max(g, 0) everywhere (Zeiler and Fergus, "Visualizing and understanding
//                    convolutional networks", 2014; what max pooling hands back goes to its
//                    winners under every rule: their switches)
enum class RectifierRule { gradient, guided, deconvolution };

// A value and the gradient that flows into it, of its type.
struct Seed {
    Value value, gradient;
};

// The same for the sum of all elements of value times gradient over `seeds`, under a rule.
std::vector<Value> differentiate(GraphBuilder& builder, const std::vector<Seed>& seeds,
                                 const std::vector<int>& targets,
                                 RectifierRule rule = RectifierRule::gradient);

}  // namespace emulsion
