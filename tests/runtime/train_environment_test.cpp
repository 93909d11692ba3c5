// The trainer and its surroundings: locale, allowed CPUs, memory against the stated bytes, a
// terminal.
#include <gtest/gtest.h>
#include <pty.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/comma_locale.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

int train_main(int argc, char** argv) {
    return emulsion_train_main(argc, argv, &fake_train_library(), &fake_infer_library(),
                               fake_description().c_str());
}

// A host program with a decimal comma: the same numbers are read and written.
TEST(TrainEnvironment, DecimalCommaChangesNothing) {
    use_fake_network({});
    const TestFolder folder;
    write_easy_set(folder.path(), /*is_test=*/false, 50, 4, 4, 3);
    const std::vector<std::string> common{"fake-train", "--data",          folder.path(), "--json",
                                          "--quiet",    "--learning-rate", "0.05"};
    auto plain = common, comma = common;
    plain.insert(plain.end(), {"--checkpoint", folder / "a", "--validation", "0.25"});
    comma.insert(comma.end(), {"--checkpoint", folder / "b", "--validation", "0.25"});
    const ProgramResult expected = run_program(train_main, plain);
    const ProgramResult found = run_program(
        [&](int argc, char** argv) {
            return use_comma_locale(folder / "locale") ? train_main(argc, argv) : 77;
        },
        comma);
    ASSERT_EQ(expected.exit_code, 0) << expected.err;
    ASSERT_EQ(found.exit_code, 0) << found.err;
    EXPECT_EQ(read_text(folder / "a/checkpoint"), read_text(folder / "b/checkpoint"));
    EXPECT_EQ(read_text(folder / "a/weights.safetensors"),
              read_text(folder / "b/weights.safetensors"));
    auto dry = common;
    dry.push_back("--dry-run");
    dry.erase(std::find(dry.begin(), dry.end(), "--json"));
    const std::string text = run_program(train_main, dry).out;
    EXPECT_NE(text.find("cosine from 0.05 to 0\n"), std::string::npos) << text;
    const ProgramResult dry_comma = run_program(
        [&](int argc, char** argv) {
            return use_comma_locale(folder / "locale") ? train_main(argc, argv) : 77;
        },
        dry);
    EXPECT_EQ(dry_comma.out, text);
}

// As under `taskset -c 0`.
TEST(TrainEnvironment, ThreadsAreTheAllowedCpus) {
    use_fake_network({});
    const TestFolder folder;
    write_easy_set(folder.path(), /*is_test=*/false, 50, 4, 4, 3);
    const auto pinned = [](int argc, char** argv) {
        cpu_set_t allowed, one;
        sched_getaffinity(0, sizeof(allowed), &allowed);
        CPU_ZERO(&one);
        int first = 0;
        while (!CPU_ISSET(first, &allowed)) first++;
        CPU_SET(first, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return train_main(argc, argv);
    };
    const ProgramResult result =
        run_program(pinned, {"fake-train", "--data", folder.path(), "--dry-run", "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(result.out)["threads"], 1);
}

uint64_t peak_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
    }
    return 0;
}

// Peak memory of a run, less that of its dry run, is what the library states, and not more with a
// test at the end.
TEST(TrainEnvironment, PeakMemoryIsWhatIsStated) {
    FakeNetwork network;
    network.shape = {1, 28, 28};
    network.classes = 10;
    network.batch = 64;
    network.workspace_bytes = uint64_t(48) << 20;
    use_fake_network(network);
    const TestFolder folder;
    write_easy_set(folder.path(), /*is_test=*/false, 2000, 28, 28, 10);
    write_easy_set(folder.path(), /*is_test=*/true, 500, 28, 28, 10);
    const auto measured = [](int argc, char** argv) {
        const int code = train_main(argc, argv);
        std::fprintf(stderr, "\npeak %llu", static_cast<unsigned long long>(peak_bytes()));
        return code;
    };
    const auto peak_of = [&](const ProgramResult& result) {
        EXPECT_EQ(result.exit_code, 0) << result.err;
        return std::stoull(result.err.substr(result.err.rfind("peak ") + 5));
    };
    const std::vector<std::string> run{"fake-train", "--data", folder.path(),
                                       "--steps",    "40",     "--json"};
    auto dry = run;
    dry.push_back("--dry-run");
    const ProgramResult dry_result = run_program(measured, dry);
    const auto json = nlohmann::json::parse(dry_result.out);
    const double stated = json["bytes"]["all"].get<double>();
    const double used =
        static_cast<double>(peak_of(run_program(measured, run)) - peak_of(dry_result));
    constexpr double kSlack = 2 << 20;
    EXPECT_LE(used, stated + kSlack);
    EXPECT_LE(stated, 1.02 * used + kSlack);
}

struct TerminalResult {
    int exit_code = -1;
    std::string text;
};

// The trainer with both streams on a terminal of 100 columns.
TerminalResult run_on_terminal(std::vector<std::string> arguments, const char* no_color) {
    winsize size{};
    size.ws_col = 100, size.ws_row = 24;
    int master = -1;
    const pid_t child = forkpty(&master, nullptr, nullptr, &size);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", no_color, 1);
        setenv("LC_ALL", "C", 1);
        std::vector<char*> pointers;
        for (std::string& argument : arguments) pointers.push_back(argument.data());
        const int code = train_main(static_cast<int>(arguments.size()), pointers.data());
        std::fflush(nullptr);
        _exit(code);
    }
    TerminalResult result;
    char buffer[4096];
    for (ssize_t got = read(master, buffer, sizeof(buffer)); got > 0;
         got = read(master, buffer, sizeof(buffer))) {
        result.text.append(buffer, static_cast<size_t>(got));
    }
    close(master);
    int status = 0;
    waitpid(child, &status, 0);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
}

TEST(TrainEnvironment, BarOnATerminal) {
    use_fake_network({});
    fake_hooks().seconds_per_step = 0.02;
    const TestFolder folder;
    write_easy_set(folder.path(), /*is_test=*/false, 50, 4, 4, 3);
    const std::vector<std::string> run{"fake-train", "--data", folder.path(), "--epochs", "1"};
    const TerminalResult plain = run_on_terminal(run, "1");
    EXPECT_EQ(plain.exit_code, 0);
    EXPECT_NE(plain.text.find("\repoch 1/1 ["), std::string::npos) << plain.text;
    EXPECT_NE(plain.text.find(" img/s  0:0"), std::string::npos) << plain.text;
    EXPECT_NE(plain.text.find("\r\x1b[K"), std::string::npos);
    EXPECT_EQ(plain.text.find("\x1b[32m"), std::string::npos);
    EXPECT_NE(run_on_terminal(run, "").text.find("\x1b[32m"), std::string::npos);
    auto silent = run;
    silent.push_back("--no-progress");
    EXPECT_EQ(run_on_terminal(silent, "").text.find("\x1b"), std::string::npos);
}

}  // namespace
}  // namespace emulsion
