// Text files that users hand to the compiler.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace emulsion {

// The content of a plain file of at most `limit` bytes. Where it cannot be read, is something else
// or longer: an Error of the code, with the reason; `kind` says what was expected ("model").
std::string read_text_file(const std::string& path, uint64_t limit, std::string_view kind,
                           const std::string& code, const std::string& fix);

}  // namespace emulsion
