// Bytes as text: base64 with padding (RFC 4648).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

std::string to_base64(std::span<const uint8_t> bytes);
// Nothing where the text is not what to_base64 gives.
std::optional<std::vector<uint8_t>> from_base64(std::string_view text);

}  // namespace emulsion
