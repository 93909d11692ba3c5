// Which names in the braces of a call are none of its options: where there is one, a C++ compiler
// says only that it cannot convert the braces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

struct UnknownOption {
    int line = 0;
    std::string function, name;
    std::vector<std::string> known;  // the options of the function, in order
};

// In the text of a model file, by that of dsl/emulsion.h and dsl/training.h. Text that is no C++
// gives what it gives.
std::vector<UnknownOption> find_unknown_options(std::string_view model, std::string_view header);

}  // namespace emulsion
