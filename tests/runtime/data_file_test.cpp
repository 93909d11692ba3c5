// Files: reading with a limit, atomic writing under faults.
#include <gtest/gtest.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/support/atomic_file.h"
#include "runtime/support/file.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"
#include "tests/support/sanitized.h"

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

TEST(DataFile, ReadsAtAnyPlaceFromFilesAndMemory) {
    TestFolder folder;
    put_file(folder / "a", std::string_view("0123456789"));
    const Bytes bytes = testing::bytes_of("0123456789");
    const ByteSource file(folder / "a", "list"), memory(bytes, "b", "list");
    for (const ByteSource* input : {&file, &memory}) {
        EXPECT_EQ(input->size(), 10u);
        Bytes out(4);
        input->read(6, out);
        EXPECT_EQ(testing::text_of(out), "6789");
        EXPECT_NE(message_of([&] { input->read(7, out); }), "no error");
        EXPECT_NE(message_of([&] { input->read(UINT64_MAX, out); }), "no error");
        input->read(10, {});
    }
    ASSERT_EQ(truncate((folder / "a").c_str(), 5), 0);
    Bytes out(10);
    EXPECT_EQ(message_of([&] { file.read(0, out); }, folder.path()),
              "DIR/a: the list ends at byte 5 of 10: it became shorter while it was read\n"
              "  fix: let no other process write it, and try again");
}

TEST(DataFile, WhatIsNoPlainFileIsNeverRead) {
    for (const char* path : {"/dev/zero", "/dev/null"}) {
        EXPECT_EQ(message_of([&] { read_file(path, 4, "picture"); }),
                  std::string(path) +
                      ": expected a picture, but this is no plain file\n"
                      "  fix: give the path of a file");
    }
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

// The text of `link`, or "" where it is none.
std::string link_text(const std::string& link) {
    char text[4096];
    const ssize_t length = readlink(link.c_str(), text, sizeof text);
    return std::string(text, length < 0 ? 0 : static_cast<size_t>(length));
}

mode_t mode_of(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status.st_mode;
}

TEST(DataFile, ALinksTargetIsWhatIsReplaced) {
    TestFolder folder;
    make_folder(folder / "x");
    put_file(folder / "x/a", std::string_view("old"));
    ASSERT_EQ(symlink("x/a", (folder / "near").c_str()), 0);
    ASSERT_EQ(symlink((folder / "near").c_str(), (folder / "far").c_str()), 0);
    write_file(folder / "far", std::string_view("new"));
    EXPECT_EQ(read_text(folder / "x/a"), "new");
    EXPECT_EQ(link_text(folder / "near"), "x/a");
    EXPECT_EQ(link_text(folder / "far"), folder / "near");
    // One that leads to nothing yet.
    ASSERT_EQ(symlink("x/b", (folder / "ahead").c_str()), 0);
    write_file(folder / "ahead", std::string_view("first"));
    EXPECT_EQ(read_text(folder / "x/b"), "first");
    EXPECT_EQ(link_text(folder / "ahead"), "x/b");
    ASSERT_EQ(symlink("ring", (folder / "ring").c_str()), 0);
    EXPECT_EQ(message_of([&] { AtomicFile file(folder / "ring"); }, folder.path()),
              "DIR/ring: cannot write the file: its symbolic links go in a circle\n"
              "  fix: choose another path");
    EXPECT_EQ(folder.names(), (Names{"ahead", "far", "near", "ring", "x"}));
}

TEST(DataFile, TheOldFilesModeIsKept) {
    TestFolder folder;
    for (const mode_t mode : {0600, 0640, 0444, 0666}) {
        put_file(folder / "a", std::string_view("old"));
        ASSERT_EQ(chmod((folder / "a").c_str(), mode), 0);
        AtomicFile file(folder / "a");
        EXPECT_EQ(mode_of(folder / "a.tmp") & 07777, mode);
        file.commit();
        EXPECT_EQ(mode_of(folder / "a") & 07777, mode);
        unlink((folder / "a").c_str());
    }
    if (geteuid() != 0) return;
    put_file(folder / "a", std::string_view("old"));
    ASSERT_EQ(chown((folder / "a").c_str(), 1234, 2345), 0);
    write_file(folder / "a", std::string_view("new"));
    struct stat status{};
    ASSERT_EQ(stat((folder / "a").c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 1234u);
    EXPECT_EQ(status.st_gid, 2345u);
}

TEST(DataFile, DevicesPipesAndFoldersAreNeverReplaced) {
    TestFolder folder;
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    ASSERT_EQ(symlink("/dev/null", (folder / "null").c_str()), 0);
    const auto message = [&](const char* name) {
        return message_of([&] { AtomicFile file(folder / name); }, folder.path());
    };
    const std::string fix = "\n  fix: choose the path of a plain file";
    EXPECT_EQ(message("pipe"), "DIR/pipe: cannot write the file: it is a pipe" + fix);
    EXPECT_EQ(message("null"), "DIR/null: cannot write the file: it is a device" + fix);
    EXPECT_EQ(message_of([&] { AtomicFile file("/dev/null"); }),
              "/dev/null: cannot write the file: it is a device" + fix);
    EXPECT_TRUE(S_ISFIFO(mode_of(folder / "pipe")));
    EXPECT_TRUE(S_ISLNK(mode_of(folder / "null")));
    EXPECT_TRUE(S_ISCHR(mode_of("/dev/null")));
    const std::string is_folder =
        ": cannot write the file: it is a folder\n"
        "  fix: choose another path";
    make_folder(folder / "x");
    EXPECT_EQ(message("x"), "DIR/x" + is_folder);
    EXPECT_EQ(message("x/"), "DIR/x/" + is_folder);
    EXPECT_EQ(message("new/"), "DIR/new/" + is_folder);
    EXPECT_EQ(message_of([&] { AtomicFile file(""); }),
              "cannot write the file: no such file or folder\n  fix: check the path");
    EXPECT_EQ(folder.names(), (Names{"null", "pipe", "x"}));
}

TEST(DataFile, NamesOfAnyLengthThatTheSystemTakes) {
    TestFolder folder;
    for (const size_t length : {251u, 252u, 255u}) {
        const std::string name(length, 'n');
        write_file(folder / name, std::string_view("1"));
        EXPECT_EQ(folder.names(), Names{name});
        unlink((folder / name).c_str());
    }
    const std::string name(256, 'n');
    EXPECT_EQ(message_of([&] { AtomicFile file(folder / name); }, folder.path()),
              "DIR/" + name +
                  ": cannot write the file: the name is too long\n"
                  "  fix: choose a shorter name");
}

TEST(DataFile, WhatAnotherPutUnderTheTemporaryNameIsNeverAdopted) {
    TestFolder folder;
    // A left-over link is removed; its target is not written.
    put_file(folder / "victim", std::string_view("precious"));
    ASSERT_EQ(symlink("victim", (folder / "a.tmp").c_str()), 0);
    write_file(folder / "a", std::string_view("new"));
    EXPECT_TRUE(S_ISREG(mode_of(folder / "a")));
    EXPECT_EQ(read_text(folder / "victim"), "precious");
    EXPECT_EQ(read_text(folder / "a"), "new");
    // A second name of another file is let go, not written.
    ASSERT_EQ(link((folder / "victim").c_str(), (folder / "a.tmp").c_str()), 0);
    write_file(folder / "a", std::string_view("newer"));
    EXPECT_EQ(read_text(folder / "victim"), "precious");
    ASSERT_EQ(mkfifo((folder / "a.tmp").c_str(), 0600), 0);
    EXPECT_EQ(message_of([&] { AtomicFile file(folder / "a"); }, folder.path()),
              "DIR/a: cannot write the file: 'DIR/a.tmp' is in the way, a pipe\n"
              "  fix: remove it, or choose another path");
    unlink((folder / "a.tmp").c_str());
    if (geteuid() != 0) GTEST_SKIP() << "only root can make files of another user";
    put_file(folder / "a.tmp", std::string_view("made first"));
    ASSERT_EQ(chown((folder / "a.tmp").c_str(), 1234, 1234), 0);
    EXPECT_EQ(message_of([&] { AtomicFile file(folder / "a"); }, folder.path()),
              "DIR/a: cannot write the file: 'DIR/a.tmp' is in the way, of another user\n"
              "  fix: remove it, or choose another path");
    EXPECT_EQ(read_text(folder / "a.tmp"), "made first");
}

TEST(DataFile, ATemporaryFileThatWasTakenAwayIsNotPutInPlace) {
    TestFolder folder;
    write_file(folder / "a", std::string_view("old"));
    AtomicFile file(folder / "a");
    unlink((folder / "a.tmp").c_str());
    put_file(folder / "a.tmp", std::string_view("another's"));
    EXPECT_NE(message_of([&] { file.commit(); }), "no error");
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_EQ(read_text(folder / "a.tmp"), "another's");
}

TEST(DataFile, OneFileUnderSeveralNames) {
    TestFolder folder;
    make_folder(folder / "x");
    ASSERT_EQ(symlink("x", (folder / "y").c_str()), 0);
    ASSERT_EQ(symlink("x/a", (folder / "link").c_str()), 0);
    for (const bool exists : {false, true}) {
        if (exists) put_file(folder / "x/a", std::string_view("1"));
        for (const char* name : {"x/a", "x//a", "y/a", "x/../x/a", "link"}) {
            EXPECT_TRUE(is_same_file(folder / "x/a", folder / name)) << name << exists;
            EXPECT_TRUE(is_same_file(folder / name, folder / "x/a")) << name << exists;
        }
        EXPECT_FALSE(is_same_file(folder / "x/a", folder / "x/b"));
    }
    // In folders that are yet to be made.
    EXPECT_TRUE(is_same_file(folder / "new/a", folder / "new/./a"));
    EXPECT_FALSE(is_same_file(folder / "new/a", folder / "new/b"));
    EXPECT_TRUE(is_same_file("a", "./a"));
}

// Relative paths mean nothing there, and keep nobody busy.
TEST(DataFile, PathsInARemovedFolder) {
    TestFolder folder;
    make_folder(folder / "gone");
    const int code = testing::in_child([&] {
        alarm(10);
        if (chdir((folder / "gone").c_str()) != 0 || rmdir((folder / "gone").c_str()) != 0)
            return 1;
        if (!is_same_file("a", "./a") || is_same_file("a", "b")) return 2;
        return message_of([] { write_file("a", std::string_view("x")); }) ==
                       "a: cannot write the file: no such file or folder\n  fix: check the path"
                   ? 0
                   : 3;
    });
    EXPECT_EQ(code, 0);
}

TEST(DataFile, NoDescriptorIsLeft) {
    if (test::is_sanitized()) GTEST_SKIP() << "the sanitizers need descriptors of their own";
    TestFolder folder;
    put_file(folder / "a", std::string_view("x"));
    const int code = testing::in_child([&] {
        const rlimit none{0, 0};
        setrlimit(RLIMIT_NOFILE, &none);
        const auto read = [&] { read_file(folder / "a", 1, "file"); };
        const auto write = [&] { write_file(folder / "b", std::string_view("x")); };
        const std::string end =
            " the file: too many files are open\n  fix: raise the limit of open files (ulimit -n)";
        if (message_of(read, folder.path()) != "DIR/a: cannot open" + end) return 1;
        return message_of(write, folder.path()) == "DIR/b: cannot write" + end ? 0 : 2;
    });
    EXPECT_EQ(code, 0);
}

TEST(DataFile, NamesReachTheDiskWithTheirFolder) {
    TestFolder folder;
    faults = Faults{.folder_code = EIO};
    const std::string file =
        message_of([&] { write_file(folder / "a", std::string_view("x")); }, folder.path());
    const std::string made = message_of([&] { make_folder(folder / "x/y"); }, folder.path());
    faults = Faults{};
    EXPECT_EQ(file,
              "DIR/a: cannot put in place the file: Input/output error\n"
              "  fix: check the path and the disk");
    EXPECT_EQ(made,
              "DIR/x: cannot make the folder: Input/output error\n"
              "  fix: check the path and the disk");
    // A file system that knows no such request.
    faults = Faults{.folder_code = EINVAL};
    EXPECT_EQ(message_of([&] { write_file(folder / "a", std::string_view("x")); }), "no error");
    faults = Faults{};
    // Each new folder's name, in the folder above it.
    faults.synced_folders = 0;
    make_folder(folder / "p/q/r");
    EXPECT_EQ(faults.synced_folders, 3);
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
