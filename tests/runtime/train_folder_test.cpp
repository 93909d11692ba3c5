// The folder of a run: one trainer at a time, weights and checkpoint of one run, and every place to
// write to found out before the first step.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "runtime/data/checkpoint.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"
#include "tests/support/fake_library.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

class TrainFolderTest : public ::testing::Test {
  protected:
    void SetUp() override {
        use_fake_network({});
        write_easy_set(data_.path(), /*is_test=*/false, 50, 4, 4, 3);
    }

    ProgramResult train(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"--data", data_.path(), "--quiet"});
        return run_fake_train(std::move(arguments));
    }
    std::unique_ptr<RunningProgram> start_slow_run() {
        fake_hooks().seconds_per_step = 0.05;
        auto program =
            start_fake_train({"--data", data_.path(), "--checkpoint", run_, "--epochs", "1000"});
        fake_hooks() = {};
        while (!has_checkpoint(run_)) usleep(1000);
        return program;
    }
    // Refused before anything was trained or printed.
    void expect_refused(const std::vector<std::string>& arguments, const std::string& message) {
        const ProgramResult result = train(arguments);
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err, "error: " + message);
    }

    TestFolder data_, runs_;
    const std::string run_ = runs_ / "run";
    const std::string weights_ = run_ + "/weights.safetensors";
};

TEST_F(TrainFolderTest, SecondTrainerIsRefused) {
    const auto first = start_slow_run();
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    const std::string message = run_ + ": another trainer works in this folder: process " +
                                std::to_string(first->process()) + " on " + host +
                                "\n  fix: wait for its end, or choose another folder for "
                                "--checkpoint\n";
    expect_refused({"--checkpoint", run_}, message);
    expect_refused({"--checkpoint", run_, "--overwrite"}, message);
    expect_refused({"--checkpoint", run_, "--resume"}, message);
    // A dry run only looks: its trials are not in the way of the trainer's next checkpoint.
    std::filesystem::create_directory(run_ + "/checkpoint.tmp.tmp");
    EXPECT_EQ(train({"--checkpoint", run_, "--resume", "--dry-run"}).exit_code, 0);
    std::filesystem::remove(run_ + "/checkpoint.tmp.tmp");
    first->send(SIGTERM);
    EXPECT_EQ(first->wait().exit_code, 143);
    EXPECT_FALSE(is_file(run_ + "/lock"));
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite", "--epochs", "1"}).exit_code, 0);
}

// What a run would be refused for, its dry run is.
TEST_F(TrainFolderTest, ADryRunLooksAtPlaces) {
    ASSERT_EQ(train({"--checkpoint", run_}).exit_code, 0);
    const std::string before = read_text(run_ + "/checkpoint");
    for (const std::vector<std::string>& options : {std::vector<std::string>{"--checkpoint", run_},
                                                    {"--weights", runs_.path()},
                                                    {"--profile=" + (runs_ / "none/p")}}) {
        std::vector<std::string> dry = options;
        dry.push_back("--dry-run");
        const ProgramResult result = train(dry);
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.err, train(options).err);
    }
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite", "--dry-run"}).exit_code, 0);
    EXPECT_EQ(train({"--checkpoint", runs_ / "new", "--dry-run"}).exit_code, 0);
    EXPECT_FALSE(is_folder(runs_ / "new"));
    EXPECT_EQ(read_text(run_ + "/checkpoint"), before);
}

TEST_F(TrainFolderTest, AKilledTrainerLeavesNoLock) {
    const auto first = start_slow_run();
    first->send(SIGKILL);
    EXPECT_EQ(first->wait().signal, SIGKILL);
    EXPECT_TRUE(is_file(run_ + "/lock"));
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite", "--epochs", "1"}).exit_code, 0);
    EXPECT_FALSE(is_file(run_ + "/lock"));
}

// A file called `lock` that no trainer wrote is the user's: neither changed nor removed, whatever
// the start would be refused for besides.
TEST_F(TrainFolderTest, AForeignLockIsNeverTouched) {
    const std::string lock = run_ + "/lock", target = runs_ / "target";
    const std::string message = run_ +
                                ": holds 'lock', which is no lock of a trainer\n"
                                "  fix: move it away, or choose another folder for --checkpoint\n";
    std::filesystem::create_directory(run_);
    const auto expect_left = [&](const char* what) {
        SCOPED_TRACE(what);
        struct stat before, after;
        ASSERT_EQ(lstat(lock.c_str(), &before), 0);
        expect_refused({"--checkpoint", run_}, message);
        EXPECT_EQ(run_fake_train({"--data", runs_ / "none", "--checkpoint", run_}).exit_code, 1);
        ASSERT_EQ(lstat(lock.c_str(), &after), 0);
        EXPECT_EQ(before.st_ino, after.st_ino);
        EXPECT_EQ(before.st_mode, after.st_mode);
        EXPECT_FALSE(has_checkpoint(run_));
    };
    write_file(lock, "precious\n");
    expect_left("text");
    EXPECT_EQ(read_text(lock), "precious\n");
    std::filesystem::remove(lock);
    ASSERT_EQ(mkfifo(lock.c_str(), 0600), 0);
    expect_left("FIFO");
    std::filesystem::remove(lock);
    std::filesystem::create_directory(lock);
    expect_left("folder");
    std::filesystem::remove(lock);
    write_file(target, "");
    std::filesystem::create_symlink(target, lock);
    expect_left("link");
    EXPECT_EQ(read_text(target), "");
}

TEST_F(TrainFolderTest, ALockThatAPowerCutHasDamagedIsOurs) {
    for (const std::string& text : {std::string(), std::string(20, '\0'), std::string("proc"),
                                    std::string("process 12") + std::string(9, '\0')}) {
        std::filesystem::create_directories(run_);
        write_file(run_ + "/lock", text);
        EXPECT_EQ(train({"--checkpoint", run_, "--overwrite"}).exit_code, 0) << text;
        EXPECT_FALSE(is_file(run_ + "/lock"));
    }
}

TEST_F(TrainFolderTest, ALockPutInPlaceOfOursStays) {
    const auto first = start_slow_run();
    std::filesystem::remove(run_ + "/lock");
    write_file(run_ + "/lock", "precious\n");
    first->send(SIGTERM);
    EXPECT_EQ(first->wait().exit_code, 143);
    EXPECT_EQ(read_text(run_ + "/lock"), "precious\n");
}

// Two that begin at the same time: one trains, the other is refused, and the files are of one run.
TEST_F(TrainFolderTest, TwoAtTheSameTime) {
    for (int attempt = 0; attempt < 5; attempt++) {
        const std::string run = runs_ / std::to_string(attempt);
        fake_hooks().seconds_per_step = 0.02;
        const std::vector<std::string> options{"--data", data_.path(), "--checkpoint",
                                               run,      "--epochs",   "1"};
        const auto first = start_fake_train(options), second = start_fake_train(options);
        const int codes = first->wait().exit_code + second->wait().exit_code;
        EXPECT_EQ(codes, 1);
        EXPECT_TRUE(is_file(run + "/weights.safetensors"));
    }
}

// Validation, the test and the weights would find out at the end that the inference library needs
// more than a picture.
TEST_F(TrainFolderTest, AnInferenceLibraryThatReadsMoreIsRefusedFirst) {
    FakeNetwork network;
    network.infer_inputs = 2;
    use_fake_network(network);
    expect_refused({"--checkpoint", run_},
                   "fake: this program feeds what inference reads and what it is trained towards, "
                   "a class index, one for each pixel, numbers, or nothing, but the network reads "
                   "'second' in inference alone\n"
                   "  fix: call the training library from a program of your own\n");
    EXPECT_FALSE(is_folder(run_));
}

TEST_F(TrainFolderTest, WrongDataLeaveNoFolder) {
    EXPECT_EQ(run_fake_train({"--data", runs_ / "none", "--checkpoint", run_}).exit_code, 1);
    EXPECT_FALSE(is_folder(run_));
}

// Ended in its first step, which no weights follow, a run that began anew leaves none of the run
// before.
TEST_F(TrainFolderTest, OldWeightsNeverStandBesideANewCheckpoint) {
    ASSERT_EQ(train({"--checkpoint", run_}).exit_code, 0);
    ASSERT_TRUE(is_file(weights_));
    fake_hooks().signal = SIGKILL;
    fake_hooks().signal_step = 1;
    ASSERT_EQ(train({"--checkpoint", run_, "--overwrite", "--seed", "2"}).signal, SIGKILL);
    fake_hooks() = {};
    EXPECT_FALSE(is_file(weights_));
    EXPECT_TRUE(has_checkpoint(run_));
}

// Weights that lie elsewhere, behind a link: what it leads to is removed, and written at the end.
TEST_F(TrainFolderTest, OldWeightsBehindALink) {
    const std::string target = runs_ / "elsewhere";
    std::filesystem::create_directory(run_);
    std::filesystem::create_symlink(target, weights_);
    ASSERT_EQ(train({"--checkpoint", run_}).exit_code, 0);
    ASSERT_TRUE(is_file(target));
    fake_hooks().signal = SIGKILL;
    fake_hooks().signal_step = 1;
    ASSERT_EQ(train({"--checkpoint", run_, "--overwrite", "--seed", "2"}).signal, SIGKILL);
    fake_hooks() = {};
    EXPECT_FALSE(is_file(target));
    EXPECT_TRUE(std::filesystem::is_symlink(weights_));
    EXPECT_EQ(run_fake_train({"--checkpoint", run_, "--resume"}).exit_code, 0);
    EXPECT_TRUE(is_file(target));
    EXPECT_TRUE(std::filesystem::is_symlink(weights_));
}

// A start that fails removes nothing.
TEST_F(TrainFolderTest, OldWeightsStayWhereTheRunDoesNotBegin) {
    ASSERT_EQ(train({"--checkpoint", run_}).exit_code, 0);
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite", "--profile=" + run_}).exit_code, 1);
    EXPECT_TRUE(is_file(weights_));
    fake_hooks().bind_status = EMULSION_UNSUPPORTED_CPU;
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite"}).exit_code, 1);
    fake_hooks() = {};
    EXPECT_TRUE(is_file(weights_));
    std::filesystem::remove(run_ + "/checkpoint");
    expect_refused({"--checkpoint", run_},
                   run_ +
                       ": holds the weights of another run\n"
                       "  fix: choose another folder, or begin anew with --overwrite\n");
    EXPECT_TRUE(is_file(weights_));
}

// The disk fills up while the new checkpoint is written.
TEST_F(TrainFolderTest, OldWeightsStayWhereTheDiskIsFull) {
    ASSERT_EQ(train({"--checkpoint", run_}).exit_code, 0);
    const std::string before = read_text(weights_);
    testing::faults.fail_after = 100;
    testing::faults.code = ENOSPC;
    expect_refused({"--checkpoint", run_, "--overwrite", "--seed", "2"},
                   run_ +
                       "/checkpoint: cannot write the file: the disk is full\n"
                       "  fix: free some space, or choose a place on another disk\n");
    testing::faults = {};
    EXPECT_EQ(read_text(weights_), before);
    EXPECT_EQ(train({"--checkpoint", run_, "--overwrite", "--steps", "1"}).exit_code, 0);
}

// Results that the disk has no room for are no reason to train. A checkpoint is written beside the
// former one, so a new run needs room for two, and one that goes on or replaces a run for one more.
TEST_F(TrainFolderTest, RoomIsTriedFirst) {
    FakeNetwork network;
    network.shape = {1, 64, 64};
    use_fake_network(network);
    write_easy_set(data_.path(), /*is_test=*/false, 50, 64, 64, 3);
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "1"}).exit_code, 0);
    const uint64_t each = std::filesystem::file_size(run_ + "/checkpoint");
    const std::string disk = runs_ / "disk", run = disk + "/run";
    constexpr uint64_t kDisk = 4 << 20;
    std::filesystem::create_directory(disk);
    if (mount("none", disk.c_str(), "tmpfs", 0, "size=4m") != 0)
        GTEST_SKIP() << "a small disk: mounting a tmpfs is not allowed here";
    const auto leave_room = [&](uint64_t bytes) {
        const std::string filler = disk + "/filler";
        const int file = open(filler.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const uint64_t used = kDisk - std::filesystem::space(disk).available;
        EXPECT_EQ(posix_fallocate(file, 0, static_cast<off_t>(kDisk - used - bytes)), 0);
        close(file);
    };
    const std::string why = "; a checkpoint has ";
    const std::string end = "\n  fix: free some space, or choose a place on another disk\n";
    const auto expect_no_room = [&](const std::vector<std::string>& options,
                                    const std::string& where, const std::string& reason) {
        const ProgramResult result = train(options);
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err.find("error: " + where + ": cannot write "), 0u) << result.err;
        EXPECT_NE(result.err.find(" bytes: the disk is full" + reason), std::string::npos)
            << result.err;
        EXPECT_TRUE(result.err.ends_with(end)) << result.err;
    };
    leave_room(each + each / 2);
    expect_no_room({"--checkpoint", run}, run + "/checkpoint", why);
    EXPECT_FALSE(is_folder(run));
    leave_room(1 << 12);
    expect_no_room({"--weights", disk + "/w"}, "--weights " + disk + "/w", "");
    leave_room(3 * each);
    EXPECT_EQ(train({"--checkpoint", run, "--steps", "2"}).exit_code, 0);
    leave_room(each + each / 2);
    EXPECT_EQ(train({"--checkpoint", run, "--overwrite", "--steps", "2"}).exit_code, 0);
    leave_room(each + each / 2);
    EXPECT_EQ(run_fake_train({"--checkpoint", run, "--resume", "--steps", "3"}).exit_code, 0);
    leave_room(each / 2);
    const std::string before = read_text(run + "/checkpoint");
    expect_no_room({"--checkpoint", run, "--resume"}, run + "/checkpoint", why);
    expect_no_room({"--checkpoint", run, "--overwrite", "--dry-run"}, run + "/checkpoint", why);
    EXPECT_EQ(read_text(run + "/checkpoint"), before);
    umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(TrainFolderTest, PlacesThatCannotBeWritten) {
    const std::string folder = runs_ / "folder";
    std::filesystem::create_directory(folder);
    for (const std::string& path :
         {folder, runs_ / std::string(256, 'w'), runs_ / "none/w", std::string("/dev/null")}) {
        for (const std::string& option : {std::string("--weights"), std::string("--profile")}) {
            const ProgramResult result =
                train(option == "--weights" ? std::vector<std::string>{option, path}
                                            : std::vector<std::string>{option + "=" + path});
            EXPECT_EQ(result.exit_code, 1);
            EXPECT_EQ(result.out, "");
            EXPECT_EQ(result.err.find("error: " + option + " "), 0u) << result.err;
            EXPECT_NE(result.err.find("\n  fix: "), std::string::npos) << result.err;
        }
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(TrainFolderTest, PlacesOfTheRunItself) {
    for (const std::string& name :
         {std::string("checkpoint"), std::string("lock"), std::string("../run/checkpoint")}) {
        const std::string path = run_ + "/" + name;
        const std::string own = run_ + "/" + name.substr(name.rfind('/') + 1);
        expect_refused({"--checkpoint", run_, "--weights", path},
                       "--weights " + path + ": is the place of the run's " + own +
                           "\n  fix: choose another one for --weights\n");
    }
    expect_refused({"--checkpoint", run_, "--weights", run_ + "/checkpoint.tmp"},
                   "--weights " + run_ + "/checkpoint.tmp: is the place of the run's " + run_ +
                       "/checkpoint\n  fix: choose another one for --weights\n");
    const std::string one = runs_ / "one";
    expect_refused({"--weights", one + ".tmp", "--profile=" + one},
                   "--profile " + one +
                       ": is the place of the weights\n  fix: choose another one for --profile\n");
    expect_refused({"--weights", one, "--profile=" + one},
                   "--profile " + one +
                       ": is the place of the weights\n  fix: choose another one for --profile\n");
    expect_refused({"--weights", one, "--trace", one},
                   "--trace " + one +
                       ": is the place of the weights\n  fix: choose another one for --trace\n");
    expect_refused({"--profile=" + one, "--trace", one},
                   "--trace " + one +
                       ": is the place of the profile\n  fix: choose another one for --trace\n");
    expect_refused({"--checkpoint", run_, "--profile=" + weights_},
                   "--profile " + weights_ +
                       ": is the place of the weights\n  fix: choose another one for --profile\n");
}

// What the run reads is never replaced by what it writes.
TEST_F(TrainFolderTest, PlacesOfTheDataSet) {
    for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}) {
        const std::string path = data_ / name;
        expect_refused({"--weights", path}, "--weights " + path +
                                                ": is the place of the data set's " + path +
                                                "\n  fix: choose another one for --weights\n");
        expect_refused({"--profile=" + path}, "--profile " + path +
                                                  ": is the place of the data set's " + path +
                                                  "\n  fix: choose another one for --profile\n");
    }
    EXPECT_EQ(train({"--epochs", "1"}).exit_code, 0);
}

TEST_F(TrainFolderTest, WhatIsInTheWayOfCheckpoints) {
    const std::string taken = run_ + "/checkpoint.tmp";
    std::filesystem::create_directories(taken);
    expect_refused({"--checkpoint", run_},
                   run_ + "/checkpoint: cannot write the file: '" + taken +
                       "' is in the way, a folder\n  fix: remove it, or choose another path\n");
    EXPECT_TRUE(is_folder(taken));
}

// The run makes its folder before it looks at what is to be written there.
TEST_F(TrainFolderTest, WeightsInAFolderThatTheRunMakes) {
    const ProgramResult result =
        train({"--checkpoint", run_, "--weights", run_ + "/best.safetensors"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(is_file(run_ + "/best.safetensors"));
    EXPECT_FALSE(is_file(weights_));
}

// A disk that is full from the start of a resumed run is found out before its first step.
TEST_F(TrainFolderTest, ResumingOnAFullDisk) {
    ASSERT_EQ(train({"--checkpoint", run_, "--steps", "3"}).exit_code, 0);
    testing::faults.fail_after = 100;
    testing::faults.code = ENOSPC;
    const ProgramResult result =
        run_fake_train({"--checkpoint", run_, "--resume", "--steps", "30", "--quiet"});
    testing::faults = {};
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "error: " + run_ +
                              "/checkpoint: cannot write the file: the disk is full\n"
                              "  fix: free some space, or choose a place on another disk\n");
    EXPECT_EQ(run_fake_train({"--checkpoint", run_, "--resume"}).exit_code, 0);
}

// The checkpoint's disk is really full, the weights go to another: the run ends with its weights
// and its test, and says what is lost.
TEST_F(TrainFolderTest, AFullDiskCostsTheCheckpointAlone) {
    write_easy_set(data_.path(), /*is_test=*/true, 10, 4, 4, 3);
    const std::string disk = runs_ / "disk";
    std::filesystem::create_directory(disk);
    if (mount("none", disk.c_str(), "tmpfs", 0, "size=64k") != 0)
        GTEST_SKIP() << "a small disk: mounting a tmpfs is not allowed here";
    fake_hooks().seconds_per_step = 0.02;
    auto program = start_fake_train({"--data", data_.path(), "--checkpoint", disk + "/run",
                                     "--weights", runs_ / "w", "--epochs", "5"});
    while (!has_checkpoint(disk + "/run")) usleep(1000);
    program->send(SIGSTOP);
    std::FILE* filler = std::fopen((disk + "/filler").c_str(), "wb");
    while (std::fputc('x', filler) != EOF && std::fflush(filler) == 0) {
    }
    std::fclose(filler);
    program->send(SIGCONT);
    const ProgramResult result = program->wait();
    umount2(disk.c_str(), MNT_DETACH);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("\nerror: " + disk +
                              "/run/checkpoint: cannot write the file: the "
                              "disk is full\n"),
              std::string::npos)
        << result.err;
    EXPECT_TRUE(is_file(runs_ / "w"));
    EXPECT_NE(result.out.find("weights written to "), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("test accuracy "), std::string::npos) << result.out;
}

}  // namespace
}  // namespace emulsion
