// Layers and losses against PyTorch: results, gradients and running statistics that
// tests/reference/pytorch.py has stored, in double precision on both sides.
#include <gtest/gtest.h>

#include "tests/reference/layer_cases.h"

namespace emulsion::test {
namespace {

TEST(PyTorch, LayersAndTheirGradients) {
    expect_stored_plainly(layer_cases(), read_stored("pytorch.txt"));
}

TEST(PyTorch, LossesAndTheirGradients) {
    expect_stored_plainly(loss_cases(), read_stored("pytorch.txt"));
}

TEST(PyTorch, EveryStoredCaseIsCompared) {
    for (const auto& [name, stored] : read_stored("pytorch.txt"))
        EXPECT_NE(layer_cases().contains(name), loss_cases().contains(name)) << name;
}

}  // namespace
}  // namespace emulsion::test
