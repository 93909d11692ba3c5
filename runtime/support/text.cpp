// Numbers and names as text. std::to_chars and std::from_chars know no locale.
#include "runtime/support/text.h"

#include <charconv>

#include "runtime/support/limits.h"

namespace emulsion {

void append(std::string& text, std::string_view part) { text.append(part); }

void append(std::string& text, const char* part) { text.append(part); }

void append(std::string& text, char part) { text.push_back(part); }

void append(std::string& text, bool part) { text.append(part ? "true" : "false"); }

namespace {

template <typename T, typename... Format>
void append_number(std::string& text, T value, Format... format) {
    char digits[512];  // the longest fixed form of a double has 309 digits before the point
    std::to_chars_result result = std::to_chars(digits, digits + sizeof digits, value, format...);
    text.append(digits, result.ec == std::errc() ? result.ptr : digits);
}

// The length of the UTF-8 sequence that `text` begins with, or 0 where it begins with none.
size_t sequence_length(std::string_view text) {
    auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    uint8_t first = byte(0);
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4 || text.size() < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    bool is_overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    bool is_outside = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
    return is_overlong || is_outside ? 0 : length;
}

bool is_control(std::string_view sequence) {
    uint8_t first = static_cast<uint8_t>(sequence[0]);
    bool is_c1 = first == 0xc2 && static_cast<uint8_t>(sequence[1]) < 0xa0;  // U+0080 .. U+009F
    return first < 0x20 || first == 0x7f || is_c1;
}

}  // namespace

void append(std::string& text, double part) { append_number(text, part); }

void append(std::string& text, float part) { append_number(text, part); }

void append_signed(std::string& text, int64_t part) { append_number(text, part); }

void append_unsigned(std::string& text, uint64_t part) { append_number(text, part); }

std::string fixed(double value, int digits) {
    std::string text;
    append_number(text, value, std::chars_format::fixed, digits);
    return text;
}

std::string shape_text(std::span<const int64_t> shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); i++) {
        if (i > 0) text += ", ";
        append(text, shape[i]);
    }
    return text + "]";
}

std::string one_line(std::string_view text) {
    constexpr char kDigits[] = "0123456789abcdef";
    const bool is_cut = text.size() > kMostQuoted;
    text = text.substr(0, kMostQuoted);
    std::string line;
    while (!text.empty()) {
        size_t length = sequence_length(text);
        if (length > 0 && !is_control(text.substr(0, length))) {
            line.append(text.substr(0, length));
        } else {
            length = length == 0 ? 1 : length;
            for (char c : text.substr(0, length)) {
                line += "\\x";
                line += kDigits[static_cast<uint8_t>(c) >> 4];
                line += kDigits[static_cast<uint8_t>(c) & 15];
            }
        }
        text.remove_prefix(length);
    }
    return is_cut ? line + "..." : line;
}

std::string quoted(std::string_view text) { return "'" + one_line(text) + "'"; }

namespace {

template <typename T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<double> parse_double(std::string_view text) { return parse_number<double>(text); }

std::optional<uint64_t> parse_unsigned(std::string_view text) {
    return parse_number<uint64_t>(text);
}

}  // namespace emulsion
