// The inference program's pictures of a network: filters, feature maps, occlusion, loss surface.
#pragma once
#include "runtime/infer/options.h"
#include "runtime/program/session.h"

namespace emulsion {

// Each writes PNGs, prints their paths, and returns the exit code. Throws RuntimeError.

// The filters [KH][KW] of the first convolution, in colour where it reads three channels. Each is
// scaled to its own least and greatest weight.
int write_filters(InferenceSession& session, const InferOptions& options);

// A sheet of the channels of each output (C, H, W) for each picture; each channel is scaled to its
// own least and greatest value.
int write_feature_maps(InferenceSession& session, const InferOptions& options);

// Occlusion (Zeiler and Fergus, 2014): a grey patch covers the picture place by place; where the
// score of the picture's class falls the most, it is red, where it rises, blue. A pixel has the
// mean over the places that cover it.
int write_occlusion(InferenceSession& session, const InferOptions& options);

// The loss around the trained weights along two random directions (Li and others, 2018): each
// filter of a direction has the length of the network's filter, biases and what else has one number
// a channel stay as they are, and so do running statistics. Beside the picture FILE.png there is
// FILE.csv, a point a line.
int write_loss_surface(InferenceSession& session, const InferOptions& options);

}  // namespace emulsion
