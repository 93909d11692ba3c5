// Bookkeeping of a rebuild: old values to new ones.
#include "compiler/passes/rewriter.h"

#include "compiler/graph/text.h"

namespace emulsion {

Rewriter::Rewriter(const Graph& from)
    : from_(from),
      builder_(from.name()),
      users_(users_of(from)),
      is_result_(from.nodes().size(), false) {
    for (const Result& result : from.results())
        is_result_[static_cast<size_t>(result.value.node)] = true;
}

bool Rewriter::has_single_user(int node) const {
    return users(node).size() == 1 && !is_result_[static_cast<size_t>(node)];
}

Value Rewriter::at(Value old) const {
    auto found = moved_.find(old);
    EMU_CHECK(found != moved_.end(), "'{}' is read before it is rebuilt",
              from_.node(old.node).name);
    return found->second;
}

std::vector<Value> Rewriter::at(const std::vector<Value>& old) const {
    std::vector<Value> values;
    for (Value value : old) values.push_back(at(value));
    return values;
}

void Rewriter::copy(int index) {
    const Node& node = from_.node(index);
    Value value = builder_.add(node.op, at(node.inputs), node.name, node.where);
    for (int k = 0; k < static_cast<int>(node.types.size()); k++)
        moved_[{index, k}] = {value.node, k};
}

Value Rewriter::add(std::string_view kind, const std::string& attributes, std::vector<Value> inputs,
                    const std::string& name, const SourceLocation& where) {
    std::string unique = builder_.unique_name(name);
    for (int i = 2; from_.find(unique) >= 0 && unique != name; i++) {
        unique = builder_.unique_name(fmt::format("{}.{}", name, i));
    }
    return builder_.add(op_from_text(kind, attributes), std::move(inputs), unique, where);
}

Graph Rewriter::finish() {
    for (const Result& result : from_.results())
        move_result(builder_, result, at(result.value), [&](Value old) { return at(old); });
    return remove_dead_nodes(builder_.build());
}

void move_result(GraphBuilder& builder, const Result& old, Value value,
                 const std::function<Value(Value)>& moved) {
    switch (old.kind) {
        case Result::Kind::output:
            builder.output(old.name, value);
            break;
        case Result::Kind::gradient:
            builder.gradient(moved({old.target, 0}).node, value);
            break;
        case Result::Kind::update:
            builder.update(moved({old.target, 0}).node, value);
            break;
    }
}

Graph rewrite(const Graph& graph, const std::function<bool(Rewriter&, int node)>& rule) {
    Rewriter rewriter(graph);
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (!rule(rewriter, i)) rewriter.copy(i);
    }
    return rewriter.finish();
}

}  // namespace emulsion
