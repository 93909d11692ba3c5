// See format.h.
#include "runtime/program/format.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

std::string format_duration(double seconds) {
    const int64_t whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
    const auto two_digits = [](int64_t value) { return concat(value < 10 ? "0" : "", value); };
    const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
    const std::string tail = concat(":", two_digits(whole % 60));
    return hours > 0 ? concat(hours, ":", two_digits(minutes), tail) : concat(minutes, tail);
}

std::string format_thousands(double value) {
    std::string digits = fixed(value, 0);
    const size_t first = digits.starts_with('-') ? 1 : 0;
    for (size_t i = digits.size(); i > first + 3;) {
        i -= 3;
        digits.insert(i, ",");
    }
    return digits;
}

std::string format_bytes(uint64_t bytes) {
    constexpr double kMebibyte = 1024.0 * 1024.0;
    if (bytes < 1024 * 1024) return format_thousands(static_cast<double>(bytes)) + " bytes";
    return fixed(static_cast<double>(bytes) / kMebibyte, 1) + " MiB";
}

std::string format_significant(double value, int digits) {
    char text[64];
    const auto [end, code] =
        std::to_chars(text, text + sizeof(text), value, std::chars_format::general, digits);
    return code == std::errc() ? std::string(text, end) : concat(value);
}

std::string format_percent(double share, int digits) { return fixed(100.0 * share, digits) + " %"; }

size_t display_width(std::string_view text) {
    const auto starts_code_point = [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    };
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string pad_left(std::string_view text, size_t width) {
    const size_t columns = display_width(text);
    return std::string(width > columns ? width - columns : 0, ' ') + std::string(text);
}

std::string pad_right(std::string_view text, size_t width) {
    const size_t columns = display_width(text);
    return std::string(text) + std::string(width > columns ? width - columns : 0, ' ');
}

std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string cell = "\"";
    for (char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
    return cell + "\"";
}

std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<Align>& columns) {
    std::vector<size_t> widths(columns.size(), 0);
    for (const auto& row : rows) {
        for (size_t c = 0; c < row.size(); c++)
            widths[c] = std::max(widths[c], display_width(row[c]));
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (size_t c = 0; c < row.size(); c++) {
            if (c > 0) line += "  ";
            line += columns[c] == Align::kLeft ? pad_right(row[c], widths[c])
                                               : pad_left(row[c], widths[c]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

void print_results(std::string_view text) {
    const int code = write_all(STDOUT_FILENO, text);
    if (code == 0) return;
    throw RuntimeError("standard output", concat("cannot be written: ", std::strerror(code)),
                       "free space on the disk it goes to, or send it elsewhere");
}

void print_talk(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

}  // namespace emulsion
