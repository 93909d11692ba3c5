// Finishing models and reading their text.
#include "tests/dsl/dsl_support.h"

#include <gtest/gtest.h>

#include <sstream>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion {

Network finished(const Model& model) {
    FinishedModel result = finish(model);
    for (const Diagnostic& mistake : result.mistakes) ADD_FAILURE() << to_string(mistake);
    return result.network.value_or(Network());
}

Values run(const Model& model, const Sources& given) {
    const Network network = finished(model);
    EXPECT_EQ(parse_network(print(network), "m.emu"), network);
    reference::Sources sources;
    for (const auto& [name, values] : given) {
        const int node = network.graph.find(name);
        if (node < 0) {
            ADD_FAILURE() << "no source " << name;
            continue;
        }
        sources[name] = reference::make_tensor(network.graph.type({node, 0}), 1, values);
    }
    const Value y = network.graph.find_output("y")->value;
    const reference::Values all = test::run_graph(network.graph, sources, 1);
    return all[static_cast<size_t>(y.node)][static_cast<size_t>(y.output)].values;
}

std::vector<std::string> mistakes_of(const Model& model) {
    std::vector<std::string> texts;
    for (Diagnostic mistake : finish(model).mistakes) {
        mistake.where.file.clear();
        texts.push_back(to_string(mistake));
    }
    return texts;
}

std::string node_text(const Network& network, const std::string& name) {
    std::istringstream text(print(network));
    for (std::string line; std::getline(text, line);) {
        if (line.starts_with("  %" + name + " = ")) return line.substr(2);
    }
    ADD_FAILURE() << "no node '" << name << "' in\n" << print(network);
    return "";
}

}  // namespace emulsion
