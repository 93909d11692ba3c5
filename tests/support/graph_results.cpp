// Random sources, results by name, and how far they differ.
#include "tests/support/graph_results.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "compiler/ops/sources.h"
#include "compiler/support/hash.h"

namespace emulsion::test {

namespace {

using reference::Tensor;

Tensor random_source(const Graph& graph, int index, int64_t samples, uint64_t seed,
                     int64_t classes) {
    const Node& node = graph.node(index);
    const TensorType& type = node.types[0];
    std::mt19937_64 random(seed * 1000003 + hash_bytes(node.name + to_string(type)));
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> positive(0.25, 0.75);
    bool is_state = graph.op_as<State>(index) != nullptr;
    Tensor tensor = reference::make_tensor(type, samples);
    for (double& value : tensor.values) {
        if (type.element != ElementType::f32) {
            value = static_cast<double>(random() % static_cast<uint64_t>(classes));
        } else {
            value = is_state ? positive(random) : normal(random);
        }
    }
    return reference::rounded(std::move(tensor));
}

}  // namespace

reference::Sources random_sources(const Graph& graph, int64_t samples, uint64_t seed,
                                  int64_t classes) {
    reference::Sources sources;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        bool given =
            graph.node(i).op->op_class() == OpClass::source && graph.op_as<Constant>(i) == nullptr;
        if (given) sources[graph.node(i).name] = random_source(graph, i, samples, seed, classes);
    }
    return sources;
}

GraphResults results_of(const Graph& graph, const reference::Sources& sources, int64_t samples,
                        const reference::Change& change) {
    reference::Values values = reference::evaluate(graph, sources, samples, change);
    GraphResults results;
    for (const Result& result : graph.results()) {
        std::string name = "output " + result.name;
        if (result.kind == Result::Kind::gradient)
            name = "gradient " + graph.node(result.target).name;
        if (result.kind == Result::Kind::update) name = "update " + graph.node(result.target).name;
        results[name] = values[static_cast<size_t>(result.value.node)]
                              [static_cast<size_t>(result.value.output)];
    }
    return results;
}

double relative_difference(const Tensor& actual, const Tensor& expected) {
    if (actual.values.size() != expected.values.size()) return INFINITY;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < expected.values.size(); i++) {
        difference += std::pow(actual.values[i] - expected.values[i], 2);
        norm += std::pow(expected.values[i], 2);
    }
    return std::sqrt(norm > 0 ? difference / norm : difference);
}

namespace {

double norm_of(const Tensor& tensor) {
    double norm = 0;
    for (double value : tensor.values) norm = std::hypot(norm, value);
    return norm;
}

}  // namespace

void expect_equal_results(const Graph& before, const Graph& after, int64_t samples,
                          double tolerance) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        reference::Sources sources = random_sources(before, samples, seed);
        for (auto& [name, tensor] : random_sources(after, samples, seed))
            sources.try_emplace(name, tensor);
        GraphResults expected = results_of(before, sources, samples),
                     actual = results_of(after, sources, samples);
        EXPECT_EQ(actual.size(), expected.size());
        double largest = 0;
        for (const auto& [name, tensor] : expected) largest = std::max(largest, norm_of(tensor));
        for (const auto& [name, tensor] : expected) {
            ASSERT_TRUE(actual.contains(name)) << name << " is lost";
            EXPECT_EQ(actual.at(name).type, tensor.type) << name;
            // Zero but for rounding: the gradient of a mean of normalised values.
            if (norm_of(tensor) < std::max(1e-9, 1e-12 * largest)) continue;
            EXPECT_LE(relative_difference(actual.at(name), tensor), tolerance)
                << name << ", seed " << seed;
        }
    }
}

}  // namespace emulsion::test
