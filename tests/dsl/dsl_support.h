// What the tests of the DSL share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dsl/emulsion.h"
#include "dsl/finish.h"

namespace emulsion {

using Shape = std::vector<int64_t>;
using Values = std::vector<double>;
using Sources = std::map<std::string, Values>;

// The finished network. Fails the test, printing them, where there are mistakes.
Network finished(const Model& model);

// The values that the output "y" of a model has for one sample where its sources have these, by the
// plain lowerings of its graph.
Values run(const Model& model, const Sources& given);

// What `layer` makes of one map "x" of these values.
template <class Layer>
Values run_layer(const Shape& shape, const Values& map, const Layer& layer, Sources given = {}) {
    Model m("m");
    m.output("y", layer(m.input("x", shape)));
    given["x"] = map;
    return run(m, given);
}

// The mistakes as printed, without the path of the test's own file: "line 12: error[…]: …".
std::vector<std::string> mistakes_of(const Model& model);

// The text of one node as in the graph's text form.
std::string node_text(const Network& network, const std::string& name);

}  // namespace emulsion
