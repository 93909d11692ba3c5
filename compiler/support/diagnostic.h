// What a user reads when something is wrong: what (both values), where, how to mend.
//
// The DSL records Diagnostics in the Model; inside the compiler a Diagnostic travels as an Error.
// EMU_CHECK is for mistakes of the compiler itself, never for a user's.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// A place in the user's text; `file` is empty where none is known.
struct SourceLocation {
    std::string file;
    int line = 0;
    bool operator==(const SourceLocation&) const = default;
};

struct Diagnostic {
    std::string code;                // "channels"; printed as error[channels]
    std::string message;             // one sentence, lower case, with both values
    std::string fix;                 // how to mend it; printed after "fix: "
    SourceLocation where;            // filled in by whoever knows the line
    std::vector<std::string> notes;  // indented lines between message and fix
};

// "lenet.cpp:14: error[channels]: message\n    note\n  fix: …", without a final line break.
std::string to_string(const Diagnostic& diagnostic);

// Carries a Diagnostic out of the compiler.
class Error : public std::exception {
  public:
    explicit Error(Diagnostic diagnostic);
    const char* what() const noexcept override { return text_.c_str(); }
    const Diagnostic& diagnostic() const { return diagnostic_; }

  private:
    Diagnostic diagnostic_;
    std::string text_;
};

// Throws Error with the given code, message and fix.
[[noreturn]] void fail(std::string_view code, std::string message, std::string fix);

// Reports a broken invariant of the compiler and aborts.
[[noreturn]] void internal_error(const char* file, int line, const char* condition,
                                 const std::string& message);

}  // namespace emulsion

#define EMU_CHECK(condition, ...)                                      \
    do {                                                               \
        if (!(condition))                                              \
            ::emulsion::internal_error(__FILE__, __LINE__, #condition, \
                                       ::fmt::format(__VA_ARGS__));    \
    } while (false)
