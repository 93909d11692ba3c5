// Files of which each line is fields NAME=VALUE in a fixed order, below a line that names the
// version.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/support/diagnostic.h"

namespace emulsion {

// Takes fields off a line, from the left.
class LineReader {
  public:
    // Every function throws Error[code] where the line is otherwise; `form` says how it is written.
    LineReader(std::string_view line, std::string_view code, std::string_view form)
        : rest_(line), code_(code), form_(form) {}

    std::string_view word(std::string_view name);
    std::string_view quoted(std::string_view name);
    int count(std::string_view name) { return count_in(name, word(name)); }  // from 1 on
    double number(std::string_view name, bool may_be_zero);
    // NAME@VERSION.
    std::pair<std::string, int> versioned(std::string_view name);
    bool begins_with(std::string_view name) const;
    bool accept(std::string_view flag);
    std::string_view rest(std::string_view name);
    bool at_end() const { return rest_.empty(); }
    [[noreturn]] void refuse(std::string problem) const;

  private:
    int count_in(std::string_view name, std::string_view text) const;
    void expect(std::string_view name);
    void skip(size_t count);

    std::string_view rest_, code_, form_;
};

// Calls `take` with each line of a text that says something, and where it is; what it throws is
// described in `faults` under the code, with file and line. '#' begins a comment. False where the
// first such line is not `first`.
bool read_lines(std::string_view text, const std::string& file, std::string_view first,
                std::string_view code,
                const std::function<void(std::string_view, const SourceLocation&)>& take,
                std::vector<Diagnostic>& faults);

}  // namespace emulsion
