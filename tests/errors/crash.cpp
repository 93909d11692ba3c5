// A model program that crashes.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("crash");
    *reinterpret_cast<volatile int*>(argc - 2) = argv[0][0];
    return compile(m, argc, argv);
}
