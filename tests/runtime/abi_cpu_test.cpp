// CPUs that a control group's quota is worth: files as Linux shows them, in a folder of the test.
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/abi/instance.h"
#include "tests/support/test_folder.h"

namespace emulsion::testing {
namespace {

class AbiCpu : public ::testing::Test {
  protected:
    void write(const std::string& path, const std::string& text) {
        const std::filesystem::path file = folder_ / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    // Of a process that belongs to `groups`, the text of /proc/self/cgroup.
    int cpus(const std::string& groups) {
        write("membership", groups);
        return emulsion_cgroup_cpus((folder_ / "membership").c_str(), folder_.path().c_str());
    }
    TestFolder folder_;
};

TEST_F(AbiCpu, NoGroupSetsNoLimit) {
    EXPECT_EQ(cpus(""), 0);
    EXPECT_EQ(cpus("0::/\n"), 0);
    EXPECT_EQ(cpus("no colon\n1:cpu"), 0);
    EXPECT_EQ(emulsion_cgroup_cpus("/nonexistent", "/nonexistent"), 0);
}

TEST_F(AbiCpu, VersionTwo) {
    const std::string group = "0::/pod/box\n";
    write("pod/box/cpu.max", "max 100000\n");
    EXPECT_EQ(cpus(group), 0);
    write("pod/box/cpu.max", "200000 100000\n");
    EXPECT_EQ(cpus(group), 2);
    write("pod/box/cpu.max", "250000 100000\n");  // rounded up
    EXPECT_EQ(cpus(group), 3);
    write("pod/box/cpu.max", "1000 100000\n");
    EXPECT_EQ(cpus(group), 1);
    write("pod/cpu.max", "50000 100000\n");  // the tightest of all levels
    write("pod/box/cpu.max", "700000 100000\n");
    EXPECT_EQ(cpus(group), 1);
    EXPECT_EQ(cpus("0::/another\n"), 0);
}

// In a container the path may be the host's, while the group's own files lie at the root.
TEST_F(AbiCpu, AContainerSeesItsGroupAsTheRoot) {
    write("cpu.max", "400000 100000\n");
    EXPECT_EQ(cpus("0::/\n"), 4);
    EXPECT_EQ(cpus("0::/docker/0123456789\n"), 4);
}

TEST_F(AbiCpu, VersionOne) {
    const std::string groups = "12:cpuset:/box\n4:cpuacct,cpu:/box\n1:name=systemd:/box\n0::/box\n";
    write("cpu/box/cpu.cfs_quota_us", "-1\n");
    write("cpu/box/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cpus(groups), 0);
    write("cpu/box/cpu.cfs_quota_us", "150000\n");
    EXPECT_EQ(cpus(groups), 2);
    EXPECT_EQ(cpus("4:cpuset,cpuacct:/box\n"), 0);
}

TEST_F(AbiCpu, OddNumbersSetNoLimit) {
    for (const char* text : {"", "max", "0 100000", "100000", "100000 0", "-5 100000",
                             "99999999999999999999999 1", "x y"}) {
        write("cpu.max", text);
        EXPECT_GE(cpus("0::/\n"), 0) << text;
        EXPECT_LE(cpus("0::/" + std::string(3000, 'x') + "\n"), 1 << 30) << text;
    }
    write("cpu.max", "100000 0");
    EXPECT_EQ(cpus("0::/\n"), 0);
}

TEST_F(AbiCpu, CountIsWithinTheAffinity) {
    cpu_set_t set;
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_GE(emulsion_cpu_count(), 1);
    EXPECT_LE(emulsion_cpu_count(), CPU_COUNT(&set));
}

}  // namespace
}  // namespace emulsion::testing
