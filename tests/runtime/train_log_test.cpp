// What a run leaves besides its weights: logs in its folder, lines of progress, its history; and
// --resume=auto, with which a job that is started again needs no other command.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "runtime/data/checkpoint.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "tests/runtime/data_support.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

using Json = nlohmann::json;

// Events without what depends on the machine, and on when the process began.
std::vector<Json> told_events(const std::string& text) {
    std::vector<Json> events;
    for (Json line : read_lines(text)) {
        if (line["event"] == "settings" || line["event"] == "checkpoint") continue;
        for (const char* name : {"seconds", "seconds_left", "images_per_second", "path"})
            line.erase(name);
        events.push_back(line);
    }
    return events;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

// The same of CSV, whose last two columns are times.
std::vector<std::string> told_rows(const std::string& text) {
    std::vector<std::string> rows = lines_of(text);
    for (std::string& row : rows) {
        for (int column = 0; column < 2; column++) row.resize(row.rfind(','));
    }
    return rows;
}

class TrainLogTest : public TrainRunTest {
  protected:
    void SetUp() override {
        TrainRunTest::SetUp();
        write_easy_set(folder_.path(), /*is_test=*/true, 20, 4, 4, 3);
    }
    // 11 steps an epoch.
    ProgramResult begin(const std::string& name, std::vector<std::string> options = {}) {
        options.insert(options.begin(),
                       {"--checkpoint", folder_ / name, "--validation", "0.2", "--epochs", "4"});
        return train(std::move(options));
    }
    ProgramResult resume(const std::string& name, std::vector<std::string> options = {}) {
        options.insert(options.begin(), {"--checkpoint", folder_ / name, "--resume"});
        return run_fake_train(std::move(options));
    }
    std::string log(const std::string& run) { return folder_ / (run + "/log.jsonl"); }
    std::string csv(const std::string& run) { return folder_ / (run + "/log.csv"); }
    void expect_logs_of(const std::string& whole, const std::string& run) {
        EXPECT_EQ(told_events(read_text(log(run))), told_events(read_text(log(whole))));
        EXPECT_EQ(told_rows(read_text(csv(run))), told_rows(read_text(csv(whole))));
        int64_t step = 0;
        for (const Json& line : read_lines(read_text(log(run)))) {
            const int64_t next = line.value("step", line.value("resumed_after", int64_t(0)));
            EXPECT_GE(next, line["event"] == "settings" ? 0 : step) << line;
            step = next;
        }
    }
};

TEST_F(TrainLogTest, EveryEventIsInTheLog) {
    const ProgramResult result = begin("run", {"--json", "--log-every", "5"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    std::string shown, kept, order;
    for (const std::string& line : lines_of(result.out)) shown += line + "\n";
    for (const std::string& line : lines_of(read_text(log("run")))) {
        const std::string event = Json::parse(line)["event"];
        order += event + " ";
        if (event != "checkpoint") kept += line + "\n";
    }
    EXPECT_EQ(kept, shown);
    EXPECT_TRUE(order.starts_with("settings checkpoint step step checkpoint epoch step step "))
        << order;
    EXPECT_TRUE(order.ends_with("checkpoint epoch weights test ")) << order;
    const auto events = read_lines(kept);
    const Json& settings = events[0];
    EXPECT_EQ(settings["command"][0], "fake-train");
    EXPECT_EQ(settings["command"].back(), "5");
    EXPECT_EQ(settings["version"], "0.1.0");
    EXPECT_EQ(events[1]["step"], 5);
    EXPECT_EQ(events[1]["epoch"], 1);
    EXPECT_EQ(events[4]["step"], 15);

    const auto rows = lines_of(read_text(csv("run")));
    ASSERT_EQ(rows.size(), 5u);
    EXPECT_EQ(rows[0],
              "epoch,step,loss,accuracy,validation_loss,validation_accuracy,validation_top,"
              "learning_rate,seconds,images_per_second");
    const Json& epoch = events[3];
    EXPECT_TRUE(rows[1].starts_with("1,11," + epoch["loss"].dump() + ",")) << rows[1] << epoch;
    EXPECT_NE(rows[1].find("," + epoch["validation"]["loss"].dump() + ","), rows[1].npos)
        << rows[1] << epoch;
}

// Stopped or killed anywhere, within a line too, and resumed: no line twice, none torn, none
// missing.
TEST_F(TrainLogTest, ResumedLogsAreThoseOfOneRun) {
    const std::vector<std::string> often{"--log-every", "4", "--checkpoint-minutes", "1e-7"};
    auto options = often;
    options.insert(options.end(), {"--steps", "27"});
    const auto begin = [&](const std::string& name) {
        auto all = options;
        all.insert(all.end(), {"--checkpoint", folder_ / name, "--validation", "0.2"});
        return train(all);
    };
    ASSERT_EQ(begin("whole").exit_code, 0);
    int runs = 0;
    const auto expect_equal = [&](const char* how) {
        SCOPED_TRACE(how);
        const std::string run = "run" + std::to_string(runs++);
        const ProgramResult stopped = begin(run);
        fake_hooks() = {};
        testing::faults = {};
        ASSERT_NE(stopped.exit_code, 0) << stopped.err;
        const ProgramResult resumed = resume(run, often);
        ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
        expect_logs_of("whole", run);
    };
    for (int step : {1, 11, 24}) {
        fake_hooks().signal = SIGTERM, fake_hooks().signal_step = step;
        expect_equal("stopped");
        fake_hooks().signal = SIGKILL, fake_hooks().signal_step = step;
        expect_equal("killed");
    }
    for (int run : {5, 20}) {
        fake_hooks().signal = SIGINT, fake_hooks().signal_run = run;
        expect_equal("stopped in validation");
    }
    for (int64_t bytes = 8000; bytes < 60000; bytes += 7001) {
        testing::faults.kill_after = bytes;
        expect_equal("killed in writing");
    }
}

// What is told of steps behind the checkpoint is of a course that is run again.
TEST_F(TrainLogTest, WhatTheCheckpointDoesNotHoldIsToldAgain) {
    ASSERT_EQ(train({"--checkpoint", folder_ / "run", "--validation", "0.2", "--steps", "25",
                     "--schedule", "constant"})
                  .exit_code,
              0);
    const std::string early = read_text(folder_ / "run/checkpoint");
    const std::string before = read_text(log("run"));
    ASSERT_EQ(resume("run", {"--steps", "40"}).exit_code, 0);
    const std::string after = read_text(log("run"));
    write_file(folder_ / "run/checkpoint", early);
    ASSERT_EQ(resume("run", {"--steps", "40"}).exit_code, 0);
    EXPECT_EQ(told_events(read_text(log("run"))), told_events(after));
    // The part of an epoch that the shorter run ended with is none of the longer one.
    int parts = 0;
    for (const Json& event : told_events(after)) parts += event["event"] == "epoch";
    EXPECT_EQ(parts, 4) << after;
    // A complete run that is resumed ends with its part again.
    write_file(folder_ / "run/checkpoint", early);
    write_file(log("run"), before);
    ASSERT_EQ(resume("run").exit_code, 0);
    EXPECT_EQ(told_events(read_text(log("run"))), told_events(before));
}

TEST_F(TrainLogTest, LinesThatNobodyHasWrittenGo) {
    ASSERT_EQ(begin("whole").exit_code, 0);
    fake_hooks().signal = SIGTERM, fake_hooks().signal_step = 25;
    ASSERT_EQ(begin("run").exit_code, 143);
    fake_hooks() = {};
    const std::string text = read_text(log("run"));
    const std::string rows = read_text(csv("run"));
    const std::string zeros(7, '\0');
    const std::string end = R"({"event":"epoch","epoch":)";
    for (const std::string& damaged :
         {text + "{}\n[]\n5\nhello\n" + zeros + "\n" + R"({"event":"epoch","epoch":"1","step":1})" +
              "\n" + R"({"event":"test","step":-1})" + "\n" + end,
          std::string(), zeros, text.substr(0, text.size() / 2)}) {
        write_file(log("run"), damaged);
        write_file(csv("run"), damaged.empty() ? rows + "3,33,0.5" : rows.substr(0, 20));
        std::filesystem::copy(folder_ / "run", folder_ / "copy",
                              std::filesystem::copy_options::recursive |
                                  std::filesystem::copy_options::overwrite_existing);
        const ProgramResult resumed = resume("copy");
        ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
        expect_logs_of("whole", "copy");
    }
    std::filesystem::remove(log("run"));
    std::filesystem::remove(csv("run"));
    ASSERT_EQ(resume("run").exit_code, 0);
    expect_logs_of("whole", "run");
}

// A log that cannot be written costs itself.
TEST_F(TrainLogTest, ALogThatCannotBeWritten) {
    std::filesystem::create_directories(log("run"));
    ASSERT_EQ(mkfifo(csv("run").c_str(), 0600), 0);
    const ProgramResult result = begin("run", {"--quiet"});
    EXPECT_EQ(result.exit_code, 0);
    const std::string end = "\n  nothing more is added to this file, and training goes on\n";
    EXPECT_EQ(result.err, "warning: " + log("run") +
                              ": cannot write the file: it is no plain file\n"
                              "  fix: move it away" +
                              end + "warning: " + csv("run") +
                              ": cannot write the file: it is no plain file\n  fix: move it away" +
                              end)
        << result.err;
    EXPECT_TRUE(is_file(folder_ / "run/weights.safetensors"));
}

// A run that begins anew begins its logs anew, and one that cannot begin leaves those that are
// there.
TEST_F(TrainLogTest, LogsBeginWithTheFirstCheckpoint) {
    ASSERT_EQ(begin("run").exit_code, 0);
    const std::string before = read_text(log("run"));
    testing::faults.fail_after = 100, testing::faults.code = ENOSPC;
    EXPECT_EQ(begin("run", {"--overwrite"}).exit_code, 1);
    testing::faults = {};
    EXPECT_EQ(read_text(log("run")), before);
    ASSERT_EQ(begin("run", {"--overwrite", "--seed", "2"}).exit_code, 0);
    EXPECT_EQ(read_lines(read_text(log("run")))[0]["seed"], 2);
    EXPECT_EQ(lines_of(read_text(csv("run"))).size(), 5u);
    for (const std::string& own : {log("run"), csv("run")}) {
        EXPECT_EQ(train({"--checkpoint", folder_ / "run", "--overwrite", "--weights", own}).err,
                  "error: --weights " + own + ": is the place of the run's " + own +
                      "\n  fix: choose another one for --weights\n");
    }
}

TEST_F(TrainLogTest, LinesOfProgress) {
    const ProgramResult steps = train({"--epochs", "2", "--log-every", "5"});
    ASSERT_EQ(steps.exit_code, 0);
    std::string places;
    for (const std::string& line : lines_of(steps.err)) {
        if (line.starts_with("epoch ")) places += line.substr(0, line.find(':')) + "\n";
    }
    EXPECT_EQ(places,
              "epoch 1/2, step 5 of 13\nepoch 1/2, step 10 of 13\nepoch 2/2, step 2 of 13\n"
              "epoch 2/2, step 7 of 13\nepoch 2/2, step 12 of 13\n");
    EXPECT_NE(steps.err.find(" left\n"), std::string::npos) << steps.err;
    EXPECT_EQ(train({"--log-every", "5", "--quiet"}).err, "");
    fake_hooks().seconds_per_step = 0.03;
    const auto lines = read_lines(train({"--epochs", "1", "--json", "--log-every", "0.001m"}).out);
    EXPECT_GE(lines.size(), 4u);
    EXPECT_LE(lines.size(), 9u);
    for (const auto& [value, error] :
         {std::pair("0",
                    "'0' is not a whole number from 1 to 1000000000000\n  fix: for example "
                    "--log-every 1\n"),
          std::pair("5x",
                    "'5x' is not a whole number from 1 to 1000000000000\n  fix: for example "
                    "--log-every 1\n"),
          std::pair("m",
                    "'' is not a number from 0.001 to 1e+06\n  fix: write it with a decimal "
                    "point, such as 0.05\n")}) {
        const ProgramResult result = train({"--log-every", value});
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.err, std::string("error: --log-every: ") + error);
    }
}

// The same command begins, goes on, and finds that nothing is left.
TEST_F(TrainLogTest, ResumeAuto) {
    ASSERT_EQ(begin("whole").exit_code, 0);
    for (const int step : {15, 30, 0}) {
        fake_hooks().signal = SIGTERM, fake_hooks().signal_step = step;
        const ProgramResult result = begin("run", {"--resume=auto"});
        EXPECT_EQ(result.exit_code, step > 0 ? 143 : 0) << result.err;
        EXPECT_EQ(result.err.find("resumed after step 15\n") != std::string::npos, step == 30);
        fake_hooks() = {};
    }
    for (const char* file : {"/checkpoint", "/weights.safetensors"})
        EXPECT_EQ(read_text(folder_ / "run" + file), read_text(folder_ / "whole" + file));
    expect_logs_of("whole", "run");
    EXPECT_NE(begin("run", {"--resume=auto"}).err.find("nothing is left to train"),
              std::string::npos);

    const std::string run = folder_ / "run", none = folder_ / "none";
    EXPECT_EQ(run_fake_train({"--checkpoint", none, "--resume=auto"}).err,
              "error: --data: is missing\n  fix: fake-train --data fashion-mnist, or a folder of "
              "pictures\n");
    EXPECT_FALSE(is_folder(none));
    EXPECT_EQ(begin("run", {"--resume=auto", "--seed", "9"}).exit_code, 2);
    EXPECT_EQ(begin("run", {"--resume=auto", "--overwrite"}).err,
              "error: --overwrite: cannot be combined with --resume\n  fix: give one of the two\n");
    EXPECT_EQ(begin("run", {"--resume=always"}).err,
              "error: --resume: there is no way 'always'\n  fix: give --resume or "
              "--resume=auto\n");
    EXPECT_EQ(train({"--resume=auto"}).err,
              "error: --resume: needs the folder of the run\n  fix: add --checkpoint FOLDER\n");
    std::filesystem::remove(run + "/checkpoint");
    EXPECT_EQ(begin("run", {"--resume=auto"}).err,
              "error: " + run +
                  ": holds the weights of another run\n  fix: choose another folder, or begin anew "
                  "with --overwrite\n");
    EXPECT_EQ(begin("dry", {"--resume=auto", "--dry-run"}).exit_code, 0);
    EXPECT_FALSE(is_folder(folder_ / "dry"));
}

// All epochs, whichever process has trained them.
TEST_F(TrainLogTest, HistoryOfARun) {
    fake_hooks().signal = SIGTERM, fake_hooks().signal_step = 25;
    ASSERT_EQ(begin("run").exit_code, 143);
    fake_hooks() = {};
    ASSERT_EQ(resume("run", {"--steps", "48"}).exit_code, 0);
    const auto history = [&](std::vector<std::string> options) {
        options.insert(options.begin(), {"--history", folder_ / "run"});
        const ProgramResult result = run_fake_train(std::move(options));
        EXPECT_EQ(result.exit_code, 0) << result.err;
        EXPECT_EQ(result.err, "");
        return result.out;
    };
    const auto table = lines_of(history({}));
    ASSERT_GT(table.size(), 7u);
    EXPECT_EQ(table[6], "loss: * training, o validation");
    EXPECT_NE(std::find(table.begin(), table.end(), "accuracy: * training, o validation"),
              table.end());
    EXPECT_TRUE(table.back().starts_with("best epoch ")) << table.back();
    EXPECT_NE(table.back().find(": validation loss "), table.back().npos) << table.back();
    EXPECT_EQ(table[0],
              "epoch     loss   accuracy  valid. loss  valid. acc       rate     img/s    time");
    EXPECT_TRUE(table[5].starts_with("    5  ")) << table[5];
    EXPECT_EQ(told_rows(history({"--csv"})), told_rows(read_text(csv("run"))));
    auto logged = told_events(read_text(log("run")));
    logged.resize(5);
    EXPECT_EQ(told_events(history({"--json"})), logged);
    // With the times of the log; what is no event of a run is passed over.
    EXPECT_EQ(lines_of(history({"--csv"})), lines_of(read_text(csv("run"))));
    write_file(log("run"), R"({"event":"epoch","epoch":2,"seconds":60,"images_per_second":1234}
[]
{"event":1}
{"event":"epoch","epoch":1e99,"seconds":1,"images_per_second":1}
{"event":"epoch","epoch":1,"seconds":-1,"images_per_second":1}
nonsense
)");
    const auto timed = lines_of(history({}));
    EXPECT_TRUE(timed[1].ends_with("       -       -")) << timed[1];
    EXPECT_TRUE(timed[2].ends_with("   1,234    1:00")) << timed[2];
    std::filesystem::remove(log("run"));
    EXPECT_TRUE(lines_of(history({}))[2].ends_with("       -       -"));
    const ProgramResult none = run_fake_train({"--history", folder_.path()});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_EQ(none.err, "error: " + folder_.path() +
                            ": holds no checkpoint\n  fix: give the folder of --checkpoint\n");
    const ProgramResult both = run_fake_train({"--history", folder_ / "run", "--csv", "--json"});
    EXPECT_EQ(both.exit_code, 2);
    EXPECT_EQ(both.err,
              "error: --csv: cannot be combined with --json\n  fix: give one of the two\n");
    EXPECT_EQ(train({"--csv"}).err,
              "error: --csv: is for --history\n  fix: add --history FOLDER; a run with "
              "--checkpoint writes a log.csv itself\n");
}

// A classifier's name may hold what CSV gives a meaning.
TEST_F(TrainLogTest, NamesInCsv) {
    FakeNetwork network;
    network.heads = {"", "a,\"b\""};
    use_fake_network(network);
    ASSERT_EQ(train({"--checkpoint", folder_ / "run", "--epochs", "1"}).exit_code, 0);
    const auto rows = lines_of(read_text(csv("run")));
    EXPECT_EQ(rows[0],
              "epoch,step,loss,accuracy,validation_loss,validation_accuracy,\"a,\"\"b\"\"\","
              "\"validation_a,\"\"b\"\"\",validation_top,learning_rate,seconds,"
              "images_per_second");
    EXPECT_TRUE(rows[1].starts_with("1,13,")) << rows[1];
    EXPECT_NE(rows[1].find(",,,0.34,,,"), std::string::npos) << rows[1];
}

}  // namespace
}  // namespace emulsion
