// The inference program's pictures of single units of a network: what in a picture speaks for its
// class, and what a channel of a map looks for.
#pragma once
#include "runtime/infer/options.h"
#include "runtime/program/session.h"

namespace emulsion {

// Both write PNGs, print their paths, and return the exit code; `saliency` as in UnitGradients.
// Throw UsageError and RuntimeError.

// For each picture the gradient of the score of its class (Simonyan and others, "Deep inside
// convolutional networks", 2014): by the rule `gradient` the largest size over the channels, white;
// by the others the values themselves, grey where they are 0. Scores are taken before a softmax.
int write_saliency(InferenceSession& session, const InferOptions& options,
                   const emulsion_infer_library* saliency);

// For each output (C, H, W) a sheet with a tile for each channel: above the parts of the pictures
// that excite it most, one of a picture and the strongest one first, below the gradient of the unit
// that each excites (Zeiler and Fergus, 2014). A part is as large as what the map's units see: the
// smallest rectangle outside which the gradient is 0. Black: nothing excites the channel.
int write_strongest(InferenceSession& session, const InferOptions& options,
                    const emulsion_infer_library* saliency);

}  // namespace emulsion
