// Checkpoints: the whole state comes back, foreign and damaged files are refused, and whatever ends
// the process while it writes leaves the former checkpoint whole.
#include <gtest/gtest.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "runtime/data/checkpoint.h"
#include "runtime/data/checksum.h"
#include "runtime/data/weights.h"
#include "runtime/support/limits.h"
#include "tests/runtime/data_support.h"

namespace emulsion {
namespace {

using testing::faults;
using testing::Faults;
using testing::in_child;
using testing::message_of;
using testing::put_file;
using testing::SmallNetwork;

constexpr const char* kFix = "\n  fix: give another checkpoint, or train from the start";

RunPosition make_position(uint64_t step) {
    return {.epoch = 2, .batch = 17, .step = step, .seed = 42, .metrics = "{\"loss\": [1, 0.5]}"};
}

void save(const std::string& folder, SmallNetwork& network, uint64_t step) {
    network.set_step(step);
    save_checkpoint(folder, network.info, network.sizes, network.memory, make_position(step));
}

RunPosition load(const std::string& folder, SmallNetwork& network) {
    return load_checkpoint(folder, network.info, network.sizes, network.memory);
}

TEST(DataCheckpoint, EverythingComesBack) {
    TestFolder folder;
    SmallNetwork from, to;
    from.fill(3);
    EXPECT_FALSE(has_checkpoint(folder / "runs/1"));
    save(folder / "runs/1", from, 99);
    EXPECT_TRUE(has_checkpoint(folder / "runs/1"));
    for (const char* path : {"runs/1", "runs/1/", "runs/1/checkpoint"}) {
        to.fill_equal(0);
        const RunPosition position = load(folder / path, to);
        EXPECT_EQ(to.values(), from.values());
        EXPECT_EQ(position.epoch, 2u);
        EXPECT_EQ(position.batch, 17u);
        EXPECT_EQ(position.step, 99u);
        EXPECT_EQ(position.seed, 42u);
        EXPECT_EQ(position.metrics, "{\"loss\": [1, 0.5]}");
    }
}

TEST(DataCheckpoint, EqualStatesGiveEqualBytes) {
    TestFolder folder;
    SmallNetwork network;
    network.fill(3);
    save(folder / "a", network, 1);
    save(folder / "b", network, 1);
    EXPECT_EQ(read_file(folder / "a/checkpoint", 1 << 20, "checkpoint"),
              read_file(folder / "b/checkpoint", 1 << 20, "checkpoint"));
}

// The message of loading into `network`, which must not change.
std::string refusal(const std::string& folder, SmallNetwork& network) {
    network.fill(5);
    const std::vector<float> before = network.values();
    std::string text = message_of([&] { load(folder, network); }, folder);
    EXPECT_EQ(network.values(), before);
    return text;
}

TEST(DataCheckpoint, ForeignFilesAreRefused) {
    TestFolder folder;
    SmallNetwork network;
    EXPECT_EQ(refusal(folder.path(), network),
              "DIR/checkpoint: cannot open the checkpoint: no such file or folder\n"
              "  fix: check the path");
    put_file(folder / "checkpoint", std::string_view("PK\x03\x04 something else"));
    EXPECT_EQ(refusal(folder.path(), network),
              std::string("DIR/checkpoint: this is no checkpoint of Emulsion: it begins with "
                          "'PK\\x03\\x04 som' instead of 'EMUCKPT3'") +
                  kFix);
    put_file(folder / "checkpoint", std::string_view(""));
    EXPECT_EQ(refusal(folder.path(), network),
              std::string("DIR/checkpoint: this is no checkpoint of Emulsion: it begins with '' "
                          "instead of 'EMUCKPT3'") +
                  kFix);
}

TEST(DataCheckpoint, AnotherNetworkOptimizerOrLayoutIsRefused) {
    TestFolder folder;
    SmallNetwork writer;
    writer.fill(1);
    save(folder.path(), writer, 1);
    SmallNetwork other("fedcba9876543210");
    EXPECT_EQ(refusal(folder.path(), other),
              "DIR/checkpoint: the checkpoint belongs to the network 'small' with the signature "
              "0123456789abcdef; this program trains 'small' with the signature fedcba9876543210\n"
              "  fix: give a checkpoint of this network, or train from the start");
    SmallNetwork adam("0123456789abcdef", "adam learning_rate=0.001");
    EXPECT_EQ(refusal(folder.path(), adam),
              "DIR/checkpoint: the checkpoint was written with the optimizer 'sgd "
              "learning_rate=0.05 momentum=0.9'; this program uses 'adam learning_rate=0.001'\n"
              "  fix: build the program with the same optimizer, or train from the start");
    SmallNetwork heavier("0123456789abcdef", "sgd learning_rate=0.05 momentum=0.5");
    EXPECT_EQ(refusal(folder.path(), heavier),
              "DIR/checkpoint: the checkpoint was written with the optimizer 'sgd "
              "learning_rate=0.05 momentum=0.9'; this program uses 'sgd learning_rate=0.05 "
              "momentum=0.5'\n"
              "  fix: build the program with the same optimizer, or train from the start");
    SmallNetwork moved;
    std::swap(moved.tensors[0].offset, moved.tensors[1].offset);
    EXPECT_EQ(refusal(folder.path(), moved),
              "DIR/checkpoint: the checkpoint holds 5568 bytes of parameters and 4032 of state; "
              "this program expects 5568 and 4032, or places the tensors differently\n"
              "  fix: resume with the program that wrote the checkpoint, or train from the start");
}

TEST(DataCheckpoint, AnotherNormalisationOrOtherClassesAreRefused) {
    TestFolder folder;
    SmallNetwork writer;
    save(folder.path(), writer, 1);
    SmallNetwork reader;
    reader.info.input_mean[0] = 0.5f;
    EXPECT_EQ(refusal(folder.path(), reader),
              "DIR/checkpoint: the mean of the checkpoint is [0.1, 0.2, 0.3]; that of this program "
              "is [0.5, 0.2, 0.3]\n"
              "  fix: build the program with the mean of the checkpoint, or train anew");
    reader.info = writer.info;
    reader.info.normalized = 0;
    EXPECT_EQ(refusal(folder.path(), reader),
              "DIR/checkpoint: the mean of the checkpoint is [0.1, 0.2, 0.3]; that of this program "
              "is none\n  fix: build the program with the mean of the checkpoint, or train anew");
    reader.info = writer.info;
    std::swap(reader.classes[0], reader.classes[1]);
    reader.info.classes = reader.classes.data();
    EXPECT_EQ(refusal(folder.path(), reader),
              "DIR/checkpoint: class 0 of the checkpoint is 'cat'; that of this program is 'dog "
              "\"Rex\"\\x0a'\n"
              "  fix: build the program with the classes of the checkpoint, or train anew");
}

TEST(DataCheckpoint, PositionAndStateMustBeOfOneStep) {
    TestFolder folder;
    SmallNetwork network;
    save(folder.path(), network, 7);
    network.set_step(8);
    save_checkpoint(folder.path(), network.info, network.sizes, network.memory, make_position(7));
    EXPECT_EQ(refusal(folder.path(), network),
              std::string("DIR/checkpoint: the checkpoint is damaged: it stands at step 7, but its "
                          "state at step 8") +
                  kFix);
}

TEST(DataCheckpoint, PositionsThatNoRunCanReach) {
    const auto check = [](uint64_t epoch, uint64_t batch, uint64_t step, uint64_t batches) {
        RunPosition position;
        position.epoch = epoch;
        position.batch = batch;
        position.step = step;
        return message_of([&] { check_position(position, batches, "run"); });
    };
    EXPECT_EQ(check(0, 0, 0, 1), "no error");
    EXPECT_EQ(check(2, 3, 23, 10), "no error");
    EXPECT_EQ(check(2, 10, 30, 10),
              std::string("run: the checkpoint stands before batch 10 of epoch 2 (both count from "
                          "0) after 30 steps, but an epoch has 10 batches") +
                  kFix);
    EXPECT_NE(check(2, 3, 24, 10), "no error");
    EXPECT_NE(check(0, 1000000, 1000000, 10), "no error");
    EXPECT_NE(check(0, 0, 0, 0), "no error");
    EXPECT_NE(check(uint64_t{1} << 63, 0, 0, 2), "no error");  // 2^64 steps
}

TEST(DataCheckpoint, SparseGiantsAreRefusedByTheirHead) {
    TestFolder folder;
    SmallNetwork network;
    save(folder.path(), network, 1);
    ASSERT_EQ(truncate((folder / "checkpoint").c_str(), static_cast<off_t>(1) << 42), 0);
    EXPECT_NE(refusal(folder.path(), network)
                  .find("the checkpoint is cut or damaged: it has 4398046511104 bytes, where "),
              std::string::npos);
    Bytes front = testing::bytes_of("EMUCKPT3");
    front.resize(16, 0x7f);
    put_file(folder / "checkpoint", front);
    ASSERT_EQ(truncate((folder / "checkpoint").c_str(), static_cast<off_t>(1) << 42), 0);
    EXPECT_EQ(refusal(folder.path(), network),
              std::string("DIR/checkpoint: the checkpoint is cut or damaged: its head is said to "
                          "have 9187201950435737471 bytes, and at most 67108864 can be there") +
                  kFix);
}

// Whole by its checksum, and yet of nobody's writing: a head of nothing but facts.
TEST(DataCheckpoint, FactsHaveALimit) {
    TestFolder folder;
    SmallNetwork network;
    save(folder.path(), network, 1);
    const Bytes file = read_file(folder / "checkpoint", 1 << 20, "checkpoint");
    Bytes head;
    const auto put_number = [](Bytes& bytes, uint64_t value) {
        for (unsigned i = 0; i < 8; i++) bytes.push_back(static_cast<uint8_t>(value >> 8 * i));
    };
    for (int text = 0; text < 3; text++) put_number(head, 0);
    put_number(head, 1 << 20);
    head.resize(head.size() + (16 << 20));
    Checksum checksum;
    checksum.add(head);
    Bytes forged(file.begin(), file.begin() + 8);
    put_number(forged, head.size());
    forged.insert(forged.end(), head.begin(), head.end());
    put_number(forged, checksum.value());
    put_number(forged, 0);
    put_file(folder / "checkpoint", forged);
    EXPECT_EQ(
        refusal(folder.path(), network),
        std::string("DIR/checkpoint: the checkpoint is damaged: it has 1048576 facts") + kFix);
}

TEST(DataCheckpoint, WhatCouldNotBeReadIsNotWritten) {
    TestFolder folder;
    SmallNetwork network;
    network.fill(1);
    save(folder.path(), network, 7);
    RunPosition position = make_position(7);
    position.metrics.assign(kMostCheckpointHead, ' ');
    const std::string text = message_of(
        [&] {
            save_checkpoint(folder.path(), network.info, network.sizes, network.memory, position);
        },
        folder.path());
    EXPECT_EQ(text.find("DIR/checkpoint: the head of the checkpoint would have 67109"), 0u) << text;
    EXPECT_EQ(load(folder.path(), network).metrics, make_position(7).metrics);
}

TEST(DataCheckpoint, CutAnywhereAndEveryDamagedByteIsRefused) {
    TestFolder folder;
    SmallNetwork network;
    network.fill(1);
    save(folder.path(), network, 1);
    const Bytes file = read_file(folder / "checkpoint", 1 << 20, "checkpoint");
    for (size_t size = 1; size < file.size(); size += size < 600 ? 1 : 97) {
        put_file(folder / "checkpoint", Bytes(file.begin(), file.begin() + ptrdiff_t(size)));
        const std::string text = refusal(folder.path(), network);
        EXPECT_NE(text.find(size < 8    ? "this is no checkpoint"
                            : size < 32 ? "the checkpoint is cut"
                                        : "the checkpoint is cut or damaged"),
                  std::string::npos)
            << size << text;
    }
    for (size_t i = 8; i < file.size(); i += i < 600 ? 1 : 97) {
        Bytes damaged = file;
        damaged[i] ^= 0x10;
        put_file(folder / "checkpoint", damaged);
        EXPECT_NE(refusal(folder.path(), network).find("the checkpoint is cut or damaged"),
                  std::string::npos)
            << i;
    }
    Bytes longer = file;
    longer.push_back(0);
    put_file(folder / "checkpoint", longer);
    EXPECT_NE(refusal(folder.path(), network).find("the checkpoint is cut or damaged: it has "),
              std::string::npos);
}

// Faults while writing

// A network whose memory is one value everywhere, so that a mixture shows.
void expect_whole(const std::string& folder, uint64_t former, uint64_t later,
                  const std::string& when) {
    SmallNetwork network;
    const RunPosition position = load(folder, network);
    EXPECT_TRUE(position.step == former || position.step == later) << when;
    for (float value : network.values())
        ASSERT_EQ(value, static_cast<float>(position.step)) << when;
}

TEST(DataCheckpoint, KilledAtAnyPointTheOldOrTheNewOneLoads) {
    TestFolder folder;
    SmallNetwork network;
    network.fill_equal(1);
    save(folder.path(), network, 1);
    const int64_t size =
        static_cast<int64_t>(read_file(folder / "checkpoint", 1 << 20, "checkpoint").size());
    network.fill_equal(2);
    std::vector<Faults> points;
    for (int64_t at = 0; at < size; at += 97) points.push_back({.kill_after = at});
    for (int64_t at = 0; at <= size; at += 4096) points.push_back({.kill_after = at});
    points.push_back({.kill_after = size - 1});
    points.push_back({.kill_at_fsync = true});
    points.push_back({.kill_before_rename = true});
    points.push_back({.kill_after_rename = true});
    for (const Faults& point : points) {
        const int code = in_child([&] {
            faults = point;
            save(folder.path(), network, 2);
            return 0;
        });
        ASSERT_EQ(code, 1000 + SIGKILL);
        const bool is_new = point.kill_after_rename;
        expect_whole(folder.path(), is_new ? 2 : 1, is_new ? 2 : 1,
                     "killed after " + std::to_string(point.kill_after));
    }
    save(folder.path(), network, 2);  // over what the killed ones left
    expect_whole(folder.path(), 2, 2, "at the end");
    EXPECT_EQ(folder.names(), std::vector<std::string>{"checkpoint"});
}

TEST(DataCheckpoint, KilledAtRandomTimesNothingIsEverMixed) {
    TestFolder folder;
    SmallNetwork network;
    network.fill_equal(1);
    save(folder.path(), network, 1);
    save_weights(folder / kWeightsName, network.info, network.memory, network.inference, {});
    for (int round = 0; round < 30; round++) {
        const pid_t child = fork();
        if (child == 0) {
            for (uint64_t step = 2;; step++) {
                network.fill_equal(static_cast<float>(step));
                save(folder.path(), network, step);
                save_weights(folder / kWeightsName, network.info, network.memory, network.inference,
                             {});
            }
        }
        usleep(useconds_t(1000 + round * 977 % 7000));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        const RunPosition position = load(folder.path(), network);
        for (float value : network.values()) ASSERT_EQ(value, static_cast<float>(position.step));
        load_weights(folder / kWeightsName, network.info, network.memory, network.inference);
        const float* weights = static_cast<const float*>(network.memory.block[0]);
        EXPECT_TRUE(weights[0] == static_cast<float>(position.step) ||
                    weights[0] == static_cast<float>(position.step) - 1 || position.step <= 2)
            << weights[0] << " beside " << position.step;
    }
}

TEST(DataCheckpoint, FullDiskKeepsTheFormerOne) {
    TestFolder folder;
    SmallNetwork network;
    network.fill_equal(1);
    save(folder.path(), network, 1);
    network.fill_equal(2);
    for (int64_t after : {0, 100, 5000}) {
        faults = Faults{.fail_after = after, .code = ENOSPC};
        const std::string text =
            message_of([&] { save(folder.path(), network, 2); }, folder.path());
        faults = Faults{};
        EXPECT_EQ(text,
                  "DIR/checkpoint: cannot write the file: the disk is full\n"
                  "  fix: free some space, or choose a place on another disk");
        expect_whole(folder.path(), 1, 1, "full disk");
        EXPECT_EQ(folder.names(), std::vector<std::string>{"checkpoint"});
    }
}

TEST(DataCheckpoint, ReallyFullDisk) {
    TestFolder folder;
    constexpr int kNoMount = 77;
    const int code = in_child([&] {
        // A small file system of the child's own.
        const bool is_mounted = unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0 &&
                                mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                                mount("none", folder.path().c_str(), "tmpfs", 0, "size=16k") == 0;
        if (!is_mounted) return kNoMount;
        SmallNetwork network;
        network.fill_equal(1);
        save(folder.path(), network, 1);  // 10 kB of 16
        network.fill_equal(2);
        const std::string text =
            message_of([&] { save(folder.path(), network, 2); }, folder.path());
        EXPECT_EQ(text,
                  "DIR/checkpoint: cannot write the file: the disk is full\n"
                  "  fix: free some space, or choose a place on another disk");
        expect_whole(folder.path(), 1, 1, "full disk");
        EXPECT_EQ(folder.names(), std::vector<std::string>{"checkpoint"});
        return ::testing::Test::HasFailure() ? 1 : 0;
    });
    if (code == kNoMount) GTEST_SKIP() << "this machine allows no mount of a small file system";
    EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace emulsion
