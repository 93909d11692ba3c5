// xxHash.
#include "compiler/support/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace emulsion {

uint64_t hash_bytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string hash_text(std::string_view bytes) { return fmt::format("{:016x}", hash_bytes(bytes)); }

}  // namespace emulsion
