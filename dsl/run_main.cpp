// Errors become text here and nowhere else.
#include "dsl/run_main.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <system_error>

#include "compiler/support/diagnostic.h"
#include "compiler/support/interrupts.h"
#include "runtime/support/descriptor.h"
#include "runtime/support/error.h"

namespace emulsion {

namespace {

// A standard stream that was closed would be the number of the next file that is opened, and what
// is printed would go there. A folder is there in every container, and cannot be written to.
void open_standard_streams() {
    for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(stream, F_GETFD) < 0) (void)!open("/", O_RDONLY | O_DIRECTORY);
    }
}

ssize_t write_out(void*, const char* data, size_t bytes) {
    const int code = write_all(STDOUT_FILENO, {data, bytes});
    if (code == 0) return static_cast<ssize_t>(bytes);
    errno = code;
    return 0;
}

// The C library takes a pipe that does not block and is full for a moment for one that is broken.
void wait_for_full_pipes() {
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK) == 0) return;
    std::FILE* waiting = fopencookie(nullptr, "w", {nullptr, write_out, nullptr, nullptr});
    if (waiting == nullptr) return;
    if (isatty(STDOUT_FILENO) == 1) std::setvbuf(waiting, nullptr, _IOLBF, BUFSIZ);
    stdout = waiting;
}

Diagnostic diagnostic_of(const std::string& code, const std::string& message,
                         const std::string& fix) {
    return {code, message, fix, {}, {}};
}

// What the current exception says.
Diagnostic describe_exception() {
    try {
        throw;
    } catch (const Error& error) {
        return error.diagnostic();
    } catch (const RuntimeError& error) {
        return diagnostic_of("file", fmt::format("'{}': {}", error.where(), error.problem()),
                             error.fix());
    } catch (const std::bad_alloc&) {
        return diagnostic_of("system", "memory ran out", "free memory and try again");
    } catch (const std::system_error& error) {
        return diagnostic_of("system", error.what(), "free memory or disk space and try again");
    } catch (const std::exception& error) {
        return diagnostic_of("internal", error.what(),
                             "this is a bug of the compiler: report it with the model");
    }
}

void print(const std::string& program, const Diagnostic& diagnostic) {
    fmt::print(stderr, "{}: {}\n", program, to_string(diagnostic));
}

int flushed(const std::string& program, int code) {
    errno = 0;
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    const char* reason = errno == EBADF ? "it is closed"
                         : errno != 0   ? std::strerror(errno)
                                        : "a write failed";
    print(program,
          diagnostic_of("output", fmt::format("standard output cannot be written: {}", reason),
                        "give it a file or a pipe with room, and run the command again"));
    std::clearerr(stdout);
    return code == 0 ? 1 : code;
}

}  // namespace

int run_main(const std::string& program, const std::function<int()>& body) {
    open_standard_streams();
    wait_for_full_pipes();
    std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit of file sizes fails instead
    int code = 1, signal = 0;
    try {
        CatchInterrupts interrupts;
        try {
            code = flushed(program, body());
            if (code == 0) check_interrupts();
        } catch (const std::exception&) {
            print(program, describe_exception());
            flushed(program, 1);
            check_interrupts();
        }
    } catch (const Interrupted& interrupted) {
        signal = interrupted.signal;
    }
    if (signal != 0) end_by_signal(signal);
    return code;
}

}  // namespace emulsion
