// What is decided above the kernels, for one node of a graph: how a convolution computes, what is
// part of whose kernel, what is stored. The cost model decides, unless a record says otherwise.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

struct Isa;
struct TargetFamily;

// Each has words of its own for how it may end:
//   method   direct, winograd2, winograd4 (ops/winograd.h, the number is the tile)
//   fusion   join, pass: part of the kernel that makes an operand, or a kernel of its own; of a
//            concatenation or a slice: no kernel, or a copy
//   storage  store, recompute: by each reader
enum class Decision { method, fusion, storage };
const std::vector<std::string>& words_of(Decision decision);
std::optional<Decision> decision_of(std::string_view word);

// A node with what it reads and who reads it, in a line: "batch=4 relu(f32[n,8,5,5]) :
// f32[n,8,5,5] from conv2d for max_pool". Nodes of one signature are decided alike by a record.
std::string node_signature(const Graph& graph, int node, int batch);

// What was decided for the nodes of one signature.
struct NodeChoice {
    std::string node;  // its signature
    Decision decision = Decision::method;
    std::string name;  // of the first such node
    int batch = 1;
    std::string word;                 // what the record says, or else what the first such node does
    std::vector<std::string> others;  // what one of them at least could do instead
    std::string record;               // the origin of the record that decided, or ""
};

struct RecordedChoice {
    std::string word, origin;
};

class ChoiceSource {
  public:
    virtual ~ChoiceSource() = default;
    // The record for nodes of this signature, none where there is none. Depends on the arguments
    // alone.
    virtual std::optional<RecordedChoice> find(const std::string& node, Decision decision,
                                               const Isa& isa, int threads) const = 0;
};

// Asks the records, and keeps what was decided. The variants of a library have one graph and agree
// bit for bit: as with kernels (recipe/records.h), the first member of the family that has a record
// decides, whether a variant is built for it or not.
class Choices {
  public:
    Choices() = default;  // there are no records
    // `source` may be null; both outlive it.
    Choices(const ChoiceSource* source, const TargetFamily& family, int threads)
        : source_(source), family_(&family), threads_(threads) {}

    std::optional<RecordedChoice> recorded(const std::string& node, Decision decision) const;

    // Keeps that the node does `word`, where `possible` has all that it could do.
    void keep(const Graph& graph, int node, int batch, Decision decision, const std::string& word,
              const std::vector<std::string>& possible);

    // What the record says where that is possible, else `own`; keeps it.
    std::string decide(const Graph& graph, int node, int batch, Decision decision,
                       const std::string& own, const std::vector<std::string>& possible);

    // Of nodes that could do otherwise, or have a record.
    const std::vector<NodeChoice>& kept() const { return kept_; }
    // A sentence for each record that says what none of its nodes can do.
    std::vector<std::string> left_out() const;

  private:
    const ChoiceSource* source_ = nullptr;
    const TargetFamily* family_ = nullptr;
    int threads_ = 1;
    std::vector<NodeChoice> kept_;
    std::vector<std::pair<std::string, std::string>> refused_;  // origin, sentence
};

}  // namespace emulsion
