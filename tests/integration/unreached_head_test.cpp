// Heads that the loss does not reach: their weights are part of both libraries and of the weights
// file, and inference computes with them.
#include <gtest/gtest.h>

#include <cstring>

#include "compiler/ops/sources.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/data/weights.h"
#include "tests/integration/integration_support.h"
#include "tests/reference/interpreter.h"

namespace emulsion::test {
namespace {

// A trunk with batch norm, a classifier on it, and two heads without a loss, one with a batch norm
// of its own.
Network network_with_heads() {
    Model m("heads");
    Tensor x = relu(batch_norm(conv(m.input("image", {3, 8, 8}), 6, {.padding = same})));
    Tensor y = dense(flatten(max_pool(x, {.window = 2})), 7, {.name = "aux"});
    m.output("aux", tanh(batch_norm(y, {.name = "aux_norm"})));
    m.output("map", conv(x, 5, {.kernel = 1, .name = "map"}));
    m.classify(dense(global_average_pool(x), 4));
    m.optimizer(sgd({.learning_rate = 0.1, .momentum = 0.9}));
    return finish(m).network.value();
}

// The tensors of a weights file in logical order, as values of the graph's sources.
reference::Sources sources_of_file(const std::string& path, const Graph& graph) {
    const ByteSource file(path, "weights file");
    const SafetensorsHeader header = read_safetensors(file);
    reference::Sources sources;
    for (const TensorEntry& entry : header.tensors) {
        std::vector<float> values((entry.end - entry.begin) / sizeof(float));
        file.read(header.data_begin + entry.begin,
                  {reinterpret_cast<uint8_t*>(values.data()), values.size() * sizeof(float)});
        const int node = graph.find(entry.name);
        if (node < 0) {
            ADD_FAILURE() << "the graph has no " << entry.name;
            continue;
        }
        sources[entry.name] =
            reference::make_tensor(graph.node(node).types[0], 1, {values.begin(), values.end()});
    }
    return sources;
}

TEST(UnreachedHeads, TrainAndInferWithTheSavedWeights) {
    constexpr int kSamples = 5;
    const Network network = network_with_heads();
    const BuiltLibraries built(network, {.batch = kSamples, .infer_batches = {kSamples}});
    Trainer trainer(built.train());
    const float first = trainer.tensor("conv1.w")[0], first_aux = trainer.tensor("aux.w")[0];
    EXPECT_NE(first_aux, 0);
    for (uint64_t step = 0; step < 4; step++) trainer.step(step, kSamples);
    EXPECT_NE(trainer.tensor("conv1.w")[0], first);
    EXPECT_EQ(trainer.tensor("aux.w")[0], first_aux);  // nothing moves what the loss does not reach

    TestFolder folder;
    const std::string path = folder / "weights.safetensors";
    save_weights(path, trainer.info, *trainer.memory.get(), *built.infer().info(), {});
    Runner runner(built.infer(), trainer);
    for (emulsion_class kept : {EMULSION_PARAMETERS, EMULSION_STATE})
        runner.memory.set(kept, std::vector<std::byte>(runner.memory.bytes(kept).size()));
    load_weights(path, runner.info, *runner.memory.get(), runner.info);
    ASSERT_EQ(runner.library.prepare(runner.memory.instance()), EMULSION_OK);
    runner.ports.fill(11, 4);
    runner.run(kSamples);

    const Graph& graph = network.graph;
    reference::Sources sources = sources_of_file(path, graph);
    for (const char* name : {"aux.w", "aux_norm.gamma", "aux_norm.running_variance", "map.b"})
        EXPECT_TRUE(sources.contains(name)) << name;
    const TensorType& image = graph.node(graph.find("image")).types[0];
    sources["image"] = reference::unpack(image, kSamples,
                                         reinterpret_cast<const std::byte*>(runner.ports.input(0)));
    for (size_t i = 0; i < graph.nodes().size(); i++) {  // labels, which inference does not read
        const Node& node = graph.nodes()[i];
        if (graph.op_as<Input>(static_cast<int>(i)) != nullptr && node.name != "image")
            sources[node.name] = reference::make_tensor(node.types[0], kSamples);
    }
    const reference::Values values = reference::evaluate(graph, sources, kSamples, infer_plainly);
    for (const char* name : {"aux", "map", "probabilities"}) {
        const Value value = graph.find_output(name)->value;
        const reference::Tensor& expected =
            values[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
        const reference::Tensor actual = reference::unpack(
            expected.type, kSamples, reinterpret_cast<const std::byte*>(runner.ports.output(name)));
        for (size_t i = 0; i < expected.values.size(); i++)
            ASSERT_NEAR(actual.values[i], expected.values[i], 1e-4) << name << " " << i;
    }
}

}  // namespace
}  // namespace emulsion::test
