// Layers as they ship against PyTorch: many in one network, whose gradients and outputs are those
// that tests/reference/pytorch.py and unknown_layers.py have stored.
//
// EMULSION_LONG_TESTS=1 in the environment: all of them, in place of one of each kind.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "dsl/finish.h"
#include "tests/integration/guarded_support.h"
#include "tests/reference/layer_cases.h"
#include "tests/reference/unknown_layer_cases.h"

namespace emulsion::test {
namespace {

constexpr double kTolerance = 2e-5;  // kernels are exact, in 32 bits

// Those of the names, or all, less what normalises by its batch: there training and inference give
// different results.
WrittenCases selected(const WrittenCases& cases, const std::vector<std::string>& names) {
    WrittenCases some;
    const bool takes_all = std::getenv("EMULSION_LONG_TESTS") != nullptr;
    for (const auto& [name, each] : cases) {
        const bool is_named = std::find(names.begin(), names.end(), name) != names.end();
        if ((takes_all || is_named) && !name.starts_with("batch_norm")) some[name] = each;
    }
    return some;
}

GraphResults unpacked(const RawResults& results, const Graph& graph) {
    GraphResults tensors;
    for (const auto& [name, bytes] : results) {
        const size_t space = name.find(' ');
        const std::string kind = name.substr(0, space), of = name.substr(space + 1);
        if (kind == "update") continue;  // these compare gradients
        const Result* output = graph.find_output(of);
        if (kind == "output" && output == nullptr) continue;
        const TensorType& type =
            kind == "output" ? graph.type(output->value) : graph.type({graph.find(of), 0});
        tensors[name] = reference::unpack(type, kStoredSamples, bytes.data());
    }
    return tensors;
}

void check(const WrittenCases& written, const std::string& file) {
    Model m("stored");
    for (const auto& [name, each] : written) write_case(m, name, each);
    const Network network = finish(m).network.value();
    LibraryOptions options;
    options.batch = kStoredSamples;
    options.infer_batches = {kStoredSamples};
    options.exact = true;
    const BuiltLibraries built(network, options);
    const reference::Sources sources = stored_sources(network.graph);
    GuardedTrainer trainer(built.train(), 1, 1, Edge::back, sources);
    GraphResults results = unpacked(trainer.step(sources, kStoredSamples, 0.1f), network.graph);
    GuardedRunner runner(built.infer(), 1, 1, Edge::back, sources);
    results.merge(unpacked(runner.run(sources, kStoredSamples), network.graph));
    const std::map<std::string, StoredCase> stored = read_stored(file);
    for (const auto& [name, each] : written)
        expect_stored(name, stored.at(name), results, kTolerance);
}

TEST(StoredLayers, CompiledLayersComputeWhatPyTorchDoes) {
    check(selected(layer_cases(),
                   {"conv_strided_dilated", "conv_depthwise", "conv_transpose_groups",
                    "max_pool_up", "average_pool_counted", "group_norm", "local_response_norm",
                    "gelu", "conv_volume", "conv_line", "mel_bands", "pixel_shuffle",
                    "upsample_bilinear", "deform_conv_groups", "scatter_max"}),
          "pytorch.txt");
}

TEST(StoredLayers, CompiledUnknownLayersComputeWhatPyTorchDoes) {
    check(selected(unknown_layer_cases(), {"self_attention", "convnext"}), "unknown_layers.txt");
}

}  // namespace
}  // namespace emulsion::test
