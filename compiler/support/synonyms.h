// What is called otherwise elsewhere: in Keras, PyTorch, Caffe, ONNX, and in papers.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "compiler/support/closest.h"

namespace emulsion {

// One thing by all its names; lists are separated by blanks.
struct Synonyms {
    std::string_view names;   // here: as a function of dsl/emulsion.h, as an op of .emu files, …
    std::string_view others;  // elsewhere, in small letters and digits alone
    std::string_view remarked = {}, remark = {};  // one of the names, and how it is to be written
};

std::span<const Synonyms> synonyms(Vocabulary vocabulary);

// What is no word here, but made of others.
struct Composite {
    std::string_view others;   // as in Synonyms
    std::string_view written;  // with layers of dsl/emulsion.h; empty: there is nothing like it,
                               // and what is written alike is something else
};

std::span<const Composite> composites(Vocabulary vocabulary);

std::vector<std::string_view> words_of(std::string_view list);

}  // namespace emulsion
