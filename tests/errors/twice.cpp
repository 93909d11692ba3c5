// Settings that are set twice.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("twice");
    m.classify(dense(flatten(m.input("image", {1, 8, 8})), 2));
    m.optimizer(sgd());
    m.classes({"cat", "dog"});
    m.normalize({0}, {1});
    m.optimizer(adam());
    m.classes({"dog", "cat"});
    m.normalize({0.5}, {1});
    return compile(m, argc, argv);
}
