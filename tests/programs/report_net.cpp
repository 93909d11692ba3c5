// A small network whose classes are called what a page must not take for its own.
#include "dsl/emulsion.h"
using namespace emulsion;

int main(int argc, char** argv) {
    Model m("report");
    Tensor x = m.input("image", {1, 12, 12});
    x = max_pool(relu(conv(x, 8, {.padding = same})), {.window = 2});
    m.classify(dense(flatten(x), 5));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    m.classes({"<script>document.title = 'taken'</script>", "\"><img src=x onerror=alert(1)>",
               "a & b &amp; c", "it's", "Straße"});
    return compile(m, argc, argv);
}
