// See command_line.h.
#include "runtime/program/command_line.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <csignal>
#include <new>
#include <vector>

#include "runtime/program/device.h"
#include "runtime/program/format.h"
#include "runtime/program/profile.h"
#include "runtime/support/text.h"

namespace emulsion {

int64_t parse_count(std::string_view option, std::string_view text, int64_t low, int64_t high) {
    int64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = code == std::errc() && end == text.data() + text.size();
    if (is_number && value >= low && value <= high) return value;
    throw UsageError(std::string(option),
                     concat(quoted(text), " is not a whole number from ", low, " to ", high),
                     concat("for example ", option, " ",
                            std::clamp<int64_t>(is_number ? value : low, low, high)));
}

double parse_number(std::string_view option, std::string_view text, double low, double high) {
    const auto value = parse_double(text);
    if (value && std::isfinite(*value) && *value >= low && *value <= high) return *value;
    constexpr double kExample = 0.05;
    throw UsageError(std::string(option),
                     concat(quoted(text), " is not a number from ", low, " to ", high),
                     concat("write it with a decimal point, such as ",
                            low <= kExample && kExample <= high ? kExample : low));
}

void read_option(const std::function<void()>& read) {
    try {
        read();
    } catch (const RuntimeError& error) {
        throw UsageError(error.where(), error.problem(), error.fix());
    }
}

std::string list_variants(const emulsion_info& info) {
    std::string text;
    for (int i = 0; i < info.variant_count; i++) {
        if (!is_for_devices(info.variants[i]))
            text += concat(text.empty() ? "" : ", ", info.variants[i]);
    }
    return text;
}

int find_variant(const emulsion_info& info, std::string_view name) {
    if (name.empty()) return 0;
    for (int i = 0; i < info.variant_count; i++) {
        if (name != info.variants[i]) continue;
        if (!is_for_devices(name)) return i + 1;
        throw UsageError("--variant", concat(quoted(name), " is for devices"),
                         concat("give --device ", name, " instead"));
    }
    throw UsageError("--variant", concat("the program holds no variant ", quoted(name)),
                     concat("choose one of ", list_variants(info), ", or leave the option out"));
}

CLI::Option* add_profile_option(CLI::App& app, std::string* profile) {
    return app.add_flag("--profile", *profile,
                        "print the time of every kernel; --profile=FILE writes it for\n"
                        "`emulsion show MODEL --emit=roofline --profile=FILE`");
}

CLI::Option* add_trace_option(CLI::App& app, std::string* trace) {
    return app
        .add_option("--trace", *trace,
                    concat("write when each kernel ran, in ", KernelProfile::kMostTraced,
                           " calls, for ui.perfetto.dev"))
        ->type_name("FILE");
}

namespace {

// CLI11's sentences begin with a capital letter; ours do not.
std::string lower_first(std::string text) {
    if (!text.empty())
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

// A variable of the shell that is not set would otherwise count as an option left out.
void refuse_empty_values(const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        const std::vector<std::string>& values = option->results();
        if (std::find(values.begin(), values.end(), "") == values.end()) continue;
        throw UsageError(option->get_name(), "the value is empty",
                         "give a value, or leave the option out");
    }
}

}  // namespace

CommandLineResult parse_command_line(CLI::App& app, int argc, const char* const* argv,
                                     const std::string& version) {
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        print_results(app.help());
        return CommandLineResult::kShown;
    } catch (const CLI::CallForVersion&) {
        print_results(version + "\n");
        return CommandLineResult::kShown;
    } catch (const CLI::ParseError& error) {
        throw UsageError("command line", lower_first(one_line(error.what())),
                         concat(app.get_name(), " --help lists the options"));
    }
    refuse_empty_values(app);
    return CommandLineResult::kRun;
}

int print_failure() noexcept {
    try {
        throw;
    } catch (const UsageError& error) {
        print_error(error, stderr);
        return kExitUsage;
    } catch (const RuntimeError& error) {
        print_error(error, stderr);
    } catch (const std::bad_alloc&) {
        std::fputs("error: memory: the system refuses more\n  fix: free memory\n", stderr);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: program: %s\n  fix: report it, as this is not expected\n",
                     error.what());
    } catch (...) {
        std::fputs("error: program: unknown exception\n  fix: report it\n", stderr);
    }
    return kExitFailed;
}

namespace {

void hold_standard_streams() {
    for (int stream = 0; stream <= 2; stream++) {
        if (fcntl(stream, F_GETFD) == -1) (void)!open("/", O_RDONLY | O_DIRECTORY);
    }
}

}  // namespace

int guard_main(const std::function<int()>& main) {
    hold_standard_streams();
    std::signal(SIGXFSZ, SIG_IGN);  // a file at its limit is an error of that file
    try {
        return main();
    } catch (...) {
        return print_failure();
    }
}

std::string program_name(int argc, const char* const* argv, const std::string& fallback) {
    if (argc < 1 || argv[0] == nullptr || *argv[0] == '\0') return fallback;
    const std::string_view path = argv[0];
    return std::string(path.substr(path.find_last_of('/') + 1));
}

}  // namespace emulsion
