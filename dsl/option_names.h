// Which names in the braces of a call are none of its options, where a C++ compiler says only that
// it cannot convert the braces; and which functions there are none of.
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

// In the text of a model file, by that of dsl/emulsion.h, dsl/training.h and dsl/augmentation.h.
// Text that is no C++ gives what it gives.
std::vector<UnknownOption> find_unknown_options(std::string_view model, std::string_view header);

// A function that the model file calls and neither declares nor finds in the header. Not each is a
// fault: it may stand in another file.
struct UnknownFunction {
    int line = 0;
    std::string name;
    bool is_member = false;  // behind '.', '->' or "::"; what is of std is left out
};
struct CalledFunctions {
    std::vector<UnknownFunction> unknown;  // each name once, by line
    std::vector<std::string> known;        // layers, losses, optimisers, schedules
};
CalledFunctions find_unknown_functions(std::string_view model, std::string_view header);

}  // namespace emulsion
