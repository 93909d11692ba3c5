// The rewrite of one squared_distance node.
#include "compiler/passes/expand_squared_distance.h"

#include "compiler/ops/squared_distance.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

Graph expand_squared_distance(const Graph& graph) {
    return rewrite(graph, [](Rewriter& r, int index) {
        if (r.from().op_as<SquaredDistance>(index) == nullptr) return false;
        const Node& node = r.from().node(index);
        const Value x = r.at(node.inputs[0]), centers = r.at(node.inputs[1]);
        const auto add = [&](std::string_view part, std::string_view kind,
                             std::vector<Value> operands, const std::string& attributes = "") {
            return r.add(kind, attributes, std::move(operands), node.name + std::string(part),
                         node.where);
        };
        const Value square = add(".square", "multiply", {x, x});
        const Value length = add(".length", "reduce", {square}, "{keep_samples=true}");
        const Value squares = add(".squares", "multiply", {centers, centers});
        const Value lengths = add(".lengths", "reduce", {squares}, "{keep_channels=true}");
        const Value products = add(".products", "dense", {x, centers});
        const Value twice = add(".twice", "scale", {products}, "{factor=-2}");
        const Value apart = add(".apart", "add", {twice, lengths});
        r.replace(index, 0, add("", "add", {apart, length}));
        return true;
    });
}

}  // namespace emulsion
