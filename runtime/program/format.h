// Numbers and columns of the programs' tables, independent of the locale.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// "0:31", "12:05", "3:12:05".
std::string format_duration(double seconds);
// "8,412": rounded to a whole number.
std::string format_thousands(double value);
// "1.9 MiB", or "12,345 bytes" below one MiB.
std::string format_bytes(uint64_t bytes);
// At most so many digits that count: "0.007505", "1.43e-08".
std::string format_significant(double value, int digits);
// "91.32 %" from 0.9132.
std::string format_percent(double share, int digits);

// Columns that the text takes on a terminal: code points, which is right for all but wide and
// combining characters.
size_t display_width(std::string_view text);
std::string pad_left(std::string_view text, size_t width);
std::string pad_right(std::string_view text, size_t width);

// A cell of CSV (RFC 4180): in quotes where what it holds has a meaning there.
std::string csv_cell(const std::string& text);

enum class Align { kLeft, kRight };

// Rows of cells with two blanks between columns, each column as wide as its widest cell; no blanks
// at line ends.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<Align>& columns);

// Writes the text to standard output, past the C library's buffer, so that a pipe sees results as
// they come. Throws RuntimeError where that fails.
void print_results(std::string_view text);
// Writes to stderr; failures are nobody's business.
void print_talk(std::string_view text);

}  // namespace emulsion
