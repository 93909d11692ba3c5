// See base64.h.
#include "runtime/support/base64.h"

#include <algorithm>

namespace emulsion {

namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::span<const uint8_t> bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t count = std::min<size_t>(3, bytes.size() - i);
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++) word = word << 8 | (k < count ? bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            text += k <= count ? kDigits[word >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

std::optional<std::vector<uint8_t>> from_base64(std::string_view text) {
    std::vector<uint8_t> bytes;
    if (text.size() % 4 != 0) return std::nullopt;
    const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    uint32_t word = 0;
    for (size_t i = 0; i < text.size(); i++) {
        const size_t digit = i + padding < text.size() ? kDigits.find(text[i]) : 0;
        if (digit == kDigits.npos) return std::nullopt;
        word = word << 6 | static_cast<uint32_t>(digit);
        if (i % 4 != 3) continue;
        for (int shift = 16; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<uint8_t>(word >> shift));
    }
    bytes.resize(bytes.size() - padding);
    // The bits behind the last byte are zero.
    if (to_base64(bytes) != text) return std::nullopt;
    return bytes;
}

}  // namespace emulsion
