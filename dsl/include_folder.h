// Where the headers are that a model file includes.
#pragma once

#include <filesystem>

namespace emulsion {

// The folder from which "dsl/emulsion.h" and "compiler/ops/conv2d.h" are included: beside an
// installed library, else that of the build's sources.
std::filesystem::path include_folder();

}  // namespace emulsion
