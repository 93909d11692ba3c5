// Programs are found on the PATH, run, and their failures told.
#include "compiler/support/host.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "compiler/support/closest.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {
namespace {

TEST(Host, RunsProgramsWithTheirArguments) {
    std::string output;
    EXPECT_EQ(
        run_program({"sh", "-c", "printf '%s|' \"$@\"; echo err >&2; exit 3", "x", "a b", "$c"},
                    &output),
        3);
    EXPECT_EQ(output, "a b|$c|err\n");
}

TEST(Host, TellsTheSignalThatEndedAProgram) {
    EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}), 128 + SIGKILL);
}

TEST(Host, RefusesProgramsThatCannotBeRun) {
    for (std::string name : {"no-such-program", "./no-such-program", "/etc/passwd"}) {
        try {
            run_program({name});
            FAIL() << name;
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()),
                      "error[program]: the program '" + name +
                          "' cannot be run: it is missing or not executable\n"
                          "  fix: check the path and its permissions");
        }
    }
}

TEST(Host, TemporaryFoldersVanish) {
    std::filesystem::path path;
    {
        TemporaryFolder folder;
        path = folder.path();
        std::filesystem::create_directories(path / "a/b");
        std::ofstream(path / "a/file") << "text";
        EXPECT_TRUE(std::filesystem::exists(path / "a/file"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Host, MakesOutputFolders) {
    TemporaryFolder folder;
    make_output_folder(folder.path() / "x/y");
    EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "x/y"));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "x/y"));
}

TEST(Host, ClosestWord) {
    EXPECT_EQ(closest("conv2", {"add", "conv2d", "dense"}), "conv2d");
    EXPECT_EQ(closest("maxpool", {"average_pool", "max_pool"}), "max_pool");
    EXPECT_EQ(closest("", {"add", "sub"}), "add");
}

}  // namespace
}  // namespace emulsion
