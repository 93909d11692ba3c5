// Speed counts here more than that of the result: the model program only describes a network and
// calls the library, so it is compiled without optimisation.
#include "dsl/model_program.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>

#include "compiler/support/closest.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/host.h"
#include "compiler/support/interrupts.h"
#include "compiler/support/process.h"
#include "compiler/support/temporary_folder.h"
#include "dsl/depfile.h"
#include "dsl/include_folder.h"
#include "dsl/option_names.h"
#include "runtime/support/file.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

// A name that no program takes for an option.
std::string as_argument(const std::string& file) {
    return file[0] == '-' || file[0] == '@' ? "./" + file : file;
}

std::vector<std::string> split_at_colons(const std::string& list) {
    std::vector<std::string> parts;
    std::istringstream stream(list);
    for (std::string part; std::getline(stream, part, ':');) {
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

// What dsl/own_op.h wants: the headers of Halide, as the compiler takes them, and those of fmt
// without its library.
void add_flags_of_own_ops(std::vector<std::string>& command) {
    for (const std::string& folder : split_at_colons(EMULSION_HALIDE_HEADERS))
        command.insert(command.end(), {"-isystem", folder});
    for (const std::string& definition : split_at_colons(EMULSION_HALIDE_FLAGS))
        command.push_back("-D" + definition);
    command.push_back("-DFMT_HEADER_ONLY");
}

std::vector<std::string> compile_command(const std::string& file, const fs::path& program,
                                         const fs::path& dependencies) {
    fs::path libraries = library_folder();
    std::vector<std::string> command = find_compiler();
    command.insert(command.end(), {"-std=c++20", "-O0", "-I", include_folder().string()});
    std::istringstream flags(EMULSION_MODEL_FLAGS);
    for (std::string flag; flags >> flag;) command.push_back(flag);
    add_flags_of_own_ops(command);
    command.insert(command.end(),
                   {"-MMD", "-MT", "x", "-MF", dependencies.string(), as_argument(file), "-o",
                    program.string(), (libraries / "libemulsion.so").string(), "-Wl,--as-needed",
                    EMULSION_HALIDE_LIBRARY, "-Wl,-rpath," + libraries.string(),
                    "-Wl,-rpath," + fs::path(EMULSION_HALIDE_LIBRARY).parent_path().string()});
    return command;
}

// What to do where the compiler fails, whose own words the user has seen.
std::string remedy_of_compiler(const fs::path& temporary) {
    constexpr uintmax_t kLeastBytes = uintmax_t{4} << 20;  // a model program takes less
    std::error_code error;
    const fs::space_info space = fs::space(temporary, error);
    if (!error && space.available < kLeastBytes)
        return fmt::format("free some space on the disk of '{}' ($TMPDIR), where {} bytes are left",
                           temporary.parent_path().string(), space.available);
    rlimit size{};
    if (getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur < kLeastBytes)
        return fmt::format("raise the limit of file sizes (ulimit -f), which is {} bytes",
                           size.rlim_cur);
    return "mend what the compiler reports above";
}

std::string text_of(const fs::path& path) {
    constexpr uint64_t kMostBytes = uint64_t{16} << 20;
    const Bytes bytes = read_file(path.string(), kMostBytes, "C++ file");
    return std::string(bytes.begin(), bytes.end());
}

// The headers that a file includes in quotes, from its own folder or from that of the library;
// not what they include in turn.
std::string text_of_headers(const std::string& file, const std::string& text) {
    std::string headers;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("#include \"")) continue;
        const size_t begin = line.find('"') + 1;
        const std::string name = line.substr(begin, line.find('"', begin) - begin);
        for (const fs::path& folder : {fs::path(file).parent_path(), include_folder()}) {
            std::error_code error;
            if (!fs::is_regular_file(folder / name, error)) continue;
            headers += text_of(folder / name) + '\n';
            break;
        }
    }
    return headers;
}

// The compiler has failed; where that may be for an option or a function that does not
// exist, it is named.
[[noreturn]] void fail_to_compile(const std::string& file, int status, const fs::path& temporary) {
    Diagnostic diagnostic{
        "model",
        fmt::format("'{}' does not compile: the C++ compiler ended with {}", file, status),
        remedy_of_compiler(temporary),
        {},
        {}};
    std::string headers;
    for (const char* header : {"dsl/emulsion.h", "dsl/sizes.h", "dsl/training.h",
                               "dsl/augmentation.h", "dsl/signal.h", "dsl/unsupervised.h"})
        headers += text_of(include_folder() / header);
    const std::string model = text_of(file);
    for (const UnknownOption& option : find_unknown_options(model, headers)) {
        const std::string near =
            suggest(option.name, {option.known.begin(), option.known.end()}, Vocabulary::options)
                .to_string(option.name);
        diagnostic.notes.push_back(
            fmt::format("{}:{}: {} has no option '{}'; {}{}its options are {}", file, option.line,
                        option.function, option.name, near, near.empty() ? "" : ", ",
                        fmt::join(option.known, ", ")));
    }
    const CalledFunctions functions =
        find_unknown_functions(model, headers + text_of_headers(file, model));
    for (const UnknownFunction& called : functions.unknown) {
        const Suggestion near = suggest(
            called.name, {functions.known.begin(), functions.known.end()}, Vocabulary::layers);
        if (near.word.empty() || (called.is_member && !near.is_meant)) continue;
        diagnostic.notes.push_back(fmt::format(
            "{}:{}: {}", file, called.line,
            near.is_meant ? near.to_string(called.name)
                          : fmt::format("'{}' may be meant as '{}'", called.name, near.word)));
    }
    throw Error(std::move(diagnostic));
}

// The model program's messages about itself: one byte in a pipe that compile() writes.
constexpr const char* kCalledVariable = "EMULSION_COMPILE_CALLED";

class CalledPipe {
  public:
    CalledPipe() {
        if (pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0)
            fail("program", fmt::format("no pipe for the model: {}", std::strerror(errno)),
                 "free open files");
        fcntl(ends_[1], F_SETFD, 0);  // for the model program alone
        setenv(kCalledVariable, std::to_string(ends_[1]).c_str(), 1);
    }
    ~CalledPipe() {
        for (int end : ends_) close(end);
        unsetenv(kCalledVariable);
    }
    CalledPipe(const CalledPipe&) = delete;
    CalledPipe& operator=(const CalledPipe&) = delete;

    bool was_called() const {
        char byte = 0;
        return read(ends_[0], &byte, 1) == 1;
    }

  private:
    int ends_[2];
};

bool is_crash(int signal) {
    for (int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
        if (signal == crash) return true;
    }
    return false;
}

// What becomes of a model program that ended.
int conclude(const std::string& file, const Successor::End& end, bool was_called) {
    if (is_crash(end.signal)) {
        fail("model",
             fmt::format("'{}' crashed {}: signal {} ({})", file,
                         was_called ? "in compile()" : "before it called compile()", end.signal,
                         strsignal(end.signal)),
             was_called ? "this is a bug of the compiler: report it with the model"
                        : "mend the model file, or run it in a debugger");
    }
    if (end.signal == SIGKILL)
        fail("model", fmt::format("'{}' was killed (signal 9)", file),
             "free memory, where the system did it for lack of it");
    if (end.signal != 0) end_by_signal(end.signal);
    if (was_called) return end.status;
    fail("model",
         fmt::format("'{}' ended with status {} and never called compile()", file, end.status),
         "end main with: return compile(m, argc, argv);");
}

}  // namespace

void report_compile_called() {
    const char* number = std::getenv(kCalledVariable);
    if (number == nullptr) return;
    const int end = std::atoi(number);
    (void)!write(end, "+", 1);
    close(end);
    unsetenv(kCalledVariable);
}

int run_model_file(const CommandLine& given) {
    CommandLine line = given;
    if (access(line.file.c_str(), R_OK) != 0) {
        fail("file", fmt::format("'{}' cannot be read: {}", line.file, std::strerror(errno)),
             "name a model file that exists and that you may read");
    }
    CalledPipe called;
    std::optional<Successor> model;
    {
        TemporaryFolder folder;  // is needed until the program runs
        const fs::path dependencies = folder.path() / ".dependencies";
        const fs::path program = folder.path() / fs::path(line.file).stem();
        const int status = run_program(compile_command(line.file, program, dependencies),
                                       {.output = nullptr, .temporary = folder.path()});
        if (status != 0) {
            fail_to_compile(line.file, status, folder.path());
        }
        line.dependencies = read_depfile(dependencies.string());
        std::vector<std::string> command = {program.string()};
        for (std::string& word : to_arguments(line)) command.push_back(std::move(word));
        model.emplace(command);
    }
    const Successor::End end = model->wait();
    return conclude(line.file, end, called.was_called());
}

}  // namespace emulsion
