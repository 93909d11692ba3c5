// A deviation that is no number.
#include <limits>

#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("numbers");
    m.classify(dense(flatten(m.input("image", {2, 8, 8})), 3));
    m.normalize({0, 0}, {1, std::numeric_limits<double>::quiet_NaN()});
    return compile(m, argc, argv);
}
