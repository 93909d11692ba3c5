// Class names for a model that does not classify.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("regression");
    Tensor x = m.input("image", {3, 8, 8});
    m.mean_squared_error(dense(flatten(x), 2));
    m.classes({"left", "right"});
    return compile(m, argc, argv);
}
