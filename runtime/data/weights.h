// A network's weights file: safetensors with logical names, shapes and order, and the facts that
// inference needs.
//
// Metadata: "format" ("emulsion-weights-1"), "network", "signature", "input" (JSON list C, H, W),
// "mean" and "deviation" (JSON lists, where the input is normalised) and "classes" (JSON list of
// names, where there are some).
#pragma once
#include <string>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/safetensors.h"

namespace emulsion {

// The bytes of the weights file. The tensors written are those of `info` that `names` lists too, in
// the order of `info`. The trainer passes the training library as `info` and the inference library
// as `names`, so that running statistics go into the file and the optimiser's state stays out; one
// library alone is passed as both.
Bytes encode_weights(const emulsion_info& info, const emulsion_memory& memory,
                     const emulsion_info& names);

// encode_weights to a file, atomically.
void save_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names);

// Reads the file into parameters and state of `info`'s memory: every tensor of `info` that `names`
// lists must be there with its type and shape, and nothing else. Checks everything, infinity and
// NaN included, before it writes anything. Refuses another network's file (by signature) and files
// that are cut, damaged or hostile; throws RuntimeError.
void load_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names);

}  // namespace emulsion
