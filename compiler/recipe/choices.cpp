// See choices.h.
#include "compiler/recipe/choices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "compiler/graph/text.h"
#include "compiler/recipe/group.h"

namespace emulsion {

namespace {

constexpr std::array kDecisions = {Decision::method, Decision::fusion, Decision::storage};

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

void add_once(std::vector<std::string>& words, const std::string& word) {
    if (!contains(words, word)) words.push_back(word);
}

std::string with(const char* preposition, const std::vector<std::string>& kinds) {
    return kinds.empty() ? "" : fmt::format(" {} {}", preposition, fmt::join(kinds, ", "));
}

}  // namespace

const std::vector<std::string>& words_of(Decision decision) {
    static const std::vector<std::string> method = {"direct", "winograd2", "winograd4"};
    static const std::vector<std::string> fusion = {"join", "pass"};
    static const std::vector<std::string> storage = {"store", "recompute"};
    switch (decision) {
        case Decision::method:
            return method;
        case Decision::fusion:
            return fusion;
        case Decision::storage:
            break;
    }
    return storage;
}

std::optional<Decision> decision_of(std::string_view word) {
    for (const Decision decision : kDecisions) {
        if (contains(words_of(decision), word)) return decision;
    }
    return std::nullopt;
}

std::string node_signature(const Graph& graph, int index, int batch) {
    const Node& node = graph.node(index);
    std::vector<std::string> operands, types, producers, readers;
    for (Value value : node.inputs) {
        operands.push_back(to_string(graph.type(value)));
        producers.emplace_back(graph.node(value.node).op->kind());
    }
    for (const TensorType& type : node.types) types.push_back(to_string(type));
    for (const Node& user : graph.nodes()) {
        for (Value value : user.inputs) {
            if (value.node == index) readers.emplace_back(user.op->kind());
        }
    }
    std::sort(readers.begin(), readers.end());
    const std::string attributes = print_attributes(*node.op);
    return fmt::format("batch={} {}({}){}{} : {}{}{}", batch, node.op->kind(),
                       fmt::join(operands, ", "), attributes.empty() ? "" : " ", attributes,
                       fmt::join(types, ", "), with("from", producers), with("for", readers));
}

std::optional<RecordedChoice> Choices::recorded(const std::string& node, Decision decision) const {
    if (source_ == nullptr) return std::nullopt;
    for (const Isa* member : family_->members) {
        if (auto record = source_->find(node, decision, *member, threads_)) return record;
    }
    return std::nullopt;
}

void Choices::keep(const Graph& graph, int node, int batch, Decision decision,
                   const std::string& word, const std::vector<std::string>& possible) {
    const std::string signature = node_signature(graph, node, batch);
    const std::optional<RecordedChoice> record = recorded(signature, decision);
    const std::string origin = record && record->word == word ? record->origin : "";
    if (record && origin.empty()) {
        refused_.emplace_back(
            record->origin,
            fmt::format("the record {} is left out: '{}' can {}, but not {}", record->origin,
                        graph.node(node).name, fmt::join(possible, " or "), record->word));
    }
    if (possible.size() < 2 && origin.empty()) return;
    auto known = std::find_if(kept_.begin(), kept_.end(), [&](const NodeChoice& choice) {
        return choice.decision == decision && choice.node == signature;
    });
    if (known == kept_.end()) {
        kept_.push_back({signature, decision, graph.node(node).name, batch, word, {}, origin});
        known = kept_.end() - 1;
    }
    if (known->record.empty() && !origin.empty()) {
        known->word = word;
        known->record = origin;
    }
    for (const std::string& other : possible) {
        if (other != word) add_once(known->others, other);
    }
}

std::vector<std::string> Choices::left_out() const {
    std::vector<std::string> sentences;
    for (const auto& [origin, sentence] : refused_) {
        const bool is_taken =
            std::any_of(kept_.begin(), kept_.end(),
                        [&](const NodeChoice& choice) { return choice.record == origin; });
        const bool is_said =
            std::any_of(sentences.begin(), sentences.end(), [&](const std::string& said) {
                return said.starts_with(fmt::format("the record {} ", origin));
            });
        if (!is_taken && !is_said) sentences.push_back(sentence);
    }
    return sentences;
}

std::string Choices::decide(const Graph& graph, int node, int batch, Decision decision,
                            const std::string& own, const std::vector<std::string>& possible) {
    std::string word = own;
    if (source_ != nullptr) {
        const auto record = recorded(node_signature(graph, node, batch), decision);
        if (record && contains(possible, record->word)) word = record->word;
    }
    keep(graph, node, batch, decision, word, possible);
    return word;
}

}  // namespace emulsion
