// A model program that throws.
#include "dsl/emulsion.h"
using namespace emulsion;

int main() {
    Model m("throw");
    throw 1;
}
