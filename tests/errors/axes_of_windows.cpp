// Kernels, strides and paddings with other numbers than the map has axes of positions.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("windows");
    Tensor line = m.input("line", {2, 6});
    Tensor volume = m.input("volume", {1, 4, 6, 6});
    conv(line, 4, {.kernel = {1, 3}});
    conv(line, 4, {.kernel = 7});
    conv(line, 4, {.kernel = 3, .padding = {1, 1, 1, 1}});
    conv(volume, 4, {.kernel = {3, 3}});
    conv(volume, 4, {.kernel = 3, .padding = {1, 2}});
    conv(volume, 4, {.kernel = {3, 0, 3}});
    conv(line, 4, {.kernel = 3, .stride = 2, .strict = true});
    conv_transpose(volume, 4, {.stride = {2, 2, 1}, .output_padding = {1, 1, 1}});
    max_pool(line, {.window = {2, 2}});
    pad(line, {1, -1});
    crop(volume, {1, 2, 3});
    upsample(volume, {.factor = {2, 3}});
    Tensor x = max_pool(line, {.window = 9});
    m.classify(dense(flatten(x), 2));
    return compile(m, argc, argv);
}
