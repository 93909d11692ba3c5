// Text from values, without iostreams and without the locale: numbers always have a decimal point.
//
// `concat("batch ", 64, " of ", 0.05)` is "batch 64 of 0.05". Floating-point numbers are printed
// with the fewest digits that read back to the same value.
#pragma once
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace emulsion {

void append(std::string& text, std::string_view part);
void append(std::string& text, const char* part);
void append(std::string& text, char part);
void append(std::string& text, bool part);
void append(std::string& text, double part);
void append(std::string& text, float part);
void append_signed(std::string& text, int64_t part);
void append_unsigned(std::string& text, uint64_t part);

template <std::signed_integral T>
void append(std::string& text, T part) {
    append_signed(text, part);
}
template <std::unsigned_integral T>
void append(std::string& text, T part) {
    append_unsigned(text, part);
}

template <typename... Parts>
std::string concat(const Parts&... parts) {
    std::string text;
    (append(text, parts), ...);
    return text;
}

// `fixed(0.9137, 2)` is "0.91": a set number of digits after the point.
std::string fixed(double value, int digits);

// "[1, 28, 28]".
std::string shape_text(std::span<const int64_t> shape);

// The text on one line, in single quotes: control characters and bytes that are no UTF-8 become
// \xNN. Names of files and tensors reach a message through this function, so that a message is one
// line whatever the name holds. What is longer than kMostQuoted bytes is cut.
std::string quoted(std::string_view text);

// Exact matches, preferred to std::quoted where a program includes <iomanip>.
inline std::string quoted(const std::string& text) { return quoted(std::string_view(text)); }
inline std::string quoted(const char* text) { return quoted(std::string_view(text)); }
inline std::string quoted(std::string& text) { return quoted(std::string_view(text)); }

// The same without the quotes.
std::string one_line(std::string_view text);

// The whole of `text` as a number with a decimal point in any locale, or nothing.
std::optional<double> parse_double(std::string_view text);
std::optional<uint64_t> parse_unsigned(std::string_view text);

}  // namespace emulsion
