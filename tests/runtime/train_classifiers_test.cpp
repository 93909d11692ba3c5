// Runs of the trainer whose network has several classifiers, or none that counts.
#include <cmath>

#include "runtime/program/confusion.h"
#include "runtime/program/session.h"
#include "runtime/support/text.h"
#include "tests/runtime/train_support.h"
#include "tests/support/fake_memory.h"

namespace emulsion {
namespace {

// A network that counts no correct answers has no accuracy of training, rather than one of 0.
TEST_F(TrainRunTest, WithoutACountThereIsNoAccuracy) {
    FakeNetwork network;
    network.heads = {};
    use_fake_network(network);
    const auto train_here = [this](std::vector<std::string> options) {
        options.insert(options.begin(), {"--data", folder_.path(), "--validation", "0.2"});
        return run_fake_train(std::move(options));
    };
    const std::string run = folder_ / "uncounted";
    const auto event =
        read_lines(train_here({"--epochs", "1", "--json", "--checkpoint", run}).out)[1];
    EXPECT_EQ(event["event"], "epoch");
    EXPECT_TRUE(event["accuracy"].is_null()) << event;
    EXPECT_TRUE(event["validation"]["accuracy"].is_number()) << event;
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", run, "--resume", "--epochs", "2", "--json"});
    EXPECT_TRUE(read_lines(resumed.out)[1]["accuracy"].is_null()) << resumed.out << resumed.err;
    const ProgramResult table = train_here({"--epochs", "1"});
    EXPECT_EQ(table.out.find(" 0.00 %"), std::string::npos) << table.out;
    EXPECT_NE(table.out.find("  -  "), std::string::npos) << table.out;
}

// Every classifier is shown by its name: in the rows of epochs and of the test, in JSON, and by the
// inference program. `b` takes every picture for the class 0, which is that of each third.
TEST_F(TrainRunTest, SeveralClassifiers) {
    FakeNetwork network;
    network.heads = {"a", "b"};
    use_fake_network(network);
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const std::vector<std::string> options{"--epochs", "20", "--validation", "test"};
    const ProgramResult table = train(options);
    ASSERT_EQ(table.exit_code, 0) << table.err;
    EXPECT_TRUE(
        table.out.starts_with("epoch     loss   accuracy          a          b  valid. "
                              "loss  valid. acc   valid. a   valid. b       rate"))
        << table.out;
    const std::string test = table.out.substr(table.out.find("test accuracy"));
    EXPECT_TRUE(test.starts_with("test accuracy 100.00 % (30 of 30), loss ")) << test;
    EXPECT_TRUE(test.ends_with(", a 100.00 %, b 33.33 %\n")) << test;

    auto json = options;
    json.insert(json.end(), {"--json", "--weights", folder_ / "w"});
    const auto lines = read_lines(train(json).out);
    const auto heads = [](double a, double b) { return nlohmann::json{{"a", a}, {"b", b}}; };
    EXPECT_EQ(lines[20]["accuracy"], 1.0) << lines[20];
    EXPECT_EQ(lines[20]["heads"], heads(1.0, 17.0 / 50)) << lines[20];
    EXPECT_EQ(lines[20]["validation"]["heads"], heads(1.0, 10.0 / 30)) << lines[20];
    EXPECT_TRUE(lines[20]["validation"]["loss"].is_number()) << lines[20];
    EXPECT_EQ(lines.back()["heads"], heads(1.0, 10.0 / 30)) << lines.back();
    const std::vector<std::string> set{"--weights", folder_ / "w", "--data", folder_.path()};
    const ProgramResult text = run_fake_infer(set);
    EXPECT_TRUE(text.out.ends_with(", a 100.00 %, b 33.33 %\n")) << text.out;
    auto set_json = set;
    set_json.push_back("--json");
    const auto inferred = nlohmann::json::parse(run_fake_infer(set_json).out);
    EXPECT_EQ(inferred["heads"], heads(1.0, 10.0 / 30)) << inferred;
}

// A classifier without a name is the one that decides; with a single one nothing is said twice.
TEST_F(TrainRunTest, TheUnnamedClassifierDecides) {
    FakeNetwork network;
    network.heads = {"", "b"};
    use_fake_network(network);
    const ProgramResult table = train({"--epochs", "20"});
    EXPECT_TRUE(table.out.starts_with("epoch     loss   accuracy          b       rate"))
        << table.out;
    EXPECT_NE(table.out.find("  100.00 %    34.00 %  "), std::string::npos) << table.out;
    network.heads = {"b"};
    use_fake_network(network);
    const auto lines = read_lines(train({"--epochs", "20", "--json"}).out);
    EXPECT_EQ(lines[20]["accuracy"], 1.0) << lines[20];
    EXPECT_FALSE(lines[20].contains("heads")) << lines[20];
}

// By hand: two of three cats and one of two dogs are found, one dog is taken for a cat, one cat has
// scores that are no numbers; there is no bird.
TEST(ConfusionTest, RecallAndPrecisionByHand) {
    Confusion confusion(3);
    confusion.add(0, 0), confusion.add(0, 0), confusion.add(0, std::nullopt);
    confusion.add(1, 1), confusion.add(1, 0);
    EXPECT_EQ(confusion.recall(0), 2.0 / 3);
    EXPECT_EQ(confusion.precision(0), 2.0 / 3);
    EXPECT_EQ(confusion.recall(1), 0.5);
    EXPECT_EQ(confusion.precision(1), 1.0);
    EXPECT_EQ(confusion.recall(2), std::nullopt);
    EXPECT_EQ(confusion.precision(2), std::nullopt);
    EXPECT_EQ(confusion.iou(0), 2.0 / 4);
    EXPECT_EQ(confusion.iou(1), 1.0 / 2);
    EXPECT_EQ(confusion.iou(2), std::nullopt);
    EXPECT_EQ(confusion.mean_recall(), (2.0 / 3 + 0.5) / 2);
    EXPECT_EQ(confusion.mean_iou(), 0.5);
    EXPECT_EQ(Confusion(2).mean_recall(), std::nullopt);
    const std::vector<std::string> names{"cat", "dog", "bird"};
    EXPECT_EQ(confusion_text(confusion, names),
              "class        pictures   recall  precision      IoU\n"
              "    0  cat          3  66.67 %    66.67 %  50.00 %\n"
              "    1  dog          2  50.00 %   100.00 %  50.00 %\n"
              "    2  bird         0        -          -        -\n"
              "       mean            58.33 %    83.33 %  50.00 %\n"
              "taken for  0  1  2\n"
              "class 0    2  .  .\n"
              "class 1    1  1  .\n"
              "class 2    .  .  .\n");
    EXPECT_EQ(confusion_text(Confusion(kMostShownClasses + 1), names).find("taken for"),
              std::string::npos);
}

TEST(ConfusionTest, TheBestOfEqualScoresIsTheFirst) {
    const float scores[] = {0.25f, 0.5f, 0.25f, 0.0f};
    const int place[] = {2, 1, 3, 4};
    for (int label = 0; label < 4; label++) {
        for (int count = 1; count <= 5; count++)
            EXPECT_EQ(is_among_best(scores, label, count), place[label] <= count) << label << count;
    }
    EXPECT_FALSE(is_among_best(scores, 4, 4));
    const float bad[] = {1.0f, NAN};
    EXPECT_FALSE(is_among_best(bad, 0, 2));
}

// Against what the inference program says of each picture.
TEST_F(TrainRunTest, TopAndConfusion) {
    write_easy_set(folder_.path(), /*is_test=*/true, 30, 4, 4, 3);
    const std::vector<std::string> options{
        "--steps", "4",           "--learning-rate", "0.02", "--top",
        "2",       "--confusion", "--validation",    "test", "--checkpoint"};
    auto json = options, text = options;
    json.insert(json.end(), {folder_ / "run", "--json"});
    text.push_back(folder_ / "text");
    const ProgramResult trained = train(json);
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const ProgramResult inferred =
        run_fake_infer({"--weights", folder_ / "run/weights.safetensors", "--data", folder_.path(),
                        "--take", "30", "--top", "2", "--json"});
    std::vector<std::vector<int>> counts(3, std::vector<int>(3));
    int among_two = 0;
    for (const auto& row : read_lines(inferred.out)) {
        if (!row.contains("label")) continue;
        const auto index = [](const nlohmann::json& name) {
            return static_cast<size_t>(std::stoi(name.get<std::string>()));
        };
        const size_t label = index(row["label"]);
        counts[label][index(row["class"])]++;
        for (const auto& best : row["top"]) among_two += index(best["class"]) == label;
    }
    const auto lines = read_lines(trained.out);
    for (const auto& found : {lines[1]["validation"], lines.back()}) {
        EXPECT_EQ(found["confusion"], nlohmann::json(counts)) << found << inferred.out;
        EXPECT_EQ(found["top"]["classes"], 2);
        EXPECT_EQ(found["top"]["accuracy"], among_two / 30.0);
        EXPECT_EQ(found["recall"][1], counts[1][1] / 10.0);
        EXPECT_EQ(found["mean_recall"], (found["recall"][0].get<double>() + counts[1][1] / 10.0 +
                                         found["recall"][2].get<double>()) /
                                            3);
        double overlap = 0.0;  // of 10 pictures a class
        for (size_t c = 0; c < 3; c++) {
            const int taken = counts[0][c] + counts[1][c] + counts[2][c];
            overlap += counts[c][c] / (10.0 + taken - counts[c][c]);
        }
        EXPECT_DOUBLE_EQ(found["mean_iou"], overlap / 3);
    }
    const ProgramResult table = train(text);
    EXPECT_NE(table.out.find("  valid. acc  valid. top 2  "), std::string::npos) << table.out;
    EXPECT_NE(table.out.find(", top 2 "), std::string::npos) << table.out;
    EXPECT_NE(table.out.find("\nclass        pictures "), std::string::npos) << table.out;
    EXPECT_NE(table.out.find("\ntaken for "), std::string::npos) << table.out;
    // A resumed run counts on, and its history and log tell of it.
    const ProgramResult resumed =
        run_fake_train({"--checkpoint", folder_ / "run", "--resume", "--epochs", "1", "--json"});
    EXPECT_TRUE(read_lines(resumed.out).back().contains("confusion")) << resumed.out;
    const ProgramResult history = run_fake_train({"--history", folder_ / "run"});
    EXPECT_NE(history.out.find("  valid. top 2  "), std::string::npos) << history.out;
    EXPECT_EQ(train({"--top", "0"}).err,
              "error: --top: '0' is not a whole number from 1 to 1000000\n  fix: for example "
              "--top 1\n");
}

// Wherever they stand among the outputs.
TEST(Heads, TheOneWithoutANameComesFirst) {
    emulsion_port ports[5]{};
    const char* names[] = {"a.correct", "loss", "correct", "b.correct", ".correct"};
    for (size_t i = 0; i < 5; i++) ports[i].name = names[i];
    emulsion_info info{};
    info.outputs = ports;
    info.output_count = 5;
    std::string found;
    for (const Head& head : find_heads(info, "correct"))
        found += concat(" ", quoted(head.name), " ", head.output);
    EXPECT_EQ(found, " '' 2 'a' 0 'b' 3");
    EXPECT_TRUE(find_heads(info, "probabilities").empty());
}

// An epoch goes on with the counts of its first part.
TEST_F(TrainRunTest, SeveralClassifiersAreResumed) {
    FakeNetwork network;
    network.heads = {"", "b"};
    use_fake_network(network);
    const std::vector<std::string> run{"--checkpoint", folder_ / "run", "--json"};
    auto first = run, second = run;
    first.insert(first.end(), {"--steps", "5"});
    second.insert(second.end(), {"--steps", "13", "--resume"});
    ASSERT_EQ(train(first).exit_code, 0);
    const ProgramResult resumed = train(second);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(read_lines(resumed.out)[1]["heads"]["b"], 17.0 / 50) << resumed.out;
}

// Each of several losses is shown by its name, and goes on with the sum of its first part. `aux` is
// two thirds of the whole.
TEST_F(TrainRunTest, SeveralLosses) {
    FakeNetwork network;
    network.losses = {"main", "aux"};
    use_fake_network(network);
    const ProgramResult table = train({"--epochs", "1"});
    EXPECT_TRUE(table.out.starts_with("epoch     loss   accuracy  main loss  aux loss       rate"))
        << table.out;
    const std::vector<std::string> run{"--checkpoint", folder_ / "run", "--json"};
    auto first = run, second = run;
    first.insert(first.end(), {"--steps", "5"});
    second.insert(second.end(), {"--steps", "13", "--resume"});
    ASSERT_EQ(train(first).exit_code, 0);
    const ProgramResult resumed = train(second);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    const auto epoch = read_lines(resumed.out)[1];
    const double loss = epoch["loss"];
    EXPECT_NEAR(epoch["losses"]["main"], loss / 3, 1e-6) << epoch;
    EXPECT_NEAR(epoch["losses"]["aux"], 2 * loss / 3, 1e-6) << epoch;
}

// What a loss wants beside one class index, a map of them or numbers is brought by a program of the
// user's own.
TEST_F(TrainRunTest, InputsThatThisProgramDoesNotFeed) {
    const struct {
        int type, rank;
        const char* fault;
    } cases[] = {
        {EMULSION_F32, 1, "also reads 'wanted' (distributions over classes)"},
        {EMULSION_I32, 2, "also reads 'wanted' (indices)"},
    };
    for (const auto& [type, rank, fault] : cases) {
        use_fake_network({});
        emulsion_port& port = fake().train_inputs[1];
        port.name = "wanted";
        port.type = type, port.rank = rank, port.distribution = type == EMULSION_F32 ? 1 : 0;
        const ProgramResult result = train({});
        EXPECT_EQ(result.exit_code, 1);
        EXPECT_EQ(result.err,
                  std::string(
                      "error: fake: this program feeds what inference reads and what it is trained "
                      "towards, a class index, one for each pixel, numbers, or nothing, but the "
                      "network ") +
                      fault + "\n  fix: call the training library from a program of your own\n");
    }
}

// Of data that hold another kind of target, what would fit is named.
TEST_F(TrainRunTest, DataOfAnotherKindOfTarget) {
    emulsion_port& port = fake().train_inputs[1];
    port.type = EMULSION_I32, port.rank = 3, port.classes = 3;
    port.shape[0] = 1, port.shape[1] = port.shape[2] = 4;
    const std::string data = folder_.path();
    EXPECT_EQ(
        train({}).err,
        "error: " + data +
            ": holds no masks, but the network classifies each pixel\n  fix: "
            "give a folder with images/ and masks/, a list of pictures and masks, a reader of your "
            "own, or --images FILE --labels FILE.npy\n");
    port.type = EMULSION_F32, port.rank = 1, port.shape[0] = 2;
    EXPECT_EQ(
        train({}).err,
        "error: " + data +
            ": holds no numbers to be predicted, but the network is trained "
            "towards 2 each\n  fix: give a .csv file or a list of pictures with the numbers of "
            "each, a reader of your own, or --images FILE --labels FILE.npy\n");
    EXPECT_EQ(train({"--boxes"}).err,
              "error: --boxes: is for networks that are trained towards four numbers a box, but "
              "this one is trained towards 2\n  fix: leave the option out\n");
    port.shape[0] = 4;
    EXPECT_EQ(train({"--boxes", "--resize", "area", "--fit", "crop"}).err,
              "error: --boxes: cannot be combined with --fit crop, which boxes do not follow\n"
              "  fix: leave one of the two out\n");
    EXPECT_EQ(train({"--boxes"}, R"({"augmentation": {"pieces": [{"kind": "elastic"}]}})").err,
              "error: --boxes: do not follow the model's elastic distortion\n"
              "  fix: leave elastic out of augment({...}), or add --no-augment\n");
    port.shape[0] = 2;
    EXPECT_EQ(train({"--top", "2"}).err,
              "error: --top: counts classes, but the network is trained towards numbers\n"
              "  fix: leave the option out\n");
}

// A label that a further classifier does not know is found in the data, before training.
TEST_F(TrainRunTest, LabelsAreThoseOfEveryClassifier) {
    FakeNetwork network;
    network.label_classes = 2;
    use_fake_network(network);
    const ProgramResult result = train({});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("2 classes"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace emulsion
