// What the two programs' command lines have in common: numbers read independent of the locale,
// messages that name the option, the CPUs this process may use.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/support/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace emulsion {

// Wrong usage: the programs print it and return kExitUsage.
class UsageError : public RuntimeError {
  public:
    using RuntimeError::RuntimeError;
};

constexpr int kExitDone = 0, kExitFailed = 1, kExitUsage = 2;
constexpr int kExitSignal = 128;  // plus the number of the signal that stopped a run

// The whole number in `text`; throws UsageError naming `option` where it is none, or not in [low,
// high].
int64_t parse_count(std::string_view option, std::string_view text, int64_t low, int64_t high);
// The number in `text`, with a decimal point in any locale; throws UsageError where it is none, or
// not in [low, high].
double parse_number(std::string_view option, std::string_view text, double low, double high);

// Runs what reads an option's value: a RuntimeError of it is wrong usage.
void read_option(const std::function<void()>& read);

// 0 for "", the best; else 1 + the index of the processors' variant called `name`. Throws
// UsageError with the names there are.
int find_variant(const emulsion_info& info, std::string_view name);

// Those for processors: "x86-64, avx2, avx512".
std::string list_variants(const emulsion_info& info);

// Adds --profile, which prints the time of every kernel, and --profile=FILE, which writes it. A
// file is given with "=" only, so that no other argument is taken for one. `profile` becomes the
// file, or kPrintProfile, the value of a flag without one.
inline constexpr std::string_view kPrintProfile = "true";
CLI::Option* add_profile_option(CLI::App& app, std::string* profile);
// Adds --trace FILE, when each kernel ran.
CLI::Option* add_trace_option(CLI::App& app, std::string* trace);

// What a command line asks for besides running the program.
enum class CommandLineResult { kRun, kShown };

// Parses argv with the app's options. Help and version are printed to stdout and give kShown;
// throws UsageError for what the app does not know.
CommandLineResult parse_command_line(CLI::App& app, int argc, const char* const* argv,
                                     const std::string& version);

// Prints the exception being handled to stderr, and returns the exit code that it means. Takes no
// memory where memory is what is missing.
int print_failure() noexcept;

// Runs a program's main: prints what it throws to stderr and turns it into the exit code. Standard
// streams that the parent has closed become the root folder first, which can be neither read nor
// written and is there where no /dev is: otherwise the next file to be opened would get their
// number, and what is printed.
int guard_main(const std::function<int()>& main);

// "lenet-train": the file name of argv[0], or `fallback` where there is none.
std::string program_name(int argc, const char* const* argv, const std::string& fallback);

}  // namespace emulsion
