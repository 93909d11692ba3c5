// Garcia and Delakis's finder of faces, which tells pictures of 36x32 with a face from others by
// 951 weights: trained subsampling behind two small convolutions, the second one with maps that
// read one or two of the four before, and a unit for each map.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    const Init init = Init::lecun_uniform();
    Model m("face_finder");
    Tensor x = m.input("image", {1, 36, 32});  // channels, height, width
    x = tanh(subsample(conv(x, 4, {.kernel = 5, .init = init})));
    // Two maps of each map alone, then one of every pair.
    x = conv(x, 14,
             {.connections = {{0},
                              {0},
                              {1},
                              {1},
                              {2},
                              {2},
                              {3},
                              {3},
                              {0, 1},
                              {0, 2},
                              {0, 3},
                              {1, 2},
                              {1, 3},
                              {2, 3}},
              .init = init});
    x = tanh(subsample(x));
    // A unit reads the whole of its map, of 7x6.
    x = depthwise_conv(x, {.kernel = {7, 6}, .init = init, .activation = tanh});
    m.binary_cross_entropy(dense(flatten(x), 1, {.init = init}), {.target = "face"});
    m.optimizer(sgd({.learning_rate = 0.01, .momentum = 0.9}));
    m.normalize({0.5}, {0.5});
    return compile(m, argc, argv);
}
