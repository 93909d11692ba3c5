// The options of both programs, as --help lists them: each stands in a test.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/fake_library.h"
#include "tests/support/paths.h"
#include "tests/support/run_program.h"

namespace emulsion {
namespace {

bool is_of_name(char c) { return c == '-' || (c >= 'a' && c <= 'z'); }

// "--idx" and "--images" of the line "  --idx,--images FILE   one file of pictures".
std::set<std::string> options_of(const std::string& help) {
    std::set<std::string> options;
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
        size_t place = line.find_first_not_of(' ');
        while (place < line.size() && line[place] == '-') {
            size_t end = place;
            while (end < line.size() && is_of_name(line[end])) end++;
            if (end - place > 2) options.insert(line.substr(place, end - place));
            place = line.find_first_not_of(", ", end);
        }
    }
    return options;
}

bool has_word(const std::string& text, const std::string& word) {
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        const bool begins = at == 0 || !is_of_name(text[at - 1]);
        if (begins && (end == text.size() || !is_of_name(text[end]))) return true;
    }
    return false;
}

// What the tests of the runtime and of the programs as they ship say.
std::vector<std::string> texts_of_tests() {
    std::vector<std::string> texts;
    for (const char* folder : {"tests/runtime", "tests/programs", "tests/integration"}) {
        for (const auto& file : std::filesystem::directory_iterator(source_path(folder))) {
            const std::string ending = file.path().extension();
            if (ending == ".cpp" || ending == ".sh" || ending == ".py" || ending.empty())
                texts.push_back(file.is_regular_file() ? read_text(file.path()) : "");
        }
    }
    return texts;
}

TEST(OptionsHelp, EveryOptionStandsInATest) {
    use_fake_network({});
    const std::vector<std::string> texts = texts_of_tests();
    for (const ProgramResult& help : {run_fake_train({"--help"}), run_fake_infer({"--help"})}) {
        const std::set<std::string> options = options_of(help.out);
        EXPECT_GT(options.size(), 30u) << help.out;
        for (const std::string& option : options) {
            bool is_tested = false;
            for (const std::string& text : texts) is_tested |= has_word(text, option);
            EXPECT_TRUE(is_tested) << option << " is in no test";
        }
    }
}

}  // namespace
}  // namespace emulsion
