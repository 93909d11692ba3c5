// What a network's numbers were made with and mean nothing without: the size of its input, the
// normalisation of its pictures, the names of its classes in their order.
//
// The signature of a graph holds none of them, so weights files and checkpoints carry them beside
// it, and a program that differs refuses the file.
#pragma once
#include <string_view>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/safetensors.h"

namespace emulsion {

// "input" (JSON list C, H, W), "mean" and "deviation" (JSON lists, where the input is normalised)
// and "classes" (JSON list of names, where there are some).
Metadata describe_origin(const emulsion_info& info);

// Throws RuntimeError naming both values where `found` says something else than `info`; other
// entries of it are not looked at. `kind` is what the file is ("weights"), `file` its name.
void check_origin(const Metadata& found, const emulsion_info& info, std::string_view kind,
                  std::string_view file);

}  // namespace emulsion
