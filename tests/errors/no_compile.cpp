// A model program that describes a model and compiles nothing.
#include "dsl/emulsion.h"
using namespace emulsion;

int main() {
    Model m("nothing");
    m.classify(dense(flatten(m.input("image", {1, 8, 8})), 2));
    return 0;
}
