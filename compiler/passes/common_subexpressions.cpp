// One map from the text of a computation to its node.
#include "compiler/passes/common_subexpressions.h"

#include <map>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

std::string key_of(const Node& node, const std::vector<Value>& inputs) {
    std::string key = fmt::format("{}{}{}", node.op->kind(), print_attributes(*node.op),
                                  to_string(node.types[0]));
    for (Value value : inputs) key += fmt::format(" {}:{}", value.node, value.output);
    return key;
}

}  // namespace

Graph common_subexpressions(const Graph& graph) {
    std::map<std::string, int> seen;  // key to node of the new graph
    return rewrite(graph, [&seen](Rewriter& r, int index) {
        const Node& node = r.from().node(index);
        bool unique = node.op->op_class() == OpClass::source &&
                      r.from().op_as<Constant>(index) == nullptr &&
                      r.from().op_as<Scalar>(index) == nullptr;
        if (unique) return false;
        std::string key = key_of(node, r.at(node.inputs));
        auto found = seen.find(key);
        if (found == seen.end()) {
            r.copy(index);
            seen[key] = r.at(Value{index, 0}).node;
            return true;
        }
        for (int k = 0; k < static_cast<int>(node.types.size()); k++)
            r.replace(index, k, {found->second, k});
        return true;
    });
}

}  // namespace emulsion
