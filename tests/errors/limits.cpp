// Numbers at the end of 32 bits.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    constexpr int kLargest = 2147483647, kLeast = -2147483647 - 1;
    Model m("limits");
    Tensor x = m.input("image", {3, 8, 8});
    m.input("large", {kLargest, kLargest, kLargest});
    m.input("least", {kLeast});
    conv(x, kLargest);
    conv(x, kLeast);
    conv(x, 4, {.kernel = kLargest, .padding = same});
    conv(x, 4, {.stride = kLargest});
    conv(x, 4, {.dilation = {1, kLargest}});
    conv(x, 4, {.padding = kLargest});
    conv(x, 4, {.padding = kLeast});
    conv(x, 1048576, {.kernel = 32768, .padding = 32768});
    max_pool(x, {.window = kLargest});
    max_pool(x, {.window = 2, .stride = kLeast});
    average_pool(x, {.window = 2, .padding = kLargest});
    dense(flatten(x), kLargest);
    reshape(x, {int64_t{1} << 62, 4, 3});
    // The field of the last one ends at the limit.
    Tensor small = m.input("small", {1, 1, 1});
    for (int i = 0; i < 6; i++) small = conv(small, 1, {.kernel = 1, .stride = 32768});
    m.classify(dense(flatten(x), 10));
    return compile(m, argc, argv);
}
