// Symbols by the text of what computes them.
#include "compiler/plan/symbols.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"

namespace emulsion {

std::vector<int> Symbols::outputs_of(const Node& node, const std::vector<int>& inputs) {
    if (node.op->op_class() == OpClass::view) return {seen_as(inputs[0], node.types[0])};
    if (dynamic_cast<const Constant*>(node.op.get()) != nullptr)
        return {constant(print_attributes(*node.op), node.types[0])};
    if (node.op->joins_channels()) return {joined(inputs)};
    std::string text = fmt::format("{} {}", node.op->kind(), print_attributes(*node.op));
    for (int input : inputs) text += fmt::format(" {}", input);
    std::vector<int> outputs;
    for (size_t k = 0; k < node.types.size(); k++) {
        const std::string output = fmt::format("{} {} {}", text, to_string(node.types[k]), k);
        outputs.push_back(number(output, node.types[k]));
    }
    return outputs;
}

int Symbols::joined(const std::vector<int>& parts) {
    std::vector<int> flat;
    for (int part : parts) {
        const auto found = parts_.find(part);
        if (found == parts_.end()) {
            flat.push_back(part);
        } else {
            flat.insert(flat.end(), found->second.begin(), found->second.end());
        }
    }
    TensorType type = types_[at(flat[0])];
    type.shape[0] = 0;
    for (int part : flat) type.shape[0] += types_[at(part)].shape[0];
    const int whole = number(fmt::format("joined {}", fmt::join(flat, " ")), type);
    parts_[whole] = std::move(flat);
    return whole;
}

int Symbols::seen_as(int symbol, const TensorType& type) {
    const int root = roots_[at(symbol)];
    if (types_[at(root)] == type) return root;
    if (const auto found = constants_.find(root); found != constants_.end())
        return constant(std::string(found->second), type);
    const int view = number(fmt::format("view {} {}", root, to_string(type)), type);
    roots_[at(view)] = root;
    return view;
}

int Symbols::constant(const std::string& attributes, const TensorType& type) {
    const int symbol = number(fmt::format("constant {} {}", attributes, to_string(type)), type);
    constants_[symbol] = attributes;
    return symbol;
}

int Symbols::number(const std::string& text, const TensorType& type) {
    const auto [found, inserted] = numbers_.emplace(text, static_cast<int>(types_.size()));
    if (inserted) {
        types_.push_back(type);
        roots_.push_back(found->second);
    }
    return found->second;
}

}  // namespace emulsion
