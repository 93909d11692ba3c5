// The frame around everything that a main function does, in `emulsion` and in model programs.
#pragma once

#include <functional>
#include <string>

namespace emulsion {

// Runs `body` and returns the exit code: its result, or 1 after an error, which is printed in the
// name of `program`. Output that does not reach stdout is an error as well. A signal that asks to
// end is met where nothing is left behind, and then ends this process.
int run_main(const std::string& program, const std::function<int()>& body);

}  // namespace emulsion
