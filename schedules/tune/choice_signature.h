// Whether a record of a choice can be right, by what its line says of the node alone.
#pragma once

#include <string>

namespace emulsion {

// Why no node of this signature (recipe/choices.h) can do what the word says; empty where one may.
std::string choice_fault(const std::string& node, const std::string& word);

}  // namespace emulsion
