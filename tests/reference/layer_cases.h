// The layers and losses of the DSL that tests/reference/pytorch.py has, as a user writes them.
#pragma once

#include "tests/reference/stored_values.h"

namespace emulsion::test {

const WrittenCases& layer_cases();
const WrittenCases& loss_cases();

}  // namespace emulsion::test
