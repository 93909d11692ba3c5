// The list of all ops by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/op.h"

namespace emulsion {

// A new op with default attributes, or null for an unknown name.
std::unique_ptr<Op> make_op(std::string_view kind);

// What to do where a text names an op that there is none of: the name of what is meant, if any op
// is near.
std::string remedy_for_op(std::string_view unknown);

// All names, sorted.
std::vector<std::string_view> op_kinds();

}  // namespace emulsion
