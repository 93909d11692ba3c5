// Numbers that no kernel can compute with.
#include <limits>

#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    const double infinite = std::numeric_limits<double>::infinity();
    const double undefined = std::numeric_limits<double>::quiet_NaN();
    Model m("numbers");
    Tensor x = m.input("image", {2, 8, 8});
    conv(x, 4, {.init = Init::constant(undefined)});
    batch_norm(x, {.epsilon = undefined});
    batch_norm(x, {.epsilon = -2});
    scale(x, 1e300);
    leaky_relu(x, {.slope = infinite});
    dense(flatten(x), 3, {.init = Init::normal(infinite)});
    m.classify(dense(flatten(x), 3), {.weight = infinite});
    m.normalize({infinite, 0}, {1, 1});
    return compile(m, argc, argv);
}
