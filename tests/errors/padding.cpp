// Padding as wide as the window: a window would hold no cell of the map.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("padding");
    Tensor x = m.input("image", {1, 2, 2});
    Tensor largest = max_pool(x, {.window = 2, .padding = 2});
    Tensor mean = average_pool(x, {.window = {2, 3}, .stride = 1, .padding = {0, 3}});
    Tensor window = max_pool(x, {.window = 3});
    Tensor negative = conv(x, 4, {.padding = -1});
    m.classify(dense(flatten(largest), 10));
    return compile(m, argc, argv);
}
