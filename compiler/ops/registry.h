// The list of all ops by name.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "compiler/graph/op.h"

namespace emulsion {

// A new op with default attributes, or null for an unknown name.
std::unique_ptr<Op> make_op(std::string_view kind);

// All names, sorted.
std::vector<std::string_view> op_kinds();

}  // namespace emulsion
