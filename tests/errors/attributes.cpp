// Numbers out of range.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("numbers");
    Tensor x = m.input("image", {3, 8, 8});
    Tensor flat = m.input("flat", {0});
    conv(x, 0);
    conv(x, 4, {.kernel = {3, 0}});
    conv(x, 4, {.stride = 0});
    conv(x, 4, {.dilation = 0});
    max_pool(x, {.window = 2, .stride = {1, 0}});
    dense(flatten(x), -10);
    dropout(x, {.rate = 1});
    batch_norm(x, {.momentum = 2});
    conv(x, 6, {.groups = 2});
    conv(x, 4, {.groups = 3});
    conv(x, 6, {.groups = 0});
    depthwise_conv(x, {.multiplier = 0});
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
