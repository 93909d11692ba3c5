// What a network's numbers were made with and mean nothing without: the size of its input, the
// normalisation of its pictures, the names of its classes in their order.
//
// The signature of a graph holds none of them, so weights files and checkpoints carry them beside
// it, and a program that differs refuses the file.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/safetensors.h"

namespace emulsion {

// What the data of a training add to that, and inference must do alike.
struct DataFacts {
    std::vector<std::string> classes;  // that the data name, where the network names none
    std::string resize;                // see PictureRule; empty: no picture was resized
    double scale = 1.0;                // see Source

    bool operator==(const DataFacts&) const = default;
};

// "classes", where info names none, "resize" and "scale": what is not their default.
Metadata describe_data(const DataFacts& facts, const emulsion_info& info);

// The facts in a file's metadata; what is not there is the default. Throws RuntimeError naming
// `file` where an entry is not what describe_data writes.
DataFacts read_data_facts(const Metadata& found, const emulsion_info& info, std::string_view file);

// "input" (JSON list C, H, W), "mean" and "deviation" (JSON lists, where the input is normalised)
// and "classes" (JSON list of names, where there are some).
Metadata describe_origin(const emulsion_info& info);

// Throws RuntimeError naming both values where `found` says something else than `info`; other
// entries of it are not looked at, nor classes where `info` names none: those are the data's.
// `kind` is what the file is ("weights"), `file` its name.
void check_origin(const Metadata& found, const emulsion_info& info, std::string_view kind,
                  std::string_view file);

}  // namespace emulsion
