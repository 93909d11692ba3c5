// A graph convolutional network that classifies whole graphs, or parts of one: three convolutions
// over the neighbours of each vertex, and the mean of all vertices. With `--set vertices=true` each
// vertex is classified instead, which two convolutions are enough for. Settings: vertices, size
// (most vertices), edges (most edges), features, classes.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Settings settings(argc, argv);
    const bool of_vertices = settings.boolean("vertices", false);
    const int size = settings.integer("size", 32), edges = settings.integer("edges", 128);
    const int features = settings.integer("features", 7), classes = settings.integer("classes", 2);

    Model m("graph_classifier");
    Tensor x = m.input("features", {features, size});
    Tensor list = m.indices("edges", {2, edges});
    for (int i = 0; i < (of_vertices ? 1 : 3); i++) x = relu(graph_conv(x, list, 64));
    if (of_vertices)
        m.classify(graph_conv(dropout(x), list, classes));
    else
        m.classify(dense(dropout(flatten(mean(x, {1}))), classes));
    m.optimizer(adam({.learning_rate = 0.01, .weight_decay = 5e-4}));
    return compile(m, settings);
}
