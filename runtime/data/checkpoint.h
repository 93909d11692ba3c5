// Checkpoints: everything a training run needs to go on with the same bits, in one file.
//
// A run's folder holds `checkpoint` (this file), weights files and logs. The checkpoint has the
// parameters and the state (running statistics, optimiser, generator, step count) in the canonical
// memory layout, blocks of the trainer's own (averaged weights), the position, what the run was
// made with, and checksums of all of it. It is replaced atomically: after a crash at any byte the
// previous one loads.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/support/file.h"

namespace emulsion {

inline constexpr const char* kCheckpointName = "checkpoint";
inline constexpr const char* kWeightsName = "weights.safetensors";

// Where a run stands. `metrics` is the trainer's own text (JSON: history, sums of the epoch so
// far), kept as it is.
struct RunPosition {
    uint64_t epoch = 0, batch = 0;  // the next batch to train on
    uint64_t step = 0;              // steps done
    uint64_t seed = 0;              // of the loader
    std::string metrics;
};

// Writes FOLDER/checkpoint, atomically, and makes the folder where needed. `sizes` gives the length
// of the two blocks. Takes no copy of them. `obsolete` are files that must not stand beside the new
// checkpoint: they are removed once the disk holds all bytes, just before the checkpoint takes its
// name. `more` are the trainer's own blocks.
using Blocks = std::vector<std::span<uint8_t>>;
void save_checkpoint(const std::string& folder, const emulsion_info& info,
                     const emulsion_sizes& sizes, const emulsion_memory& memory,
                     const RunPosition& position, std::span<const std::string> obsolete = {},
                     const Blocks& more = {});

// The bytes of that file.
uint64_t checkpoint_file_bytes(const emulsion_info& info, const emulsion_sizes& sizes,
                               const RunPosition& position, const Blocks& more = {});

// Reads FOLDER/checkpoint (or the file itself, where the path is no folder) into parameters and
// state. Nothing is written before all checks have passed: format, checksums, network, signature,
// normalisation, classes, the whole line of the optimiser, sizes, step. Throws RuntimeError with
// both values. Takes no copy of the blocks: they are read twice, and a file that another process
// changes meanwhile is refused with the memory written in part. `more_of` is asked for the
// trainer's own blocks once the head is checked; null: there are none.
using MoreBlocks = std::function<Blocks(const RunPosition&)>;
RunPosition load_checkpoint(const std::string& folder, const emulsion_info& info,
                            const emulsion_sizes& sizes, const emulsion_memory& memory,
                            const MoreBlocks& more_of = nullptr);
RunPosition load_checkpoint(const ByteSource& input, const emulsion_info& info,
                            const emulsion_sizes& sizes, const emulsion_memory& memory,
                            const MoreBlocks& more_of = nullptr);

// What the file at `path` says of the position, without the blocks of memory, which are not
// checked.
RunPosition load_position(const std::string& path);

// Throws RuntimeError where no run of so many batches an epoch can be at the position; `where`
// names the checkpoint.
void check_position(const RunPosition& position, uint64_t batches, const std::string& where);

// Whether the folder holds a checkpoint.
bool has_checkpoint(const std::string& folder);

}  // namespace emulsion
