// The weights files of a run: of its last checkpoint, of its best epoch, of its last epochs; and
// the end that --patience brings.
#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>

#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "tests/runtime/data_support.h"
#include "tests/runtime/train_support.h"

namespace emulsion {
namespace {

std::string fact_of(const std::string& path, const std::string& key) {
    const std::string text = read_text(path);
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    const SafetensorsHeader header = parse_safetensors({bytes, text.size()}, path);
    const std::string* fact = header.find_metadata(key);
    return fact ? *fact : "none";
}

double number_in(const std::string& path, const std::string& key) {
    const std::string fact = fact_of(path, key);
    const auto number = parse_double(fact);
    EXPECT_TRUE(number) << path << ": " << key << " is " << fact;
    return number.value_or(NAN);
}

// The files of a run that depend on nothing but its settings, by name.
std::map<std::string, std::string> files_of(const std::string& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename();
        if (name == "checkpoint" || name.ends_with(".safetensors"))
            files[name] = read_text(entry.path());
    }
    return files;
}

class TrainWeightsTest : public TrainRunTest {
  protected:
    // Nothing that could be learned: what the training part teaches makes the rest worse.
    void SetUp() override {
        use_fake_network({});
        std::mt19937 random(1);
        std::vector<uint8_t> pixels(50 * 16), labels(50);
        for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random() % 256);
        for (uint8_t& label : labels) label = static_cast<uint8_t>(random() % 3);
        write_idx_set(folder_.path(), /*is_test=*/false, 4, 4, pixels, labels);
    }

    // 11 steps an epoch.
    ProgramResult begin(const std::string& name, std::vector<std::string> options) {
        options.insert(options.begin(), {"--checkpoint", folder_ / name, "--validation", "0.2",
                                         "--schedule", "constant", "--json"});
        return train(std::move(options));
    }
    ProgramResult resume(const std::string& name, std::vector<std::string> options = {}) {
        options.insert(options.begin(), {"--checkpoint", folder_ / name, "--resume", "--json"});
        return run_fake_train(std::move(options));
    }
    std::string file(const std::string& run, const std::string& name = "weights.safetensors") {
        return folder_ / (run + "/" + name);
    }
};

// Stopped within an epoch, the weights are those of the checkpoint.
TEST_F(TrainWeightsTest, WeightsStandBesideEveryCheckpoint) {
    fake_hooks().signal = SIGTERM;
    fake_hooks().signal_step = 3;
    ASSERT_EQ(begin("run", {}).exit_code, 143);
    fake_hooks() = {};
    ASSERT_EQ(begin("short", {"--steps", "3"}).exit_code, 0);
    EXPECT_EQ(fact_of(file("run"), "step"), "3");
    EXPECT_EQ(fact_of(file("run"), "epoch"), "0");
    EXPECT_EQ(fact_of(file("run"), "validation_loss"), "none");
    EXPECT_EQ(read_weights(file("run"), "dense1.w"), read_weights(file("short"), "dense1.w"));
    // An epoch killed in its validation has its checkpoint, and weights once that is looked at.
    fake_hooks().signal = SIGKILL;
    fake_hooks().signal_run = 12;
    ASSERT_EQ(resume("run", {"--epochs", "4"}).signal, SIGKILL);
    fake_hooks() = {};
    EXPECT_EQ(fact_of(file("run"), "epoch"), "1");
    ASSERT_EQ(resume("run").exit_code, 0);
    EXPECT_EQ(fact_of(file("run"), "epoch"), "4");
}

TEST_F(TrainWeightsTest, TheBestEpochIsKeptApart) {
    for (const std::string metric : {"loss", "accuracy"}) {
        const ProgramResult result =
            begin(metric, {"--epochs", "12", "--best", metric, "--learning-rate", "0.5"});
        ASSERT_EQ(result.exit_code, 0) << result.err;
        int best = 0;
        nlohmann::json epoch;
        for (const auto& line : read_lines(result.out)) {
            if (line["event"] != "epoch") continue;
            const double value = line["validation"][metric];
            const double before = best > 0 ? double{epoch["validation"][metric]} : 0.0;
            const bool is_better = metric == "loss" ? value < before : value > before;
            if (best == 0 || is_better) best = line["epoch"], epoch = line;
        }
        EXPECT_LT(best, 12) << "the last epoch says nothing";
        const std::string kept = file(metric, "weights-best.safetensors");
        EXPECT_EQ(fact_of(kept, "epoch"), std::to_string(best));
        EXPECT_EQ(fact_of(kept, "step"), std::to_string(11 * best));
        for (const std::string part : {"loss", "accuracy"}) {
            EXPECT_EQ(number_in(kept, "validation_" + part), epoch["validation"][part]);
            EXPECT_EQ(number_in(kept, "train_" + part), epoch[part]);
        }
        ASSERT_EQ(
            begin("as long as the best " + metric,
                  {"--epochs", std::to_string(best), "--best", metric, "--learning-rate", "0.5"})
                .exit_code,
            0);
        EXPECT_EQ(read_text(kept), read_text(file("as long as the best " + metric)));
        EXPECT_EQ(fact_of(file(metric), "epoch"), "12");
    }
}

// An epoch is best by the first that has the value: a rate of 0 changes nothing. The best are the
// weights of the run, whether its patience or its epochs run out, and what the test looks at.
TEST_F(TrainWeightsTest, PatienceEndsTheRunWithTheBest) {
    struct Case {
        const char *patience, *epochs, *end;
    };
    for (const auto& [patience, epochs, end] : {Case{"2", "9", "3"}, Case{"5", "4", "4"}}) {
        const std::string run = std::string("patience") + patience;
        const ProgramResult result =
            begin(run, {"--epochs", epochs, "--patience", patience, "--learning-rate", "0"});
        ASSERT_EQ(result.exit_code, 0) << result.err;
        EXPECT_EQ(
            result.err.find("ended early: no better epoch in the last 2\n") != std::string::npos,
            std::string(patience) == "2")
            << result.err;
        EXPECT_NE(result.err.find("the weights are those of epoch 1, the best by its validation "
                                  "loss, "),
                  std::string::npos)
            << result.err;
        EXPECT_EQ(read_text(file(run)), read_text(file(run, "weights-best.safetensors")));
        EXPECT_EQ(fact_of(file(run), "epoch"), "1");
        const auto lines = read_lines(result.out);
        EXPECT_EQ(lines[lines.size() - 2]["epoch"], std::stoi(end));
        // Ended, it stays so, until it is given more patience.
        const auto before = files_of(folder_ / run);
        EXPECT_EQ(resume(run).exit_code, 0);
        EXPECT_TRUE(files_of(folder_ / run) == before);
    }
    const auto longer = read_lines(resume("patience2", {"--patience", "4"}).out);
    EXPECT_EQ(longer[longer.size() - 2]["epoch"], 5);
}

TEST_F(TrainWeightsTest, TheTestLooksAtTheBest) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const ProgramResult result =
        begin("run", {"--epochs", "12", "--patience", "12", "--learning-rate", "0.5"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const auto test = read_lines(result.out).back();
    const ProgramResult inferred = run_fake_infer(
        {"--weights", file("run", "weights-best.safetensors"), "--data", folder_.path(), "--json"});
    EXPECT_EQ(test["loss"], nlohmann::json::parse(inferred.out)["loss"]);
    EXPECT_NE(fact_of(file("run"), "epoch"), "12");
}

// What is no number is better than no other.
TEST_F(TrainWeightsTest, NotANumberIsNeverBetter) {
    fake_hooks().has_nan_scores = true;
    const ProgramResult result = begin("run", {"--epochs", "9", "--patience", "2"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_FALSE(is_file(file("run", "weights-best.safetensors")));
    EXPECT_EQ(fact_of(file("run"), "epoch"), "2");
}

TEST(FindBest, OfWhatTheHistoryHolds) {
    const auto epoch = [](double loss, double correct) {
        EpochRecord record;
        record.validation = Evaluation{{loss, correct, 1, {}}, /*has_loss=*/true};
        return record;
    };
    std::vector<EpochRecord> history{epoch(NAN, 0),  epoch(3, 0.5),          epoch(2, 0.5),
                                     epoch(2, 0.25), epoch(INFINITY, 0.125), EpochRecord{}};
    history[3].validation->not_finite = 1;
    EXPECT_EQ(find_best(history, "loss"), &history[2]);
    EXPECT_EQ(epochs_since_best(history, "loss"), 2);
    EXPECT_EQ(find_best(history, "accuracy"), &history[1]);
    EXPECT_EQ(epochs_since_best(history, "accuracy"), 3);
    EXPECT_EQ(find_best(history, "top"), nullptr);
    EXPECT_EQ(find_best(history, "recall"), nullptr);
    history[1].validation->top = TopCount{2, 1.0};
    history[2].validation->top = TopCount{2, 0.75};
    history[0].validation->mean_recall = NAN;
    history[2].validation->mean_recall = 0.0;
    history[3].validation->mean_iou = 0.25;
    history[4].validation->mean_iou = 0.5;
    EXPECT_EQ(find_best(history, "top"), &history[1]);
    EXPECT_EQ(find_best(history, "recall"), &history[2]);
    EXPECT_EQ(find_best(history, "iou"), &history[4]);
    history.resize(1);
    EXPECT_EQ(find_best(history, "loss"), nullptr);
    EXPECT_EQ(find_best(history, "recall"), nullptr);
    EXPECT_EQ(epochs_since_best(history, "loss"), 1);
    EXPECT_EQ(find_best({}, "loss"), nullptr);
}

// Of equal recalls the first; a resumed run finds the same in its checkpoint.
TEST_F(TrainWeightsTest, TheBestByMeanRecall) {
    const std::vector<std::string> options{"--epochs",        "3",    "--best", "recall",
                                           "--learning-rate", "0.002"};
    ASSERT_EQ(begin("run", options).exit_code, 0);
    const auto logged = read_lines(read_text(folder_ / "run/log.jsonl"));
    double best = -1.0;
    std::string epoch;
    for (const auto& line : logged) {
        if (line["event"] != "epoch" || line["validation"]["mean_recall"] <= best) continue;
        best = line["validation"]["mean_recall"];
        epoch = line["epoch"].dump();
    }
    EXPECT_GT(best, 0.0);
    EXPECT_EQ(fact_of(file("run", "weights-best.safetensors"), "epoch"), epoch);
    const ProgramResult history = run_fake_train({"--history", folder_ / "run"});
    EXPECT_NE(history.out.find("best epoch " + epoch + ": validation recall "), std::string::npos)
        << history.out;
    EXPECT_EQ(begin("top", {"--best", "top"}).err,
              "error: --best: is top, but nothing says of how many classes\n"
              "  fix: add --top, such as --top 5\n");
    EXPECT_EQ(begin("f", {"--best", "f"}).err,
              "error: --best: there is no metric 'f'\n"
              "  fix: choose loss, accuracy, top, recall or iou\n");
}

TEST_F(TrainWeightsTest, TheLastEpochsAreKept) {
    ASSERT_EQ(begin("run", {"--steps", "50", "--keep", "2"}).exit_code, 0);
    const auto files = files_of(folder_ / "run");
    std::string names;
    for (const auto& [name, text] : files) names += name + " ";
    EXPECT_EQ(names,
              "checkpoint weights-best.safetensors weights-epoch-3.safetensors "
              "weights-epoch-4.safetensors weights.safetensors ");
    EXPECT_EQ(fact_of(file("run", "weights-epoch-4.safetensors"), "step"), "44");
    EXPECT_EQ(fact_of(file("run"), "step"), "50");
    ASSERT_EQ(begin("four", {"--steps", "44"}).exit_code, 0);
    EXPECT_EQ(read_text(file("run", "weights-epoch-4.safetensors")), read_text(file("four")));
    // A run that begins anew leaves none of them; one that is there keeps another from beginning.
    std::filesystem::remove(file("run", "checkpoint"));
    std::filesystem::remove(file("run"));
    const ProgramResult refused = begin("run", {});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_EQ(refused.err, "error: " + (folder_ / "run") +
                               ": holds the weights of another run\n"
                               "  fix: choose another folder, or begin anew with --overwrite\n");
    ASSERT_EQ(begin("run", {"--overwrite", "--epochs", "1"}).exit_code, 0);
    EXPECT_EQ(files_of(folder_ / "run").size(), 3u);
}

// Killed at any byte that it writes, a run goes on to the files of one that was never stopped: the
// best and the kept ones of before the kill too.
TEST_F(TrainWeightsTest, KilledAtAnyByte) {
    const std::vector<std::string> options{"--epochs",   "9",  "--keep",          "2",
                                           "--patience", "3",  "--learning-rate", "0.5",
                                           "--ema",      "0.9"};
    ASSERT_EQ(begin("whole", options).exit_code, 0);
    const auto whole = files_of(folder_ / "whole");
    int kills = 0;
    for (int64_t bytes = 3000;; bytes += 4001) {
        testing::faults.kill_after = bytes;
        const std::string run = "run" + std::to_string(bytes);
        const ProgramResult result = begin(run, options);
        testing::faults = {};
        if (result.exit_code == 0) break;
        ASSERT_EQ(result.signal, SIGKILL) << result.err;
        kills++;
        auto anew = options;
        anew.push_back("--overwrite");
        const ProgramResult resumed =
            is_file(file(run, "checkpoint")) ? resume(run) : begin(run, anew);
        ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
        ASSERT_TRUE(files_of(folder_ / run) == whole) << bytes;
    }
    EXPECT_GE(kills, 10);
}

// A disk that refuses the best weights costs them, not the run; the end says whose are missing.
TEST_F(TrainWeightsTest, TheBestThatIsNotThere) {
    ASSERT_EQ(
        begin("run", {"--epochs", "9", "--patience", "2", "--keep", "3", "--learning-rate", "0"})
            .exit_code,
        0);
    const std::string best = file("run", "weights-best.safetensors");
    std::filesystem::copy_file(file("run", "weights-epoch-2.safetensors"), best,
                               std::filesystem::copy_options::overwrite_existing);
    const ProgramResult result = resume("run");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("error: " + best +
                              ": holds the weights of step 22, but the best are those of step 11 "
                              "(epoch 1)\n  fix: take the weights of the last epoch, or train "
                              "again\n"),
              std::string::npos)
        << result.err;
    EXPECT_EQ(fact_of(file("run"), "epoch"), "3");
    EXPECT_TRUE(read_lines(result.out).back()["event"] == "weights") << result.out;
}

TEST_F(TrainWeightsTest, AFullDiskCostsTheKeptWeightsAlone) {
    std::filesystem::create_directories(file("run", "weights-epoch-1.safetensors.tmp"));
    const ProgramResult result = begin("run", {"--epochs", "2", "--keep", "3"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.err.find("warning: " + file("run", "weights-epoch-1.safetensors") +
                              ": cannot write the file: "),
              std::string::npos)
        << result.err;
    EXPECT_NE(result.err.find("\n  this epoch's weights are not kept and training goes on\n"),
              std::string::npos)
        << result.err;
    EXPECT_TRUE(is_file(file("run", "weights-epoch-2.safetensors")));
}

// A rate of 0 leaves them as they are, but for the running mean of the loss.
TEST_F(TrainWeightsTest, InitBeginsWithTheWeightsOfAFile) {
    ASSERT_EQ(begin("from", {"--epochs", "2"}).exit_code, 0);
    const std::vector<std::string> options{"--init", file("from"), "--epochs",        "1",
                                           "--seed", "7",          "--learning-rate", "0"};
    const ProgramResult result = begin("run", options);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    for (const char* name : {"dense1.w", "dense1.b"})
        EXPECT_EQ(read_weights(file("run"), name), read_weights(file("from"), name)) << name;
    EXPECT_NE(result.err.find("begins with 3 of 3 tensors from " + file("from") + "\n"),
              std::string::npos)
        << result.err;
    const auto init = read_lines(result.out)[1];
    EXPECT_EQ(init["event"], "init");
    EXPECT_EQ(init["matched"].size(), 3u);
    EXPECT_EQ(init["missing"].size() + init["left_over"].size() + init["differing"].size(), 0u);
    const auto logged = read_lines(read_text(file("run", "log.jsonl")));
    EXPECT_EQ(logged[1], init);
    auto again = options;
    again.insert(again.end(), {"--resume=auto"});
    EXPECT_EQ(begin("run", again).exit_code, 0);
    EXPECT_EQ(read_weights(file("run"), "dense1.w"), read_weights(file("from"), "dense1.w"));
    EXPECT_EQ(resume("run", {"--init", file("from")}).err,
              "error: --init: cannot be combined with --resume, which goes on with the weights of "
              "the checkpoint\n  fix: give one of the two, or --resume=auto\n");
    EXPECT_EQ(begin("from", {"--init", file("from"), "--overwrite"}).err,
              "error: --weights " + file("from") +
                  ": is the place of the weights of --init\n  fix: choose another one for "
                  "--weights\n");
    EXPECT_NE(begin("none", {"--init", folder_ / "absent"}).err.find("no such file"),
              std::string::npos);
    EXPECT_FALSE(is_folder(folder_ / "none"));
}

// Another head is drawn anew, and all that does not fit is named.
TEST_F(TrainWeightsTest, InitOfAnotherHead) {
    ASSERT_EQ(begin("from", {"--epochs", "1"}).exit_code, 0);
    FakeNetwork network;
    network.classes = 5;
    network.signature = "fedcba9876543210";
    use_fake_network(network);
    ASSERT_EQ(begin("drawn", {"--steps", "1", "--learning-rate", "0"}).exit_code, 0);
    const ProgramResult result =
        begin("run", {"--steps", "1", "--learning-rate", "0", "--init", file("from")});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(read_weights(file("run"), "dense1.w"), read_weights(file("drawn"), "dense1.w"));
    EXPECT_NE(read_weights(file("run"), "loss1.mean"), read_weights(file("drawn"), "loss1.mean"));
    EXPECT_NE(result.err.find("begins with 1 of 3 tensors from " + file("from") +
                              "\n  drawn anew: 'dense1.w' [5, 16], which is 'dense1.w' F32 [3, 16] "
                              "there, 'dense1.b' [5], which is 'dense1.b' F32 [3] there\n"),
              std::string::npos)
        << result.err;
}

TEST_F(TrainWeightsTest, OptionsThatDoNotFit) {
    struct Case {
        std::vector<std::string> options;
        const char* error;
    };
    const std::string run = folder_ / "new";
    for (const auto& [options, error] :
         {Case{{"--best", "loss", "--checkpoint", run},
               "--best: needs a validation after every epoch\n  fix: add --validation, such as "
               "--validation 0.1\n"},
          Case{{"--patience", "3", "--checkpoint", run},
               "--patience: needs a validation after every epoch\n  fix: add --validation, such as "
               "--validation 0.1\n"},
          Case{{"--best", "f1", "--checkpoint", run},
               "--best: there is no metric 'f1'\n  fix: choose loss, accuracy, top, recall or "
               "iou\n"},
          Case{{"--keep", "2"},
               "--keep: needs the folder of the run\n  fix: add --checkpoint "
               "FOLDER\n"},
          Case{{"--patience", "0", "--checkpoint", run},
               "--patience: '0' is not a whole number from 1 to 100000\n  fix: for example "
               "--patience 1\n"}}) {
        const ProgramResult result = train(options);
        EXPECT_EQ(result.exit_code, 2);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err, std::string("error: ") + error);
    }
    ASSERT_EQ(begin("run", {"--epochs", "1"}).exit_code, 0);
    EXPECT_EQ(
        resume("run", {"--best", "accuracy"}).err,
        "error: --best: is accuracy, but the run of the checkpoint has loss\n  fix: leave the "
        "option out with --resume, or begin a new run in another folder\n");
    ASSERT_EQ(train({"--checkpoint", run, "--epochs", "1"}).exit_code, 0);
    EXPECT_EQ(resume("new", {"--patience", "2"}).err,
              "error: --patience: needs a validation after every epoch, but the run of the "
              "checkpoint has none\n  fix: leave the option out with --resume, or begin a new run "
              "in another folder\n");
    const std::string best = run + "/weights-best.safetensors";
    EXPECT_EQ(
        train({"--checkpoint", run, "--overwrite", "--validation", "0.2", "--weights", best}).err,
        "error: --weights " + best +
            ": is the place of the best weights\n  fix: choose another one for --weights\n");
    FakeNetwork network;
    network.score_name = "scores";
    use_fake_network(network);
    EXPECT_EQ(begin("scores", {"--best", "loss"}).err,
              "error: --best: is loss, but the network gives no probabilities, so that its "
              "validation has none\n  fix: choose accuracy, or leave the option out\n");
    EXPECT_EQ(begin("scores", {"--epochs", "2"}).exit_code, 0);
    EXPECT_TRUE(is_file(file("scores", "weights-best.safetensors")));
}

}  // namespace
}  // namespace emulsion
