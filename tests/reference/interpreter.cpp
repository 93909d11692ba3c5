// The walk over a graph; the ops themselves are in the other files of this folder.
#include "tests/reference/interpreter.h"

#include <stdexcept>

#include "compiler/ops/sources.h"

namespace emulsion::reference {

namespace {

std::vector<Tensor> constant(const Call& call) {
    Tensor out = call.output();
    for (double& value : out.values) value = call.as<Constant>().value;
    return {out};
}

std::vector<Tensor> call(const Op& op, std::vector<const Tensor*> inputs,
                         std::vector<TensorType> types, int64_t samples) {
    auto found = table().find(op.kind());
    if (found == table().end()) {
        throw std::runtime_error("the reference has no op '" + std::string(op.kind()) + "'");
    }
    return found->second({op, std::move(inputs), std::move(types), samples});
}

}  // namespace

const Table& table() {
    static const Table all = [] {
        Table t;
        t["constant"] = constant;
        add_convolution(t);
        add_dense(t);
        add_elementary(t);
        add_index(t);
        add_local(t);
        add_loss(t);
        add_normalization(t);
        add_optimizer(t);
        add_pointwise(t);
        add_pooling(t);
        add_signal(t);
        add_structure(t);
        add_winograd(t);
        return t;
    }();
    return all;
}

namespace {

const Tensor& source_value(const Node& node, const Sources& sources) {
    auto found = sources.find(node.name);
    if (found == sources.end())
        throw std::runtime_error("the source '" + node.name + "' has no value");
    if (found->second.type != node.types[0]) {
        throw std::runtime_error("the source '" + node.name + "' is " + to_string(node.types[0]) +
                                 ", but its value is " + to_string(found->second.type));
    }
    return found->second;
}

}  // namespace

Values evaluate(const Graph& graph, const Sources& sources, int64_t samples, const Change& change) {
    Values values;
    for (const Node& node : graph.nodes()) {
        std::vector<const Tensor*> inputs;
        for (Value value : node.inputs) {
            inputs.push_back(
                &values[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)]);
        }
        const bool is_given =
            node.op->op_class() == OpClass::source && node.op->kind() != "constant";
        std::vector<Tensor> outputs = is_given ? std::vector<Tensor>{source_value(node, sources)}
                                               : call(*node.op, inputs, node.types, samples);
        if (change) change(node, inputs, outputs);
        values.push_back(std::move(outputs));
    }
    return values;
}

Values evaluate(const Graph& graph, const Sources& sources, int64_t samples) {
    return evaluate(graph, sources, samples, nullptr);
}

std::vector<Tensor> evaluate(const Op& op, const std::vector<Tensor>& inputs, int64_t samples) {
    std::vector<const Tensor*> operands;
    std::vector<TensorType> types;
    for (const Tensor& tensor : inputs) {
        operands.push_back(&tensor);
        types.push_back(tensor.type);
    }
    return call(op, std::move(operands), op.infer(types), samples);
}

}  // namespace emulsion::reference
