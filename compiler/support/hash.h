// Content hashes: keys of the kernel cache, signatures of networks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace emulsion {

// 64-bit xxHash (XXH3) of the bytes.
uint64_t hash_bytes(std::string_view bytes);

// The hash as 16 hexadecimal digits.
std::string hash_text(std::string_view bytes);

}  // namespace emulsion
