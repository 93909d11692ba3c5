// The word a user may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

// The word that the fewest insertions, deletions and replacements turn `word` into, the first of
// equals; empty where they outnumber half of the letters of `word`: then another word is meant.
std::string closest(std::string_view word, const std::vector<std::string_view>& words);

}  // namespace emulsion
