// By the classes of the ops between operand and result.
#include "compiler/plan/in_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

// The nodes that depend on `operand`, itself included; empty where one of them reads other elements
// of it than its own.
std::vector<bool> elementwise_readers(const Graph& nodes, int operand) {
    std::vector<bool> reached(nodes.nodes().size(), false);
    reached[static_cast<size_t>(operand)] = true;
    for (int i = operand + 1; i < static_cast<int>(nodes.nodes().size()); i++) {
        const Node& node = nodes.node(i);
        for (Value input : node.inputs) {
            if (!reached[static_cast<size_t>(input.node)]) continue;
            if (node.op->op_class() != OpClass::pointwise ||
                node.types[0] != nodes.node(operand).types[0])
                return {};
            reached[static_cast<size_t>(i)] = true;
        }
    }
    return reached;
}

}  // namespace

bool may_overwrite(const Group& group, const Recipe& recipe, size_t r, size_t i) {
    if (!recipe.writes_in_place()) return false;
    const Graph& nodes = group.body;
    const int operand = nodes.find(fmt::format("a{}", i));
    if (group.anchor < 0) {
        const std::vector<bool> reached = elementwise_readers(nodes, operand);
        if (reached.empty()) return false;
        // Of several results, one that needs the element itself: no other can then be read late.
        return nodes.results().size() == 1 ||
               reached[static_cast<size_t>(nodes.results()[r].value.node)];
    }
    if (nodes.results().size() != 1) return false;
    if (group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
    const std::vector<int> users = users_of(nodes)[static_cast<size_t>(operand)];
    if (users.size() != 1 || users[0] == group.anchor) return false;
    if (!group.follows_anchor({users[0], 0})) return false;
    return nodes.node(users[0]).op->op_class() == OpClass::pointwise;
}

bool may_update(const Graph& graph, const GroupBody& body, const Recipe& recipe) {
    const Graph& nodes = body.group.body;
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::update) continue;
        const auto found = std::ranges::find(body.results, root_of(graph, result.value));
        if (found == body.results.end()) continue;
        const auto r = static_cast<size_t>(found - body.results.begin());
        for (size_t i = 0; i < body.operands.size(); i++) {
            if (body.operands[i].root.node != result.target) continue;
            const std::vector<bool> reached =
                elementwise_readers(nodes, nodes.find(fmt::format("a{}", i)));
            if (!recipe.writes_in_place() || reached.empty()) return false;
            // A pass computes all results of an element before it stores one; behind an anchor they
            // may be stored in turn.
            for (size_t k = 0; k < nodes.results().size(); k++) {
                const bool reads = reached[static_cast<size_t>(nodes.results()[k].value.node)];
                if (k == r ? !reads && nodes.results().size() > 1 : reads && body.group.anchor >= 0)
                    return false;
            }
        }
    }
    return true;
}

bool may_hold_update(const Group& group) {
    const Graph& nodes = group.body;
    for (int i = 0; i < static_cast<int>(nodes.nodes().size()); i++) {
        if (nodes.op_as<Input>(i) == nullptr || nodes.node(i).types[0].batched) continue;
        const std::vector<bool> reached = elementwise_readers(nodes, i);
        if (!reached.empty() && std::ranges::any_of(nodes.results(), [&](const Result& result) {
                return reached[static_cast<size_t>(result.value.node)];
            }))
            return true;
    }
    return false;
}

bool may_lie_over_part(const Group& group) {
    const std::vector<TensorType> types = group.buffer_types();
    const size_t operands = types.size() - group.body.results().size();
    for (size_t i = 0; i < operands; i++) {
        for (size_t r = operands; group.pitch_of(i) > 0 && r < types.size(); r++) {
            if (types[r] == types[i] && group.pitch_of(r) == group.pitch_of(i)) return true;
        }
    }
    return false;
}

}  // namespace emulsion
