// What the tests of the DSL share.
#pragma once

#include <string>
#include <vector>

#include "dsl/emulsion.h"
#include "dsl/finish.h"

namespace emulsion {

using Shape = std::vector<int64_t>;

// The finished network. Fails the test, printing them, where there are mistakes.
Network finished(const Model& model);

// The mistakes as printed, without the path of the test's own file: "line 12: error[…]: …".
std::vector<std::string> mistakes_of(const Model& model);

// The text of one node as in the graph's text form.
std::string node_text(const Network& network, const std::string& name);

}  // namespace emulsion
