// Layers from papers that the DSL has no name for, written of those that it has.
#pragma once

#include "tests/reference/stored_values.h"

namespace emulsion::test {

// By the names of tests/reference/unknown_layers.py.
const WrittenCases& unknown_layer_cases();

}  // namespace emulsion::test
