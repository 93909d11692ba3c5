// Text of diagnostics.
#include "compiler/support/diagnostic.h"

#include <cstdio>
#include <cstdlib>

namespace emulsion {

std::string to_string(const Diagnostic& diagnostic) {
    std::string text;
    if (!diagnostic.where.file.empty())
        text = fmt::format("{}:{}: ", diagnostic.where.file, diagnostic.where.line);
    text += fmt::format("error[{}]: {}", diagnostic.code, diagnostic.message);
    for (const std::string& note : diagnostic.notes) text += "\n    " + note;
    if (!diagnostic.fix.empty()) text += "\n  fix: " + diagnostic.fix;
    return text;
}

Error::Error(Diagnostic diagnostic)
    : diagnostic_(std::move(diagnostic)), text_(to_string(diagnostic_)) {}

void fail(std::string_view code, std::string message, std::string fix) {
    Diagnostic diagnostic;
    diagnostic.code = code;
    diagnostic.message = std::move(message);
    diagnostic.fix = std::move(fix);
    throw Error(std::move(diagnostic));
}

void internal_error(const char* file, int line, const char* condition, const std::string& message) {
    std::fprintf(stderr,
                 "emulsion: internal error: %s\n  condition: %s\n  at: %s:%d\n  this is a bug of "
                 "the compiler\n",
                 message.c_str(), condition, file, line);
    std::abort();
}

}  // namespace emulsion
