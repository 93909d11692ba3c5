// A group from its signature: records keep no more.
#pragma once

#include <string_view>

#include "compiler/recipe/group.h"

namespace emulsion {

// The group that Group::signature gives this text of. Throws Error[syntax] and what parse_graph
// throws.
Group parse_signature(std::string_view text);

}  // namespace emulsion
