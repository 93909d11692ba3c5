// The struct emulsion_info of a library.
#include "compiler/codegen/info.h"

#include <algorithm>
#include <optional>

#include "compiler/codegen/manifest.h"
#include "compiler/ops/sources.h"
#include "runtime/abi/instance.h"

namespace emulsion {

namespace {

using llvm::Constant;

int32_t abi_type(ElementType element) {
    switch (element) {
        case ElementType::f32:
            return EMULSION_F32;
        case ElementType::i32:
            return EMULSION_I32;
        case ElementType::u8:
            return EMULSION_U8;
    }
    return 0;
}

// What the readers of an input want it to hold.
struct Contract {
    int64_t classes = 0;             // the least that one of them knows; 0: it holds no indices
    std::optional<int64_t> ignored;  // where all of them ignore it
    bool distribution = false;

    void add(const Op& op, size_t operand, std::span<const TensorType> inputs) {
        distribution = distribution || op.is_distribution(operand);
        const int64_t limit = op.index_limit(operand, inputs);
        if (limit == 0) return;
        const std::optional<int64_t> own = op.ignored_index(operand);
        ignored = classes == 0 || ignored == own ? own : std::nullopt;
        classes = classes > 0 ? std::min(classes, limit) : limit;
    }
};

Contract contract_of(const Graph& graph, const std::string& input) {
    Contract contract;
    for (const Node& node : graph.nodes()) {
        std::vector<TensorType> types;
        for (Value value : node.inputs) types.push_back(graph.type(value));
        for (size_t k = 0; k < node.inputs.size(); k++) {
            const int source = node.inputs[k].node;
            if (graph.op_as<Input>(source) == nullptr || graph.node(source).name != input) continue;
            contract.add(*node.op, k, types);
        }
    }
    return contract;
}

class InfoWriter {
  public:
    InfoWriter(ConstantWriter& write, const Network& network, const Plan& plan,
               const std::vector<std::string>& kernels)
        : write_(write),
          builder_(write.builder()),
          network_(network),
          plan_(plan),
          kernels_(kernels) {}

    Constant* info() {
        std::vector<Constant*> inputs, outputs, tensors;
        for (const PlannedPort& p : plan_.inputs)
            inputs.push_back(port(p, contract_of(network_.graph, p.name)));
        for (const PlannedPort& p : plan_.outputs) outputs.push_back(port(p, {}));
        for (const PlannedTensor& t : plan_.tensors) tensors.push_back(tensor(t));
        std::vector<std::string> variants;
        int batch = 1;
        for (const VariantPlan& variant : plan_.variants) {
            variants.push_back(variant.isa.name);
            batch = variant.batches.back().batch;
        }
        auto count = [&](size_t n) { return write_.i32(static_cast<int64_t>(n)); };
        const Normalization& normal = network_.normalization;
        return write_.checked(
            write_.structure({write_.i32(EMULSION_ABI_VERSION),
                              write_.i32(batch),
                              write_.text(network_.name),
                              write_.text(network_signature(network_)),
                              write_.text(EMULSION_VERSION),
                              write_.text(plan_.training ? optimizer_line(network_) : ""),
                              texts(network_.classes, "classes"),
                              count(network_.classes.size()),
                              count(inputs.size()),
                              count(outputs.size()),
                              count(tensors.size()),
                              write_.table(inputs, "inputs"),
                              write_.table(outputs, "outputs"),
                              write_.table(tensors, "tensors"),
                              texts(variants, "variant_names"),
                              count(variants.size()),
                              count(kernels_.size()),
                              texts(kernels_, "kernels"),
                              four_floats(normal.mean, 0),
                              four_floats(normal.deviation, 1),
                              write_.i32(!normal.empty()),
                              write_.i32(plan_.threads)}),
            sizeof(emulsion_info), "emulsion_info");
    }

  private:
    Constant* shape_array(const std::vector<int64_t>& shape, size_t size) {
        std::vector<Constant*> values;
        for (size_t i = 0; i < size; i++)
            values.push_back(write_.i64(i < shape.size() ? shape[i] : 0));
        return write_.array(builder_.getInt64Ty(), values);
    }

    Constant* port(const PlannedPort& port, const Contract& contract) {
        const TensorType& type = port.type;
        return write_.checked(
            write_.structure(
                {write_.text(port.name), write_.i32(abi_type(type.element)),
                 write_.i32(static_cast<int64_t>(type.shape.size())), write_.i32(type.batched),
                 write_.i32(contract.classes), write_.i32(contract.ignored.value_or(0)),
                 write_.i32(contract.distribution), shape_array(type.shape, EMULSION_MAX_RANK),
                 write_.i64(memory_bytes(type, 1))}),
            sizeof(emulsion_port), "emulsion_port");
    }

    Constant* tensor(const PlannedTensor& tensor) {
        const TensorType& type = tensor.type;
        return write_.checked(
            write_.structure({write_.text(tensor.name), write_.i32(abi_type(type.element)),
                              write_.i32(place_of(tensor.memory)),
                              write_.i32(static_cast<int64_t>(type.shape.size())),
                              write_.i32(tensor.trained),
                              shape_array(type.shape, EMULSION_MAX_RANK),
                              shape_array(type.factors, 3), write_.i64(tensor.offset),
                              write_.i64(tensor.bytes), write_.i64(tensor.gradient_offset)}),
            sizeof(emulsion_tensor), "emulsion_tensor");
    }

    Constant* texts(const std::vector<std::string>& values, const char* name) {
        std::vector<Constant*> addresses;
        for (const std::string& value : values) addresses.push_back(write_.text(value));
        return write_.table(addresses, name);
    }

    Constant* four_floats(const std::vector<double>& values, double rest) {
        std::vector<Constant*> list;
        for (size_t i = 0; i < 4; i++)
            list.push_back(write_.f32(i < values.size() ? values[i] : rest));
        return write_.array(builder_.getFloatTy(), list);
    }

    ConstantWriter& write_;
    llvm::IRBuilder<>& builder_;
    const Network& network_;
    const Plan& plan_;
    const std::vector<std::string>& kernels_;
};

}  // namespace

int place_of(MemoryClass memory) {
    switch (memory) {
        case MemoryClass::parameters:
            return EMULSION_PARAMETERS;
        case MemoryClass::gradients:
            return EMULSION_GRADIENTS;
        case MemoryClass::state:
            return EMULSION_STATE;
        case MemoryClass::prepared:
            return EMULSION_PREPARED;
        case MemoryClass::workspace:
            return EMULSION_WORKSPACE;
        case MemoryClass::input:
            return EMULSION_INPUT;
        case MemoryClass::output:
            return EMULSION_OUTPUT;
    }
    return 0;
}

llvm::Constant* info_struct(ConstantWriter& write, const Network& network, const Plan& plan,
                            const std::vector<std::string>& kernels) {
    return InfoWriter(write, network, plan, kernels).info();
}

}  // namespace emulsion
