// Concatenations and slices that are no kernel: whoever makes a part of a whole writes it where it
// lies in the whole, whoever reads one reads it there.
//
// A part of a map [n][H][W][C] is some of its channels, so its elements have the strides of the
// whole: its pitch (Group::pitches). Wholes may be parts of larger ones. Backward, the gradient of
// a concatenation is a whole that slices cut: where a sum with a slice is cut in turn, as in a
// chain of concatenations, it takes the slice's place, so that the gradients of the chain are one
// map too.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// Where a value lies.
struct Home {
    Value whole;        // the value whose memory it is part of, or itself
    int64_t begin = 0;  // its first channel there
    int64_t pitch = 0;  // channels of the whole; 0: the value lies by itself
    int join = -1;      // the node that put it there: the concatenation that it is an operand of,
                        // the slice that it is, or the one that it is the result of (Joins::over)
};

struct Joins {
    std::vector<bool> joined;     // nodes that are no kernel
    std::map<Value, Home> parts;  // what lies in a whole
    std::map<Value, Value> over;  // what is written over a slice of a whole, and that slice

    bool is_joined(int node) const { return joined[static_cast<size_t>(node)]; }
    Home home_of(Value value) const {
        const auto found = parts.find(value);
        return found == parts.end() ? Home{value} : found->second;
    }
};

// The concatenations of a graph that can be no kernel, but for those in `refused`: neither they nor
// their parts have a place of their own, and each part is stored (not `inlined`) in the stage of
// the whole, lies in one whole and is read as it is. The same of slices of what is stored. What is
// written over a slice is all that reads it, and all else that reads its whole are other channels.
Joins find_joins(const Graph& graph, bool training, const std::vector<bool>& inlined,
                 const std::set<int>& refused);

}  // namespace emulsion
