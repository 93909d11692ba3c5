// See console.h.
#include "runtime/train/console.h"

#include "runtime/program/command_line.h"
#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

void Console::results(std::string_view text) {
    bar_.clear();
    if (broken_) return;
    try {
        print_results(text);
    } catch (const RuntimeError& error) {
        broken_ = error;
        warn(error, "the results from here on are lost, and training goes on");
    }
}

void Console::note(std::string_view text) {
    if (is_quiet_) return;
    bar_.clear();
    print_talk(text);
}

void Console::warn(const RuntimeError& error, std::string_view consequence) {
    bar_.clear();
    print_talk(concat("warning: ", error.what(), "\n  ", consequence, "\n"));
}

int Console::failure() noexcept {
    bar_.clear();
    return print_failure();
}

}  // namespace emulsion
