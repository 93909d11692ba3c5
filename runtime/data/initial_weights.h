// Weights to begin a training with: those of a file that fit, by name. The file may be of another
// network, such as the same one with another head, or of another tool (foreign_names.h); F32
// safetensors.
#pragma once
#include <string>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/support/file.h"

namespace emulsion {

struct NamedShape {
    std::string name;
    std::vector<int64_t> shape;
};

// What became of the tensors of the network and of the file.
struct InitialWeights {
    std::string origin;                // whose names the file has; empty: the network's own
    std::vector<std::string> matched;  // the network's, which have taken the file's values
    // The network's and the file's where the shapes or the element types differ.
    struct Differing {
        NamedShape own, theirs;
        std::string type;  // of the file's
    };
    std::vector<Differing> differing;
    std::vector<NamedShape> missing;    // the network's that the file does not have
    std::vector<NamedShape> left_over;  // the file's that the network does not have
};

// Writes what fits to parameters and state of `info`'s memory; the rest stays as it is. Only
// tensors that `names` lists, too, take part: see save_weights. The names are those of the network,
// or of the rules by which more tensors fit. Throws RuntimeError, with the memory as it was, where
// no tensor fits, a value is NaN or infinite, the data differ from their checksum (where the file
// has one), or the file is cut, damaged or hostile.
InitialWeights load_initial_weights(const ByteSource& input, const emulsion_info& info,
                                    const emulsion_memory& memory, const emulsion_info& names);

}  // namespace emulsion
