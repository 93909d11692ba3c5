// Settings of a model file, by argument lists as main() gets them.
#include "dsl/settings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "dsl/settings_state.h"

namespace emulsion {
namespace {

// The words of a command line, which Settings look at.
class Arguments {
  public:
    explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {
        words_.insert(words_.begin(), "net");
        for (std::string& word : words_) pointers_.push_back(word.data());
        pointers_.push_back(nullptr);
    }
    int argc() const { return static_cast<int>(words_.size()); }
    char** argv() { return pointers_.data(); }

  private:
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

// The mistakes as printed; those of this file by their line alone.
std::string mistakes(const Settings& settings) {
    std::string text;
    for (Diagnostic mistake : mistakes_of(settings.state())) {
        if (!mistake.where.file.empty()) mistake.where.file = "net.cpp";
        mistake.where.line = mistake.where.file.empty() ? 0 : 7;
        text += to_string(mistake) + "\n";
    }
    return text;
}

TEST(Settings, DefaultsHoldWhereNothingIsGiven) {
    Arguments words({"build", "--output", "out"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.integer("depth", 18, {.choices = {18, 34}}), 18);
    EXPECT_EQ(settings.number("rate", 0.25), 0.25);
    EXPECT_TRUE(settings.boolean("residual", true));
    EXPECT_EQ(settings.word("activation", "relu", {"relu", "tanh"}), "relu");
    EXPECT_EQ(mistakes(settings), "");
    EXPECT_EQ(settings_text(settings.state()), "depth=18 rate=0.25 residual=true activation=relu");
}

TEST(Settings, TheCommandLineHolds) {
    Arguments words({"train", "--set", "depth=34", "--set=rate=1e-3", "--batch=2", "--set",
                     "residual=false", "--set=activation=tanh", "--", "--set", "depth=18"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.integer("depth", 18, {.choices = {18, 34}}), 34);
    EXPECT_EQ(settings.number("rate", 0.25), 1e-3);
    EXPECT_FALSE(settings.boolean("residual", true));
    EXPECT_EQ(settings.word("activation", "relu", {"relu", "tanh"}), "tanh");
    EXPECT_EQ(mistakes(settings), "");
    EXPECT_EQ(settings_text(settings.state()),
              "depth=34 rate=0.001 residual=false activation=tanh");
}

TEST(Settings, ValuesThatDoNotFit) {
    Arguments words({"build", "--set=depth=20", "--set=width=0", "--set=rate=fast",
                     "--set=residual=1", "--set=activation=\n", "--set=more=9999999999"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.integer("depth", 18, {.choices = {18, 34}}), 18);
    EXPECT_EQ(settings.integer("width", 32), 32);
    EXPECT_EQ(settings.number("rate", 0.25, {.from = 0, .to = 1}), 0.25);
    EXPECT_TRUE(settings.boolean("residual", true));
    EXPECT_EQ(settings.word("activation", "relu", {"relu", "tanh"}), "relu");
    EXPECT_EQ(settings.integer("more", 3, {.from = -1, .to = 5}), 3);
    EXPECT_EQ(mistakes(settings),
              "net.cpp:7: error[setting]: the setting 'depth' is '20', which is not one of 18, 34\n"
              "  fix: write --set depth=VALUE with one of 18, 34\n"
              "net.cpp:7: error[setting]: the setting 'width' is '0', which is not a whole number "
              "from 1 to 1048576\n"
              "  fix: write --set width=VALUE with a whole number from 1 to 1048576\n"
              "net.cpp:7: error[setting]: the setting 'rate' is 'fast', which is not a number from "
              "0 to 1\n"
              "  fix: write --set rate=VALUE with a number from 0 to 1\n"
              "net.cpp:7: error[setting]: the setting 'residual' is '1', which is not true or "
              "false\n"
              "  fix: write --set residual=VALUE with true or false\n"
              "net.cpp:7: error[setting]: the setting 'activation' is '\\x0a', which is not one of "
              "relu, tanh\n"
              "  fix: write --set activation=VALUE with one of relu, tanh\n"
              "net.cpp:7: error[setting]: the setting 'more' is '9999999999', which is not a whole "
              "number from -1 to 5\n"
              "  fix: write --set more=VALUE with a whole number from -1 to 5\n");
}

TEST(Settings, TheNotANumberOfARate) {
    Arguments words({"build", "--set=rate=nan"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.number("rate", 0.25), 0.25);
    EXPECT_NE(mistakes(settings), "");
}

TEST(Settings, WhatIsNotAskedForOrGivenTwice) {
    Arguments words(
        {"build", "--set=widht=64", "--set=depth", "--set==3", "--set=depth=2", "--set=depth=3"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.integer("depth", 1), 2);
    EXPECT_EQ(settings.integer("width", 32), 32);
    EXPECT_EQ(mistakes(settings),
              "error[setting]: --set 'depth' is no NAME=VALUE\n  fix: write --set NAME=VALUE\n"
              "error[setting]: --set '=3' is no NAME=VALUE\n  fix: write --set NAME=VALUE\n"
              "error[setting]: the setting 'depth' is given twice\n"
              "  fix: leave out one of the two\n"
              "error[setting]: the model file has no setting 'widht'; the closest is 'width'\n"
              "  fix: set one of depth, width\n");
}

TEST(Settings, AModelFileWithoutAny) {
    Arguments words({"build", "--set", "width=64"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(mistakes(settings),
              "error[setting]: the model file has no setting 'width'\n"
              "  fix: leave --set out, or ask for the setting with Settings::integer(), number(), "
              "boolean() or word(), and call compile(model, settings)\n");
}

TEST(Settings, MistakesOfTheModelFile) {
    Arguments words({"build"});
    Settings settings(words.argc(), words.argv());
    EXPECT_EQ(settings.integer("2nd", 1), 1);
    EXPECT_EQ(settings.integer("width", 0), 0);
    EXPECT_EQ(settings.integer("width", 4), 4);
    EXPECT_EQ(mistakes(settings),
              "net.cpp:7: error[setting]: '2nd' is no name for a setting\n"
              "  fix: use a letter, then letters, digits, '_', '-' and '.'\n"
              "net.cpp:7: error[setting]: the setting 'width' is '0', which is not a whole number "
              "from 1 to 1048576\n"
              "  fix: write --set width=VALUE with a whole number from 1 to 1048576\n"
              "net.cpp:7: error[setting]: the setting 'width' is asked for twice, first at " +
                  settings.state().declared[1].where.file +
                  fmt::format(":{}\n", settings.state().declared[1].where.line) +
                  "  fix: keep its value in a variable\n");
}

}  // namespace
}  // namespace emulsion
