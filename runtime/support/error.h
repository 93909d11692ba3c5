// The error of the runtime and its programs: what is wrong (with both values), where, and how to
// mend it.
//
// Functions of the runtime throw RuntimeError; the programs catch it in one place, print it and
// return 1.
#pragma once
#include <cstdio>
#include <exception>
#include <string>

namespace emulsion {

class RuntimeError : public std::exception {
  public:
    // `where` names a file, an option or a step and may be empty; so may `fix`.
    RuntimeError(std::string where, std::string what, std::string fix);

    const char* what() const noexcept override { return text_.c_str(); }
    const std::string& where() const noexcept { return where_; }
    const std::string& problem() const noexcept { return problem_; }
    const std::string& fix() const noexcept { return fix_; }

  private:
    std::string where_, problem_, fix_;
    std::string text_;  // "WHERE: WHAT\n  fix: FIX"
};

// Writes "error: WHERE: WHAT\n  fix: FIX\n" to `out`.
void print_error(const RuntimeError& error, std::FILE* out);

// What the system's code of a call on a file means, the common ones in the same words in any
// locale, and what to do about it.
std::string system_reason(int code);
std::string system_remedy(int code);

}  // namespace emulsion
