// See paths.h.
#include "tests/support/paths.h"

namespace emulsion {

std::string source_path(std::string_view name) {
    return std::string(EMULSION_TEST_SOURCE_DIR "/").append(name);
}

std::string binary_path(std::string_view name) {
    return std::string(EMULSION_TEST_BINARY_DIR "/").append(name);
}

}  // namespace emulsion
