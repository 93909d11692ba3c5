// Files: reading with a limit, atomic writing under faults.
#include <gtest/gtest.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/support/file.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::faults;
using testing::Faults;
using testing::message_of;
using testing::put_file;

using Names = std::vector<std::string>;

std::string read_text(const std::string& path) {
    return testing::text_of(read_file(path, 1 << 20, "file"));
}

TEST(DataFile, ReadsAWholeFileOrSaysWhyNot) {
    TestFolder folder;
    put_file(folder / "a", std::string_view("12345"));
    EXPECT_EQ(read_text(folder / "a"), "12345");
    EXPECT_EQ(message_of([&] { read_file(folder / "a", 4, "picture"); }, folder.path()),
              "DIR/a: the picture has 5 bytes; the limit is 4\n  fix: give a smaller picture");
    EXPECT_EQ(message_of([&] { read_file(folder / "b", 4, "picture"); }, folder.path()),
              "DIR/b: cannot open the picture: no such file or folder\n  fix: check the path");
    EXPECT_EQ(message_of([&] { read_file(folder.path(), 4, "picture"); }, folder.path()),
              "DIR: expected a picture, but this is a folder\n  fix: give the path of a file");
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(message_of([&] { read_file(folder / "pipe", 4, "picture"); }, folder.path()),
              "DIR/pipe: expected a picture, but this is no plain file\n"
              "  fix: give the path of a file");
}

TEST(DataFile, JoinsAndMakesFolders) {
    EXPECT_EQ(join_path("a", "b"), "a/b");
    EXPECT_EQ(join_path("a/", "b"), "a/b");
    EXPECT_EQ(join_path("", "b"), "b");
    TestFolder folder;
    make_folder(folder / "x/y/z");
    make_folder(folder / "x/y/z/");
    EXPECT_TRUE(is_folder(folder / "x/y/z"));
    put_file(folder / "x/file", std::string_view("1"));
    EXPECT_EQ(message_of([&] { make_folder(folder / "x/file"); }, folder.path()),
              "DIR/x/file: expected a folder, but this is a file\n"
              "  fix: choose another path, or move the file away");
    EXPECT_EQ(message_of([&] { make_folder(folder / "x/file/z"); }, folder.path()),
              "DIR/x/file/z: cannot make the folder: a part of the path is no folder\n"
              "  fix: choose another path");
}

TEST(DataFile, WritesAndReplaces) {
    TestFolder folder;
    write_file(folder / "a", std::string_view("old"));
    write_file(folder / "a", std::string_view("the new one"));
    EXPECT_EQ(read_text(folder / "a"), "the new one");
    EXPECT_EQ(folder.names(), Names{"a"});
}

TEST(DataFile, WithoutCommitTheOldFileStays) {
    TestFolder folder;
    write_file(folder / "a", std::string_view("old"));
    {
        AtomicFile file(folder / "a");
        file.write(testing::bytes_of("new"));
    }
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_EQ(folder.names(), Names{"a"});
}

TEST(DataFile, ALeftOverTemporaryFileIsOverwritten) {
    TestFolder folder;
    put_file(folder / "a.tmp", std::string_view("a long rest of a process that was killed"));
    write_file(folder / "a", std::string_view("new"));
    EXPECT_EQ(read_text(folder / "a"), "new");
    EXPECT_EQ(folder.names(), Names{"a"});
}

TEST(DataFile, TwoWritersOfOneFileAreRefused) {
    TestFolder folder;
    AtomicFile first(folder / "a");
    EXPECT_EQ(message_of([&] { write_file(folder / "a", std::string_view("x")); }, folder.path()),
              "DIR/a: another process is writing this file\n"
              "  fix: wait for the other process, or choose another path");
    first.write(testing::bytes_of("first"));
    first.commit();
    EXPECT_EQ(read_text(folder / "a"), "first");
}

TEST(DataFile, UnwritableFolderIsSaid) {
    TestFolder folder;
    EXPECT_EQ(
        message_of([&] { write_file(folder / "no/a", std::string_view("x")); }, folder.path()),
        "DIR/no/a: cannot write the file: no such file or folder\n  fix: check the path");
    EXPECT_EQ(message_of([&] { write_file(folder.path(), std::string_view("x")); }, folder.path()),
              "DIR: cannot write the file: it is a folder\n  fix: choose another path");
    ASSERT_EQ(chmod(folder.path().c_str(), 0555), 0);
    // Root may write everywhere, so a child without its rights tries.
    const int code = testing::in_child([&] {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 77;
        const std::string text =
            message_of([&] { write_file(folder / "a", std::string_view("x")); }, folder.path());
        return text == "DIR/a: cannot write the file: permission denied\n"
                       "  fix: choose another place, or change the permissions of the folder"
                   ? 0
                   : 1;
    });
    ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
    if (code == 77) GTEST_SKIP() << "root cannot give up its rights here";
    EXPECT_EQ(code, 0);
}

TEST(DataFile, FullDiskAndOtherFaultsLeaveTheOldFile) {
    TestFolder folder;
    write_file(folder / "a", std::string_view("old"));
    for (int64_t after : {0, 1, 4096, 300000}) {
        faults = Faults{.fail_after = after, .code = ENOSPC};
        const std::string text =
            message_of([&] { write_file(folder / "a", Bytes(400000, 'x')); }, folder.path());
        faults = Faults{};
        EXPECT_EQ(text,
                  "DIR/a: cannot write the file: the disk is full\n"
                  "  fix: free some space, or choose a place on another disk");
        EXPECT_EQ(read_text(folder / "a"), "old");
        EXPECT_EQ(folder.names(), Names{"a"});
    }
}

TEST(DataFile, SizeLimitOfTheSystemIsAnErrorAndNoSignal) {
    TestFolder folder;
    write_file(folder / "a", std::string_view("old"));
    const int code = testing::in_child([&] {
        const rlimit limit{8192, 8192};
        setrlimit(RLIMIT_FSIZE, &limit);
        const std::string text =
            message_of([&] { write_file(folder / "a", Bytes(100000, 'x')); }, folder.path());
        return text == "DIR/a: cannot write the file: the file would pass the system's size limit\n"
                       "  fix: raise the limit (ulimit -f)"
                   ? 0
                   : 1;
    });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_EQ(folder.names(), Names{"a"});
}

}  // namespace
}  // namespace emulsion
