// Limits of a control group's memory: files as Linux shows them, in a folder of the test.
#include "runtime/support/limits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/test_folder.h"

namespace emulsion::testing {
namespace {

class DataLimits : public ::testing::Test {
  protected:
    void write(const std::string& path, const std::string& text) {
        const std::filesystem::path file = folder_ / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    // Of a process that belongs to `groups`, the text of /proc/self/cgroup.
    uint64_t limit(const std::string& groups) {
        write("membership", groups);
        return cgroup_memory_limit(folder_ / "membership", folder_.path());
    }
    TestFolder folder_;
};

TEST_F(DataLimits, NoGroupSetsNoLimit) {
    for (const char* groups : {"", "0::/\n", "no colon\n1:memory", "0::/pod/box"})
        EXPECT_EQ(limit(groups), UINT64_MAX) << groups;
    EXPECT_EQ(cgroup_memory_limit("/nonexistent", "/nonexistent"), UINT64_MAX);
}

TEST_F(DataLimits, VersionTwo) {
    write("pod/box/memory.max", "max\n");
    EXPECT_EQ(limit("0::/pod/box\n"), UINT64_MAX);
    write("pod/box/memory.max", "2000000\n");
    EXPECT_EQ(limit("0::/pod/box\n"), 2000000u);
    write("pod/memory.max", "1000000\n");  // the tightest of all levels
    EXPECT_EQ(limit("0::/pod/box\n"), 1000000u);
    EXPECT_EQ(limit("0::/another\n"), UINT64_MAX);
    write("memory.max", "500000\n");  // a container sees its own group as the root
    EXPECT_EQ(limit("0::/docker/0123456789\n"), 500000u);
    EXPECT_EQ(limit("0::/\n"), 500000u);
}

TEST_F(DataLimits, VersionOne) {
    const std::string groups = "9:name=systemd:/box\n4:cpu,memory:/box\n0::/box\n";
    write("memory/box/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(limit(groups), 9223372036854771712u);
    write("memory/box/memory.limit_in_bytes", "3000000\n");
    EXPECT_EQ(limit(groups), 3000000u);
    EXPECT_EQ(limit("4:cpu,memoryless:/box\n"), UINT64_MAX);
    write("memory/memory.limit_in_bytes", "700000\n");
    EXPECT_EQ(limit(groups), 700000u);
    EXPECT_EQ(limit("4:memory:/docker/0123456789\n"), 700000u);
}

}  // namespace
}  // namespace emulsion::testing
