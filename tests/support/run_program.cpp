// See run_program.h.
#include "tests/support/run_program.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "tests/support/fake_library.h"

namespace emulsion {

// An anonymous file; what a child writes to it is read afterwards from the start.
class RunningProgram::Capture {
  public:
    Capture() : file_(std::tmpfile()) {}
    ~Capture() { std::fclose(file_); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    int descriptor() const { return fileno(file_); }
    std::string text() const {
        std::string text;
        std::rewind(file_);
        for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_))
            text += static_cast<char>(c);
        return text;
    }

  private:
    std::FILE* file_;
};

namespace {

void redirect(int stream, int wanted, int captured) {
    if (wanted == ProgramStreams::kClosed) {
        close(stream);
    } else {
        dup2(wanted == ProgramStreams::kCaptured ? captured : wanted, stream);
    }
}

[[noreturn]] void run_child(const ProgramMain& main, std::vector<std::string>& arguments) {
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ, SIGPIPE})
        std::signal(number, SIG_DFL);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const int code = main(static_cast<int>(arguments.size()), pointers.data());
    std::fflush(nullptr);
    _exit(code);
}

}  // namespace

RunningProgram::RunningProgram(const ProgramMain& main, std::vector<std::string> arguments,
                               const ProgramStreams& streams)
    : out_(std::make_unique<Capture>()), err_(std::make_unique<Capture>()) {
    std::fflush(nullptr);
    child_ = fork();
    if (child_ != 0) return;
    redirect(STDOUT_FILENO, streams.out, out_->descriptor());
    redirect(STDERR_FILENO, streams.err, err_->descriptor());
    run_child(main, arguments);
}

RunningProgram::~RunningProgram() {
    if (child_ < 0) return;
    send(SIGKILL);
    wait();
}

void RunningProgram::send(int signal) const { kill(child_, signal); }

ProgramResult RunningProgram::wait() {
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    ProgramResult result;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    result.out = out_->text();
    result.err = err_->text();
    return result;
}

ProgramResult run_program(const ProgramMain& main, std::vector<std::string> arguments) {
    return RunningProgram(main, std::move(arguments)).wait();
}

namespace {

ProgramMain fake_train_main(const std::string& changes) {
    return [description = fake_description(changes)](int argc, char** argv) {
        return emulsion_train_main(argc, argv, &fake_train_library(), &fake_infer_library(),
                                   description.c_str());
    };
}

}  // namespace

ProgramResult run_fake_train(std::vector<std::string> arguments, const std::string& changes) {
    arguments.insert(arguments.begin(), "fake-train");
    return run_program(fake_train_main(changes), std::move(arguments));
}

std::unique_ptr<RunningProgram> start_fake_train(std::vector<std::string> arguments,
                                                 const ProgramStreams& streams) {
    arguments.insert(arguments.begin(), "fake-train");
    return std::make_unique<RunningProgram>(fake_train_main("{}"), std::move(arguments), streams);
}

ProgramResult run_fake_infer(std::vector<std::string> arguments) {
    return start_fake_infer(std::move(arguments))->wait();
}

std::unique_ptr<RunningProgram> start_fake_infer(std::vector<std::string> arguments,
                                                 const ProgramStreams& streams) {
    arguments.insert(arguments.begin(), "fake-infer");
    const auto main = [](int argc, char** argv) {
        return emulsion_infer_main(argc, argv, &fake_infer_library(), nullptr,
                                   fake_description().c_str());
    };
    return std::make_unique<RunningProgram>(main, std::move(arguments), streams);
}

std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << "cannot read " << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

namespace {

void put_number(std::string* text, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) text->push_back(static_cast<char>(value >> shift));
}

void write_bytes(const std::string& path, const std::string& head,
                 const std::vector<uint8_t>& values) {
    std::ofstream file(path, std::ios::binary);
    file << head;
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size()));
    EXPECT_TRUE(file.flush()) << "cannot write " << path;
}

}  // namespace

void write_idx_set(const std::string& folder, bool is_test, int height, int width,
                   const std::vector<uint8_t>& pixels, const std::vector<uint8_t>& labels) {
    const std::string part = folder + (is_test ? "/t10k" : "/train");
    std::string images;
    put_number(&images, 0x00000803);
    put_number(&images, static_cast<uint32_t>(labels.size()));
    put_number(&images, static_cast<uint32_t>(height));
    put_number(&images, static_cast<uint32_t>(width));
    write_bytes(part + "-images-idx3-ubyte", images, pixels);
    std::string head;
    put_number(&head, 0x00000801);
    put_number(&head, static_cast<uint32_t>(labels.size()));
    write_bytes(part + "-labels-idx1-ubyte", head, labels);
}

void write_easy_set(const std::string& folder, bool is_test, int count, int height, int width,
                    int classes) {
    std::vector<uint8_t> pixels, labels;
    uint64_t bits = is_test ? 99 : 7;
    for (int n = 0; n < count; n++) {
        const int label = n * 7 % classes;
        labels.push_back(static_cast<uint8_t>(label));
        for (int i = 0; i < height * width; i++) {
            bits = bits * 6364136223846793005ull + 1442695040888963407ull;
            const int noise = static_cast<int>(bits >> 58);
            pixels.push_back(static_cast<uint8_t>(i % classes == label ? 150 + noise : noise));
        }
    }
    write_idx_set(folder, is_test, height, width, pixels, labels);
}

}  // namespace emulsion
