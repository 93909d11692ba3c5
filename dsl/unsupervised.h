// Learning without labels: restricted Boltzmann machines of maps, which learn what pictures are
// made of, and what their gradients need. dsl/emulsion.h includes this file; its lesson is
// examples/networks/deep_belief.cpp.
#pragma once

#include "dsl/emulsion.h"

namespace emulsion {

// x itself, through which no gradient flows back.
Tensor stop_gradient(const Tensor& x, const LayerOptions& options = {},
                     Place where = Place::current());

// What the visible units are: of probabilities 0 to 1, or normal with deviation 1 around a mean.
enum class Visible { binary, gaussian };

struct ConvRbmOptions {
    Size kernel = 3;
    Padding padding = valid;
    int pool =
        2;  // cells of a block along each axis, of which one unit at most is on; 1: no blocks
    Visible visible = Visible::binary;
    int steps = 1;  // of Gibbs sampling behind the data: k of CD-k
    Init init = Init::normal(0.01);
    Init bias_init = Init::zeros();  // of the hidden units
    std::string name = {};
};

// A convolutional restricted Boltzmann machine with probabilistic max-pooling (Lee, Grosse,
// Ranganath, Ng, Convolutional Deep Belief Networks for Scalable Unsupervised Learning of
// Hierarchical Representations, 2009). With the filters NAME.w (filters, C, KH, KW), the biases
// NAME.b (filters) of the hidden and NAME.c (C) of the visible units, and v the map x,
//
//     I(v) = conv(v, w) + b
//     hidden   P(h = 1 | v) = e^I / (1 + sum over its block of e^I)
//     pooled   P(a unit of the block is on | v), the sum of these
//     v'     = mean of v given h: conv_transpose(h, w) + c, of binary units its sigmoid
//     F(v)   = -sum of log(1 + sum over a block of e^I) - sum of c v, or + sum of (v - c)^2 / 2
struct ConvRbm {
    Tensor pooled;          // (filters, H' / pool, W' / pool): what the next layer reads
    Tensor hidden;          // (filters, H', W')
    Tensor reconstruction;  // the shape of x: v' where each h is its probability
    // A number for each sample, for Model::loss(): its value is the mean of (v - v1)^2, with v1
    // behind one step of sampling; its gradient with respect to w, b and c that of contrastive
    // divergence, of (F(v) - F(vk)) / (H' W'), vk behind k steps. A step draws each h from P(h |
    // v), at most one of a block, and takes v'.
    Tensor loss;
};

// H' and W' are those of conv(); `pool` divides them. Random numbers are drawn as dropout's are:
// the same for any number of threads, others in each step. Inference draws none.
ConvRbm conv_rbm(const Tensor& x, int filters, const ConvRbmOptions& options = {},
                 Place where = Place::current());

}  // namespace emulsion
