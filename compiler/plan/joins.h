// Concatenations that are no kernel: whoever makes a part writes it where it lies in the whole.
//
// A part of a map [n][H][W][C] is some of its channels, so its elements have the strides of the
// whole: its pitch (Group::pitches). Wholes may be parts of larger ones.
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
    int join = -1;      // the concatenation that it is an operand of
};

struct Joins {
    std::vector<bool> joined;     // nodes that are no kernel
    std::map<Value, Home> parts;  // what lies in a whole

    bool is_joined(int node) const { return joined[static_cast<size_t>(node)]; }
    Home home_of(Value value) const {
        const auto found = parts.find(value);
        return found == parts.end() ? Home{value} : found->second;
    }
};

// The concatenations of a graph that can be no kernel, but for those in `refused`: neither they nor
// their parts have a place of their own, and each part is stored (not `inlined`) in the stage of
// the whole, lies in one whole and is read as it is.
Joins find_joins(const Graph& graph, bool training, const std::vector<bool>& inlined,
                 const std::set<int>& refused);

}  // namespace emulsion
