// Values by the text of what computes them.
#include "compiler/plan/prepared.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/text.h"

namespace emulsion {

void PreparedWeights::define(GroupedBatch& batch) {
    const Graph& graph = batch.graph;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        std::string text = fmt::format("{}{}", node.op->kind(), print_attributes(*node.op));
        if (node.inputs.empty()) text += " " + node.name;
        for (Value input : node.inputs)
            text += fmt::format(" {}:{}", batch.definitions.at({input.node, 0}), input.output);
        const int number = definitions_.emplace(text, definitions_.size()).first->second;
        for (int k = 0; k < static_cast<int>(node.types.size()); k++)
            batch.definitions[{i, k}] = number;
    }
    for (size_t g = 0; g < batch.bodies.size(); g++) {
        if (batch.stage(g) == Stage::prepare) continue;
        for (const Operand& operand : batch.bodies[g].operands)
            lasting_.insert(definition(batch, operand.root));
    }
}

std::vector<bool> PreparedWeights::needed_groups(const GroupedBatch& batch) const {
    std::vector<bool> needed(batch.bodies.size(), false);
    std::set<Value> read;
    for (size_t g = batch.bodies.size(); g-- > 0;) {
        if (batch.stage(g) != Stage::prepare) continue;
        const GroupBody& body = batch.bodies[g];
        needed[g] = std::any_of(body.results.begin(), body.results.end(), [&](Value value) {
            const auto key = definition(batch, value);
            return lasting_.contains(key) ? !places_.contains(key) : read.contains(value);
        });
        if (!needed[g]) continue;
        for (const Operand& operand : body.operands) read.insert(operand.root);
    }
    return needed;
}

Place PreparedWeights::place(const GroupedBatch& batch, Value value) {
    auto [found, inserted] =
        places_.try_emplace(definition(batch, value), Place{MemoryClass::prepared, bytes_});
    if (inserted) bytes_ += round_up(memory_bytes(batch.graph.type(value), 1), alignment_);
    return found->second;
}

}  // namespace emulsion
