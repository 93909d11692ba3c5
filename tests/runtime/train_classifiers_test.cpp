// Runs of the trainer whose network has several classifiers, or none that counts.
#include "runtime/program/session.h"
#include "runtime/support/text.h"
#include "tests/runtime/train_support.h"

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
