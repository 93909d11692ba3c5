// Settings of a model file: numbers and words that the command line may change, so that one file
// describes a family of networks.
//
//     int main(int argc, char** argv) {
//         Settings settings(argc, argv);
//         const int depth = settings.integer("depth", 18, {.choices = {18, 34}});
//         Model m("resnet" + std::to_string(depth));
//         ...
//         return compile(m, settings);
//     }
//
//     emulsion build resnet.cpp --set depth=34        # in CMake: SET depth=34
//
// As everywhere in a model file nothing throws: a value that does not fit is recorded with the
// user's file and line, the default stands in for it, and compile() prints all mistakes.
#pragma once

#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace emulsion {

namespace internal {
struct SettingsState;
}  // namespace internal

struct IntegerRange {
    int from = 1, to = 1 << 20;
    std::vector<int> choices = {};  // where there are some: one of these alone
};

struct NumberRange {
    double from = -1e30, to = 1e30;
};

class Settings {
  public:
    // Reads `--set NAME=VALUE`, any number of them, from the arguments of the model program, which
    // need not outlive the settings.
    Settings(int argc, char** argv);
    Settings(const Settings&) = delete;
    Settings& operator=(const Settings&) = delete;

    // The value of `--set NAME=…`, else `value`. Both must be in the range. A name is one of
    // layers: a letter, then letters, digits, '_', '-' and '.'; each is asked for once.
    int integer(const std::string& name, int value, const IntegerRange& range = {},
                std::source_location where = std::source_location::current());
    double number(const std::string& name, double value, const NumberRange& range = {},
                  std::source_location where = std::source_location::current());
    // true or false.
    bool boolean(const std::string& name, bool value,
                 std::source_location where = std::source_location::current());
    // One of `choices`.
    std::string word(const std::string& name, const std::string& value,
                     const std::vector<std::string>& choices,
                     std::source_location where = std::source_location::current());

    // What compile() reads.
    internal::SettingsState& state() const { return *state_; }

  private:
    std::shared_ptr<internal::SettingsState> state_;
};

class Model;

// As compile(model, argc, argv), with the arguments of the settings. A `--set` that the model file
// asks for nowhere is refused.
int compile(const Model& model, const Settings& settings);

}  // namespace emulsion
