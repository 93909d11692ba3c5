// A network's weights file: safetensors with logical names, shapes and order, and the facts that
// inference needs.
//
// Metadata: "format" ("emulsion-weights-1"), "network", "signature", what the weights were made
// with ("input", "mean", "deviation", "classes", "resize", "scale": see origin.h, and
// "optimizer"), how far the training was ("epoch", "step") and what it had come to (the trainer's
// "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", where there are any),
// and "xxh64", the checksum of the data in 16 hexadecimal digits. The trainer writes all of them. A
// file without "xxh64", as one converted from elsewhere may be, is taken as it is: its shapes are
// checked and its values are finite, but damage goes unnoticed.
#pragma once
#include <string>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/origin.h"
#include "runtime/data/safetensors.h"

namespace emulsion {

// How far the training of the weights was.
struct TrainedFor {
    uint64_t epoch = 0, step = 0;  // done
    DataFacts data = {};
    Metadata metrics = {};  // name and number
};

// The tensors of `info` that `names` lists, too: those of a weights file, in its order.
std::vector<const emulsion_tensor*> weights_tensors(const emulsion_info& info,
                                                    const emulsion_info& names);

inline constexpr const char* kWeightsChecksumKey = "xxh64";  // in the metadata

// Writes the file atomically. The tensors written are those of `info` that `names` lists too, in
// the order of `info`. The trainer passes the training library as `info` and the inference library
// as `names`, so that running statistics go into the file and the optimiser's state stays out; one
// library alone is passed as both. Takes no copy of the weights.
void save_weights(const std::string& path, const emulsion_info& info, const emulsion_memory& memory,
                  const emulsion_info& names, const TrainedFor& trained);

// The bytes of that file.
uint64_t weights_file_bytes(const emulsion_info& info, const emulsion_info& names,
                            const TrainedFor& trained);

// Reads the file into parameters and state of `info`'s memory: every tensor of `info` that `names`
// lists must be there with its type and shape, and nothing else. Checks everything, checksum,
// infinity and NaN included, before it writes anything. Refuses another network's file (by
// signature), one made with another normalisation or other classes, and files that are cut, damaged
// or hostile; throws RuntimeError. Takes no copy of the weights: the data are read twice, and a
// file that another process changes meanwhile is refused with the memory written in part. Returns
// what the weights say of the data.
DataFacts load_weights(const std::string& path, const emulsion_info& info,
                       const emulsion_memory& memory, const emulsion_info& names);
DataFacts load_weights(const ByteSource& input, const emulsion_info& info,
                       const emulsion_memory& memory, const emulsion_info& names);

}  // namespace emulsion
