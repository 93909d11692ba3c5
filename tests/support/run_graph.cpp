// Plain lowerings, compiled and run node by node.
#include "tests/support/run_graph.h"

#include <Halide.h>

#include <cstring>
#include <map>
#include <stdexcept>

#include "compiler/graph/text.h"
#include "compiler/ops/lowering.h"

namespace emulsion::test {

namespace {

using reference::Tensor;

// The tensor's extents in memory, innermost first, n last.
std::vector<int> extents_of(const TensorType& type, int64_t samples) {
    std::vector<int> extents;
    for (int64_t extent : memory_extents(type)) extents.push_back(static_cast<int>(extent));
    if (type.batched) extents.push_back(static_cast<int>(samples));
    return extents;
}

// A buffer of the size of `tensor` in memory, with its values or, without them, with bytes that
// spell a huge number.
Halide::Buffer<> buffer_of(const TensorType& type, int64_t samples, const Tensor* tensor) {
    Halide::Buffer<> buffer(halide_type(type.element), extents_of(type, samples));
    std::memset(buffer.data(), 0x7E, buffer.size_in_bytes());
    if (tensor != nullptr) {
        const std::vector<std::byte> bytes = reference::pack(*tensor);
        if (bytes.size() != buffer.size_in_bytes())
            throw std::runtime_error("a tensor and its buffer differ in size");
        std::memcpy(buffer.data(), bytes.data(), bytes.size());
    }
    return buffer;
}

LowerContext context_of(const std::vector<TensorType>& inputs,
                        const std::vector<TensorType>& outputs, Halide::Expr samples) {
    LowerContext context;
    context.name = "op";
    context.inputs = inputs;
    context.outputs = outputs;
    context.samples = std::move(samples);
    return context;
}

// An op compiled for given types and any number of samples.
class CompiledOp {
  public:
    CompiledOp(const Op& op, const std::vector<TensorType>& inputs,
               const std::vector<TensorType>& outputs)
        : outputs_(outputs) {
        std::vector<Halide::Func> operands;
        for (const TensorType& type : inputs) {
            params_.emplace_back(halide_type(type.element), dimension_count(type));
            operands.push_back(params_.back());
        }
        const std::vector<Halide::Func> funcs =
            op.lower(context_of(inputs, outputs, samples_), operands);
        if (funcs.size() != outputs.size())
            throw std::runtime_error("a lowering gives a wrong number of results");
        pipeline_ = Halide::Pipeline(funcs);
    }

    std::vector<Tensor> run(const std::vector<const Tensor*>& inputs, int64_t samples) {
        samples_.set(static_cast<int32_t>(samples));
        for (size_t i = 0; i < inputs.size(); i++)
            params_[i].set(buffer_of(inputs[i]->type, samples, inputs[i]));
        std::vector<Halide::Buffer<>> buffers;
        for (const TensorType& type : outputs_)
            buffers.push_back(buffer_of(type, samples, nullptr));
        pipeline_.realize(Halide::Realization(buffers));
        std::vector<Tensor> results;
        for (size_t i = 0; i < buffers.size(); i++) {
            results.push_back(reference::unpack(outputs_[i], samples, buffers[i].data()));
        }
        return results;
    }

  private:
    std::vector<TensorType> outputs_;
    Halide::Param<int32_t> samples_{"samples"};
    std::vector<Halide::ImageParam> params_;
    Halide::Pipeline pipeline_;
};

// Compiles an op once for all its runs in this process.
CompiledOp& compiled(const Op& op, const std::vector<TensorType>& inputs,
                     const std::vector<TensorType>& outputs) {
    static std::map<std::string, CompiledOp> known;
    std::string key = std::string(op.kind()) + print_attributes(op);
    for (const TensorType& type : inputs) key += " " + to_string(type);
    for (const TensorType& type : outputs) key += " > " + to_string(type);
    auto found = known.find(key);
    if (found == known.end()) found = known.try_emplace(key, op, inputs, outputs).first;
    return found->second;
}

std::vector<Tensor> run_node(const Op& op, const std::vector<const Tensor*>& inputs,
                             const std::vector<TensorType>& types, int64_t samples) {
    std::vector<TensorType> input_types;
    for (const Tensor* input : inputs) input_types.push_back(input->type);
    return compiled(op, input_types, types).run(inputs, samples);
}

}  // namespace

reference::Values run_graph(const Graph& graph, const reference::Sources& sources,
                            int64_t samples) {
    reference::Values values;
    for (const Node& node : graph.nodes()) {
        if (auto found = sources.find(node.name); found != sources.end()) {
            values.push_back({reference::rounded(found->second)});
            continue;
        }
        std::vector<const Tensor*> inputs;
        for (Value value : node.inputs) {
            inputs.push_back(
                &values[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)]);
        }
        values.push_back(run_node(*node.op, inputs, node.types, samples));
    }
    return values;
}

std::vector<Tensor> run_op(const Op& op, const std::vector<Tensor>& inputs, int64_t samples) {
    std::vector<const Tensor*> operands;
    std::vector<TensorType> types;
    for (const Tensor& tensor : inputs) {
        operands.push_back(&tensor);
        types.push_back(tensor.type);
    }
    return run_node(op, operands, op.infer(types), samples);
}

bool is_inlinable(const Op& op, const std::vector<TensorType>& inputs) {
    std::vector<Halide::Func> operands;
    for (const TensorType& type : inputs) {
        Halide::Func operand;
        operand(coordinates(type)) = Halide::cast(halide_type(type.element), 1);
        operands.push_back(operand);
    }
    const std::vector<TensorType> outputs = op.infer(inputs);
    for (const Halide::Func& func :
         op.lower(context_of(inputs, outputs, Halide::Expr(2)), operands)) {
        for (const auto& [name, called] :
             Halide::Internal::find_transitive_calls(func.function())) {
            if (called.has_update_definition()) return false;
        }
    }
    return true;
}

}  // namespace emulsion::test
