// What the checker of plans computes with in place of numbers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// Numbers for values: equal ones for equal computations on equal sources.
class Symbols {
  public:
    int source(const std::string& name, const TensorType& type) { return number(name, type); }
    // The outputs of a node, from the symbols of its inputs.
    std::vector<int> outputs_of(const Node& node, const std::vector<int>& inputs);
    // What lies side by side along the channels, in order: the same for wholes of wholes.
    int joined(const std::vector<int>& parts);
    // `count` of its channels from `begin` on: of what is joined or taken itself, of its sources.
    int taken(int symbol, int64_t begin, int64_t count);
    const TensorType& type_of(int symbol) const { return types_[at(symbol)]; }
    // The same memory under another type. A view of a view is one view, of a constant a constant.
    int seen_as(int symbol, const TensorType& type);

  private:
    struct Channels {
        int source = 0;
        int64_t begin = 0, count = 0;
    };
    static size_t at(int symbol) { return static_cast<size_t>(symbol); }
    std::vector<int> sources_of(int symbol) const;
    Channels channels_of(int symbol) const;
    int number(const std::string& text, const TensorType& type);
    int constant(const std::string& attributes, const TensorType& type);

    std::map<std::string, int> numbers_;
    std::vector<TensorType> types_;
    std::vector<int> roots_;                 // of a view: what it views; else itself
    std::map<int, std::string> constants_;   // their attributes
    std::map<int, std::vector<int>> parts_;  // of what is joined
    std::map<int, Channels> taken_;          // of what is taken
};

}  // namespace emulsion
