// What the units of a network see: the gradients of its outputs with respect to its picture, as a
// network for inference of its own, from which saliency pictures are made.
#pragma once

#include "compiler/graph/network.h"

namespace emulsion {

// The network in its inference form, but with other results. It reads the picture and, for each
// output NAME (K), or (C, H, W), that the picture reaches by ops with gradients, an input
// "NAME.seed" of the output's type: what each of its values counts. Of the sum of all values times
// what they count, it hands out the gradients with respect to the picture, of the picture's type:
// "gradient", "guided" and "deconvolution", one by each RectifierRule. Probabilities are left out,
// as the scores before them tell more. Its name is the network's with "-saliency" behind it. Throws
// Error[saliency] where the first input is of indices, or no such output depends on it.
Network input_gradients(const Network& network);

}  // namespace emulsion
