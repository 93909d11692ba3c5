// Evaluates whole graphs in double precision with naive loops on logical tensors: the reference
// that lowerings, recipes and gradients are measured against. It shares no arithmetic with the
// compiler.
//
// Each op kind has one function; a family of ops is one file, which adds its functions to the
// table.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/graph.h"
#include "tests/reference/tensor.h"

namespace emulsion::reference {

// One node to be evaluated.
struct Call {
    const Op& op;
    std::vector<const Tensor*> inputs;
    std::vector<TensorType> types;  // of the outputs
    int64_t samples = 1;

    const Tensor& input(size_t i) const { return *inputs[i]; }
    // Zeros in the shape of output i.
    Tensor output(size_t i = 0) const { return make_tensor(types[i], samples); }
    template <class T>
    const T& as() const {
        return dynamic_cast<const T&>(op);
    }
};

using Function = std::vector<Tensor> (*)(const Call&);
using Table = std::map<std::string_view, Function>;

// The families.
void add_convolution(Table& table);
void add_dense(Table& table);
void add_elementary(Table& table);
void add_pooling(Table& table);
void add_structure(Table& table);
void add_index(Table& table);
void add_local(Table& table);
void add_loss(Table& table);
void add_normalization(Table& table);
void add_optimizer(Table& table);
void add_pointwise(Table& table);
void add_signal(Table& table);
void add_winograd(Table& table);

// All of them.
const Table& table();

// Values of the sources of a graph, by node name.
using Sources = std::map<std::string, Tensor>;

// Values[node][output] of every node of a graph. Throws std::runtime_error for an op without a
// function or a source without a value.
using Values = std::vector<std::vector<Tensor>>;
Values evaluate(const Graph& graph, const Sources& sources, int64_t samples);

// The same, and `change` may alter what a node gives before anybody reads it; sources are nodes
// without inputs.
using Change = std::function<void(const Node& node, const std::vector<const Tensor*>& inputs,
                                  std::vector<Tensor>& outputs)>;
Values evaluate(const Graph& graph, const Sources& sources, int64_t samples, const Change& change);

// One op on given inputs.
std::vector<Tensor> evaluate(const Op& op, const std::vector<Tensor>& inputs, int64_t samples);

}  // namespace emulsion::reference
