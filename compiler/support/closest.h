// The word a user may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// What words are names of.
enum class Vocabulary { layers, options, commands };

// A word to write in place of another, empty where none is near.
struct Suggestion {
    std::string word;
    bool is_meant = false;    // it means the same; else it is merely written alike
    bool is_written = false;  // it is no word, but how a user writes the same with what there is
    std::string remark = {};  // how to write it: "with {groups=1}"
    // "'Conv2D' is called 'conv' here", "'Softmin' is written here as softmax(-x)", "the closest op
    // is 'conv2d'" (`what` is "op", or nothing), or empty.
    std::string to_string(std::string_view unknown, std::string_view what = "") const;
};

// Of the words that are known, the same one in other letters, else the first that means what `word`
// means to users of other tools (synonyms.h), else what is written in its place, else the closest.
Suggestion suggest(std::string_view word, const std::vector<std::string_view>& known,
                   Vocabulary vocabulary);

// The word that the fewest insertions, deletions and replacements turn `word` into, the first of
// equals; capitals, '_' and '-' do not count. Empty where they outnumber a third of the letters of
// `word`, or one and a quarter of them: then another word is meant.
std::string closest(std::string_view word, const std::vector<std::string_view>& words);

// Small letters and digits of the word alone.
std::string bare(std::string_view word);

}  // namespace emulsion
