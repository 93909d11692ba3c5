// A convolutional deep belief network (Lee and others, Convolutional Deep Belief Networks for
// Scalable Unsupervised Learning of Hierarchical Representations, 2009), which learns from pictures
// of 28x28 layer by layer, without their labels.
//
// A restricted Boltzmann machine has visible units v, the picture, and hidden ones h, and gives
// every state of both a probability, e^-energy. Here the hidden units are maps, one for each
// filter, and of a block of 2x2 one unit at most is on: the block is the unit that the next layer
// sees. To learn is to make the pictures likely. The gradient of that has two parts: what h and v
// have in common where v is a picture, less what they have in common where the machine dreams. For
// the latter, contrastive divergence takes a dream of one step: draw h given the picture, take v
// given h. conv_rbm() writes both as one loss, whose value is how far that v is from the picture.
//
// 1. Train the first layer.
//
//     emulsion build deep_belief.cpp -o one
//     one/deep_belief-train --data fashion-mnist --epochs 3 --weights one.weights
//
// 2. Train the second on what the first one sees; that stays as it is.
//
//     emulsion build deep_belief.cpp -o two --set stage=2
//     two/deep_belief-train --data fashion-mnist --init one.weights --epochs 3
//
// What is it good for? A linear classifier reads the units of the layer that learns. stop_gradient
// keeps its labels from the machine, so the accuracy that the trainer shows is that of features
// which no label has touched.
//
// There are more hidden units than pixels, so filters may copy single pixels. Hence units begin
// rarely on, and a second loss draws the share of each map that is on to `sparsity`: few units must
// say much. Settings: stage, filters, sparsity (0: no such loss).
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const int stage = settings.integer("stage", 1, {.from = 1, .to = 2});
    const int filters = settings.integer("filters", 40);
    const double sparsity = settings.number("sparsity", 0.05, {.from = 0, .to = 1});

    Model m("deep_belief");
    const Tensor image = m.input("image", {1, 28, 28});
    ConvRbmOptions options = {.bias_init = Init::constant(-3)};
    options.name = "first";
    options.kernel = 9;
    ConvRbm layer = conv_rbm(image, filters, options);  // 10 x 10 blocks
    if (stage == 2) {
        m.freeze("first");
        options.name = "second";
        options.kernel = 5;
        layer = conv_rbm(layer.pooled, filters, options);  // 3 x 3 blocks
    }
    m.loss(layer.loss, {.name = "reconstruction"});
    if (sparsity > 0) {
        const Tensor share = mean(layer.hidden, {1, 2});
        m.loss(pow(share - sparsity, 2), {.weight = 10, .name = "sparsity"});
    }
    m.classify(dense(flatten(stop_gradient(layer.pooled)), 10));
    m.output("features", layer.pooled);
    m.output("reconstruction", layer.reconstruction);
    m.optimizer(adam({.learning_rate = 0.02}));
    return compile(m, settings);
}
