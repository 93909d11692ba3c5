// A tensor that was declared and never given a value, and nothing concatenated.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("empty");
    Tensor x = m.input("image", {8, 4, 4});
    Tensor y;
    Tensor z = x + y;
    Tensor none = x + concatenate({});
    m.classify(dense(flatten(y), 10));
    return compile(m, argc, argv);
}
