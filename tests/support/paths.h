// Where the sources and the build are: known to one file, so that a compiler cache holds the tests
// of any folder.
#pragma once

#include <string>
#include <string_view>

namespace emulsion {

// The path of what stands under the top folder of the sources: "tests/golden/lenet.txt".
std::string source_path(std::string_view name);

// The same under the folder of the build: "bin/emulsion".
std::string binary_path(std::string_view name);

}  // namespace emulsion
