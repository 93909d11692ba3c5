// Expected texts in files. A test executable started with --update-golden writes them anew; a
// reviewer reads what moved. EMULSION_SOURCE_DIR in the environment names the folder that holds
// tests/, on machines where it lies elsewhere than where it was compiled.
#pragma once

#include <functional>
#include <string>

#include "compiler/graph/network.h"

namespace emulsion::test {

// Whether this process was asked to write expected texts instead of comparing with them.
bool updates_golden();

// The content of a file below tests/; fails the test where it is missing.
std::string read_test_file(const std::string& name);

// `text` equals the file below tests/.
void expect_golden(const std::string& name, const std::string& text);

// tests/golden/NAME.graph.txt
Network golden_network(const std::string& name);

// The networks of examples/networks/ whose kernels are measured, and the batch that
// examples/CMakeLists.txt compiles each for.
struct ExampleNetwork {
    const char* name;
    int batch;
};
inline constexpr ExampleNetwork kExampleNetworks[] = {
    {"mlp", 64},        {"lenet", 64},        {"resnet20", 128},   {"resnet18_cifar", 64},
    {"resnet18", 16},   {"resnet50", 16},     {"vgg16", 8},        {"squeezenet1_1", 16},
    {"densenet121", 8}, {"mobilenet_v1", 16}, {"mobilenet_v2", 16}};

// A file of cases, each "== TITLE", a graph, "-- after", and the text that `after` makes of the
// graph:
//
//     == relu at once
//     graph g { … }
//     -- after
//     graph g { … }
void expect_golden_cases(const std::string& name,
                         const std::function<std::string(const Graph&)>& after);

}  // namespace emulsion::test
