// A node's signature has what a graph of that node alone has, so that the parser of graphs reads
// it: each operand becomes an input.
#include "schedules/tune/choice_signature.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/passes/choose_winograd.h"

namespace emulsion {

namespace {

[[noreturn]] void refuse() {
    fail("syntax", "it is not as a plan names nodes",
         "write it as batch=… OP(TYPES) {ATTRIBUTES} : TYPES from OPS for OPS");
}

size_t found(std::string_view text, std::string_view part, size_t from = 0) {
    const size_t place = text.find(part, from);
    if (place == std::string_view::npos) refuse();
    return place;
}

Graph graph_of(std::string_view node) {
    const size_t kind = found(node, " ") + 1, open = found(node, "(", kind),
                 close = found(node, ")", open), types = found(node, " : ", close);
    if (!node.starts_with("batch=")) refuse();
    const size_t end =
        std::min({node.find(" from ", types), node.find(" for ", types), node.size()});
    std::string text = "graph node {\n";
    std::vector<std::string> operands;
    std::string_view rest = node.substr(open + 1, close - open - 1);
    while (!rest.empty()) {
        const size_t comma = std::min(rest.find(", "), rest.size());
        operands.push_back(fmt::format("%a{}", operands.size()));
        text += fmt::format("{} = input() : {}\n", operands.back(), rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 2, rest.size()));
    }
    const std::string_view results = node.substr(types, end - types);
    text += fmt::format("%v = {}({}){}{}\noutput \"r\" %v{}\n}}", node.substr(kind, open - kind),
                        fmt::join(operands, ", "), node.substr(close + 1, types - close - 1),
                        results, results.find(", ") == std::string_view::npos ? "" : ":0");
    return parse_graph(text, "node");
}

bool may_share_kernels(const Op& op) {
    const OpClass op_class = op.op_class();
    return op_class == OpClass::pointwise || op_class == OpClass::window ||
           op_class == OpClass::anchor || op.sums_strips() || op.joins_channels() ||
           op.taken_channels().has_value();
}

std::vector<std::string> words_of(const Graph& graph, int index, Decision decision) {
    const Node& node = graph.node(index);
    const OpClass op_class = node.op->op_class();
    if (decision == Decision::method) return methods_of(graph, index);
    const bool is_free = decision == Decision::fusion
                             ? may_share_kernels(*node.op)
                             : op_class == OpClass::pointwise || op_class == OpClass::gather;
    return is_free ? emulsion::words_of(decision) : std::vector<std::string>{};
}

}  // namespace

std::string choice_fault(const std::string& node, const std::string& word) {
    try {
        const Graph graph = graph_of(node);
        const int index = graph.find("v");
        const std::vector<std::string> words = words_of(graph, index, *decision_of(word));
        if (std::find(words.begin(), words.end(), word) != words.end()) return "";
        return fmt::format(
            "{} cannot be '{}' here{}", graph.node(index).op->kind(), word,
            words.empty() ? "" : fmt::format(", it is {}", fmt::join(words, " or ")));
    } catch (const Error& error) {
        return fmt::format("its node is not of this version: {}", error.diagnostic().message);
    }
}

}  // namespace emulsion
