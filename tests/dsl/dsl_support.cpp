// Finishing models and reading their text.
#include "tests/dsl/dsl_support.h"

#include <gtest/gtest.h>

#include <sstream>

namespace emulsion {

Network finished(const Model& model) {
    FinishedModel result = finish(model);
    for (const Diagnostic& mistake : result.mistakes) ADD_FAILURE() << to_string(mistake);
    return result.network.value_or(Network());
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
