// The text of whole networks: every golden parses back to itself, every shortened text is refused.
#include "compiler/graph/network.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "tests/support/golden.h"
#include "tests/support/message_of.h"
#include "tests/support/paths.h"
#include "tests/support/test_folder.h"

namespace emulsion {
namespace {

std::string golden(const std::string& name) {
    std::ifstream file(source_path("tests/golden/" + name));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string error_of(const std::string& text) {
    try {
        parse_network(text, "net.emu");
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

TEST(Network, TextRoundTrip) {
    for (const auto& [name, batch] : test::kExampleNetworks) {
        std::string text = golden(std::string(name) + ".graph.txt");
        ASSERT_FALSE(text.empty()) << name;
        Network network = parse_network(text, name);
        EXPECT_EQ(print(network), text);
        EXPECT_TRUE(parse_network(print(network), name) == network);
        EXPECT_EQ(network.name, name);
    }
}

// A trainer would write weights under names that no reader takes.
TEST(Network, NamesOfAnyLength) {
    const auto with_name = [](size_t length) {
        const std::string name(length, 'w');
        return "network net\noptimizer sgd {learning_rate=0.1}\ngraph net {\n  %x = input() : "
               "f32[n,3,8,8]\n  %" +
               name + " = parameter() : f32[4,3,3,3]\n  %y = conv2d(%x, %" + name +
               ") : f32[n,4,6,6]\n  output \"y\" %y\n}\n";
    };
    EXPECT_EQ(error_of(with_name(4096)), "");
    EXPECT_EQ(error_of(with_name(4097)), "error[name]: the name '" + std::string(40, 'w') +
                                             "...' has 4097 bytes, more than 4096\n"
                                             "  fix: give it a shorter name");
}

TEST(Network, AllSettingsRoundTrip) {
    std::string graph = golden("lenet.graph.txt");
    graph = graph.substr(graph.find("graph lenet"));
    for (const char* header : {"network lenet\noptimizer adam {learning_rate=0.002, "
                               "weight_decay=0.0001, beta1=0.8, beta2=0.99, epsilon=1e-07, "
                               "form=\"inside\", decoupled=true, bias_correction=false}\nschedule "
                               "step {every=7, gamma=0.3}\n",
                               "network lenet\noptimizer sgd {learning_rate=0.1, weight_decay=0, "
                               "momentum=0.9, nesterov=true, damped=true}\n"
                               "schedule constant\nrates {conv1.b=2, conv1.w=0.1}\nnormalization "
                               "{mean=[0.25], deviation=[0.5]}\n"
                               "classes [\"a \\\"b\\\"\", \"b\\\\\", \"\", \"d\", \"e\", \"f\", "
                               "\"g\", \"h\", \"i\", \"j\"]\n"}) {
        EXPECT_EQ(print(parse_network(header + graph, "net.emu")), header + graph);
    }
}

TEST(Network, AnyPrefixIsRefused) {
    std::string text = golden("mlp.graph.txt");
    ASSERT_GT(text.size(), 1000u);
    for (size_t size = 0; size + 2 < text.size(); size++) {
        std::string error = error_of(text.substr(0, size));
        ASSERT_NE(error.find("error["), std::string::npos)
            << "the first " << size << " bytes are accepted";
    }
}

// A byte more or less never breaks the parser: it accepts the text or says what is wrong.
TEST(Network, AnyChangedByteIsReadOrRefused) {
    std::string text = golden("mlp.graph.txt");
    int refused = 0;
    for (size_t at = 0; at < text.size(); at++) {
        for (char c : {'0', '%', '"'}) {
            std::string changed = text;
            changed[at] = c;
            refused += error_of(changed).empty() ? 0 : 1;
        }
    }
    EXPECT_GT(refused, static_cast<int>(text.size()));
}

TEST(Network, NormalizationOfEveryChannel) {
    std::string text = golden("lenet.graph.txt");
    size_t at = text.find("classes");
    text.insert(at, "normalization {mean=[0.1,0.2], deviation=[1,1]}\n");
    EXPECT_EQ(error_of(text),
              "error[normalization]: normalization has 2 means and 2 deviations, but 'image' has 1 "
              "channels\n"
              "  fix: give 1 of each");
}

TEST(Network, SettingsThatCannotBe) {
    std::string graph = golden("lenet.graph.txt");
    graph = graph.substr(graph.find("graph lenet"));
    for (const auto& [header, error] :
         {std::pair("optimizer sgd {clip_value=1, clip_norm=2}",
                    "error[optimizer]: the gradients are clipped both by the value 1 and by the "
                    "norm 2\n  fix: choose one of clip_value and clip_norm"),
          {"optimizer adagrad {epsilon=0}",
           "error[optimizer]: epsilon is 0, which is not between 1e-30 and 1\n"
           "  fix: choose a value from 1e-30 to 1"},
          {"optimizer rmsprop {rho=1}",
           "error[optimizer]: rho is 1, which is not between 0 and 0.999999\n"
           "  fix: choose a value from 0 to 0.999999"},
          {"schedule multi_step",
           "error[schedule]: the multi_step schedule has no steps to fall at\n"
           "  fix: name one or more, such as at = {1000, 2000}"},
          {"schedule multi_step {at=[2,5,5]}",
           "error[schedule]: at has 5 behind 5\n  fix: name the steps in ascending order"},
          {"schedule plateau {metric=\"speed\"}",
           "error[schedule]: there is no metric 'speed'\n  fix: write loss or accuracy"},
          {"schedule one_cycle {rise=2}",
           "error[schedule]: rise is 2, which is not between 0 and 1\n"
           "  fix: choose a value from 0 to 1"},
          {"schedule cosine {warm_up=-1}",
           "error[schedule]: warm_up is -1, which is not between 0 and 1000000000000\n"
           "  fix: choose a value from 0 to 1000000000000"},
          {"rates {conv1.w=0.1, conv1.w=2}",
           "net.emu:2: error[syntax]: the rates have two of 'conv1.w'\n"
           "  fix: leave one of them out"},
          {"rates {image=0.1}",
           "error[optimizer]: the rates name 'image', which is no parameter\n"
           "  fix: name parameters of the graph"},
          {"rates {conv1.w=-1}",
           "error[optimizer]: the rate's factor of conv1.w is -1, which is not between 0 and "
           "1000000\n  fix: choose a value from 0 to 1000000"}}) {
        EXPECT_EQ(error_of(std::string("network lenet\n") + header + "\n" + graph), error);
    }
}

TEST(Network, FilesThatCannotBeRead) {
    TestFolder folder;
    std::ofstream(folder / "long");
    std::filesystem::resize_file(folder / "long", (uintmax_t{64} << 20) + 1);
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    std::filesystem::create_directory(folder / "folder");
    for (auto [name, problem] : {std::pair("none", "cannot open the model: no such file or folder"),
                                 {"long", "the model has 67108865 bytes; the limit is 67108864"},
                                 {"pipe", "expected a model, but this is no plain file"},
                                 {"folder", "expected a model, but this is a folder"}}) {
        EXPECT_EQ(test::message_of([&] { read_network(folder / name); }),
                  "error[file]: '" + (folder / name) + "': " + problem +
                      "\n  fix: give the path of a .emu file that you may read");
    }
}

}  // namespace
}  // namespace emulsion
