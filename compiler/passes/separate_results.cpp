// Copies of values that several results would share.
#include "compiler/passes/separate_results.h"

#include <set>

#include "compiler/graph/text.h"

namespace emulsion {

namespace {

// The value whose memory a result is; views have none of their own.
Value behind_views(const Graph& graph, Value value) {
    while (graph.node(value.node).op->op_class() == OpClass::view)
        value = graph.node(value.node).inputs[0];
    return value;
}

}  // namespace

Graph separate_results(const Graph& graph) {
    GraphBuilder builder(graph);
    std::set<Value> taken;
    for (const Result& result : graph.results()) {
        Value value = result.value, root = behind_views(graph, value);
        bool computed = graph.node(root.node).op->op_class() != OpClass::source;
        if (graph.type(value).element == ElementType::f32 &&
            (!computed || !taken.insert(root).second)) {
            const Node& node = graph.node(value.node);
            value = builder.add(op_from_text("scale", "{factor=1}"), {value},
                                builder.unique_name(node.name + ".copy"), node.where);
        }
        switch (result.kind) {
            case Result::Kind::output:
                builder.output(result.name, value);
                break;
            case Result::Kind::gradient:
                builder.gradient(result.target, value);
                break;
            case Result::Kind::update:
                builder.update(result.target, value);
                break;
        }
    }
    return builder.build();
}

}  // namespace emulsion
