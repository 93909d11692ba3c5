// The gradient of every tensor of a whole network, from the very library that ships, against the
// double-precision reference of the unoptimised training step at the same weights. The reference
// trains on its own, its weights rounded to single precision after each step, and hands them to the
// library before the steps that are compared.
//
// EMULSION_LONG_TESTS=1 in the environment: batch 64, steps 1, 10 and 20, and the network with ReLU
// too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>

#include "compiler/autodiff/training_step.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/sources.h"
#include "compiler/recipe/choices.h"
#include "tests/integration/integration_support.h"
#include "tests/reference/interpreter.h"
#include "tests/support/golden.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

bool is_long() { return std::getenv("EMULSION_LONG_TESTS") != nullptr; }

constexpr double kRate = 0.1;
// Bounds of the difference over the norm: of each tensor where everything is smooth (single
// precision of another framework reaches 7e-6), and of all tensors together where ReLU may decide
// otherwise.
struct Limits {
    bool exact;
    double smooth, kinks;
};
constexpr Limits kExact = {true, 2e-5, 1e-2};
constexpr Limits kWinograd = {false, 1e-4, 3e-2};
constexpr Limits kDevice = {false, 1e-4, 3e-2};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (size_t at = text.find(what); at != std::string::npos;
         at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
    return text;
}

// With tanh in the place of ReLU: no kinks.
Network smooth(const std::string& text) {
    return parse_network(replaced(text, "= relu(", "= tanh("), "smooth");
}

// resnet20, smooth if asked.
Network deep_network(bool is_smooth) {
    const std::string text = replaced(read_test_file("golden/resnet20.graph.txt"), "resnet20",
                                      is_smooth ? "tanh20" : "relu20");
    return is_smooth ? smooth(text) : parse_network(text, "resnet20.graph.txt");
}

// ---- The reference ----

class ReferenceTraining {
  public:
    // Starts from the library's initial weights and state.
    ReferenceTraining(const Graph& graph, const Trainer& trainer, int samples)
        : graph_(graph), samples_(samples) {
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            const Node& node = graph.node(i);
            if (graph.op_as<Scalar>(i) != nullptr) {
                sources[node.name] = reference::make_tensor(node.types[0], 1, {kRate});
            } else if (graph.op_as<Parameter>(i) != nullptr || graph.op_as<State>(i) != nullptr) {
                sources[node.name] = reference::unpack(node.types[0], 1, trainer.tensor(node.name));
            }
        }
    }
    // Random pictures and labels of a step.
    void draw(uint64_t seed, int classes) {
        std::mt19937_64 random(seed);
        std::normal_distribution<double> normal;
        for (const Node& node : graph_.nodes()) {
            if (node.op->kind() != "input") continue;
            reference::Tensor tensor = reference::make_tensor(node.types[0], samples_);
            for (double& value : tensor.values) {
                const bool is_label = node.types[0].element == ElementType::i32;
                value = is_label ? static_cast<double>(random() % static_cast<uint64_t>(classes))
                                 : normal(random);
            }
            sources[node.name] = reference::rounded(std::move(tensor));
        }
    }
    GraphResults results(const Graph& graph) const { return results_of(graph, sources, samples_); }
    // Takes the updates, in single precision: the library can then have the same weights.
    void update(const GraphResults& results) {
        for (auto& [name, tensor] : sources) {
            auto found = results.find("update " + name);
            if (found != results.end()) tensor = reference::rounded(found->second);
        }
    }
    reference::Sources sources;

  private:
    const Graph& graph_;
    int samples_;
};

// ---- Comparison ----

using Gradients = std::map<std::string, reference::Tensor>;  // by parameter

// The library's gradients at the reference's weights, state and data.
Gradients library_gradients(const Graph& graph, const ReferenceTraining& training, Trainer& trainer,
                            int samples) {
    int input = 0;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        if (node.op->op_class() != OpClass::source || graph.op_as<Scalar>(i) != nullptr ||
            graph.op_as<Constant>(i) != nullptr) {
            continue;
        }
        const std::vector<std::byte> bytes = reference::pack(training.sources.at(node.name));
        void* to = graph.op_as<Input>(i) != nullptr
                       ? static_cast<void*>(trainer.ports.input(input++))
                       : static_cast<void*>(trainer.tensor(node.name));
        std::memcpy(to, bytes.data(), bytes.size());
    }
    for (int which : {EMULSION_PARAMETERS, EMULSION_STATE})
        EXPECT_EQ(trainer.library.upload(trainer.instance(), which), EMULSION_OK);
    EXPECT_EQ(trainer.library.forward_backward(trainer.instance(), trainer.ports.call(samples)),
              EMULSION_OK)
        << trainer.library.error(trainer.instance());
    trainer.download();
    Gradients gradients;
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::gradient) continue;
        const Node& node = graph.node(result.target);
        gradients[node.name] =
            reference::unpack(node.types[0], 1, trainer.tensor("gradient " + node.name));
    }
    return gradients;
}

struct Difference {
    double worst = 0;  // norm of the difference over norm, of one tensor
    std::string worst_name;
    double together = 0;  // of all tensors as one
};

Difference compare(const Gradients& gradients, const GraphResults& expected) {
    Difference difference;
    double total = 0, norm = 0;
    for (const auto& [name, tensor] : gradients) {
        const reference::Tensor& right = expected.at("gradient " + name);
        double here = 0, here_norm = 0;
        for (size_t i = 0; i < right.values.size(); i++) {
            here += std::pow(tensor.values[i] - right.values[i], 2);
            here_norm += std::pow(right.values[i], 2);
        }
        total += here;
        norm += here_norm;
        const double relative = std::sqrt(here / here_norm);
        if (!(relative <= difference.worst)) difference = {relative, name, 0};
    }
    difference.together = std::sqrt(total / norm);
    return difference;
}

// ---- Planted faults ----

// The graph with the results of one node multiplied by `factor`.
Graph with_fault(const Graph& graph, int faulty, double factor) {
    GraphBuilder builder(graph.name());
    std::map<Value, Value> values;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        Node node = graph.node(i);
        for (Value& input : node.inputs) input = values.at(input);
        const std::vector<TensorType> types = node.types;
        Value first = builder.add_typed(std::move(node));
        for (int k = 0; k < static_cast<int>(types.size()); k++) {
            Value value{first.node, k};
            if (i == faulty) {
                auto scale = std::make_shared<Scale>();
                scale->factor = factor;
                value = builder.add(scale, {value}, fmt::format("fault.{}", k));
            }
            values[{i, k}] = value;
        }
    }
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output)
            builder.output(result.name, values.at(result.value));
        if (result.kind == Result::Kind::gradient) {
            builder.gradient(values.at({result.target, 0}).node, values.at(result.value));
        }
    }
    return builder.build();
}

// The nodes of this kind, in order.
std::vector<int> nodes_of(const Graph& graph, std::string_view kind) {
    std::vector<int> nodes;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (graph.node(i).op->kind() == kind) nodes.push_back(i);
    }
    return nodes;
}

void expect_faults_are_seen(const Graph& graph, const ReferenceTraining& training,
                            const Gradients& gradients, double limit) {
    const std::vector<int> norms = nodes_of(graph, "batch_norm_backward");
    const std::vector<int> filters = nodes_of(graph, "conv2d_backward_filter");
    ASSERT_GE(norms.size(), 5u);
    ASSERT_GE(filters.size(), 5u);
    const struct {
        int node;
        double factor;
    } faults[] = {
        {norms[norms.size() / 2], 0.0}, {filters[filters.size() / 2], -1.0}, {filters[2], 1.1}};
    for (const auto& fault : faults) {
        const GraphResults wrong = training.results(with_fault(graph, fault.node, fault.factor));
        EXPECT_GT(compare(gradients, wrong).worst, limit)
            << graph.node(fault.node).name << " times " << fault.factor << " is not seen";
    }
}

size_t trained_parameters(const Graph& graph) {
    size_t count = 0;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const auto* parameter = graph.op_as<Parameter>(i);
        count += parameter != nullptr && parameter->trained ? 1 : 0;
    }
    return count;
}

// On the first device of an interface where one is named.
void check_network(const Network& network, int batch, const std::set<int>& steps, bool is_smooth,
                   const Limits& limits, const char* interface = nullptr) {
    const Graph graph = training_step(network);
    const int classes =
        static_cast<int>(graph.type(network.graph.find_output("scores")->value).shape[0]);
    LibraryOptions options{.batch = batch, .exact = limits.exact};
    if (interface != nullptr) options.devices = {interface};
    const BuiltLibraries built(network, options);
    emulsion_device_description description;
    if (interface != nullptr && built.train().device(0, &description) != EMULSION_OK)
        GTEST_SKIP() << description.problem;
    Trainer trainer(built.train(), 2, 0, 7, interface);
    ReferenceTraining training(graph, trainer, batch);
    for (int step = 1; step <= *steps.rbegin(); step++) {
        training.draw(static_cast<uint64_t>(step), classes);
        const GraphResults expected = training.results(graph);
        if (steps.contains(step)) {
            const Gradients gradients = library_gradients(graph, training, trainer, batch);
            ASSERT_EQ(gradients.size(), trained_parameters(network.graph));
            const Difference difference = compare(gradients, expected);
            std::cout << fmt::format("step {}: worst tensor {:.2g} ({}), all together {:.2g}\n",
                                     step, difference.worst, difference.worst_name,
                                     difference.together);
            if (is_smooth) {
                EXPECT_LT(difference.worst, limits.smooth)
                    << difference.worst_name << " before step " << step;
            }
            EXPECT_LT(difference.together, is_smooth ? limits.smooth : limits.kinks)
                << "before step " << step;
            const double loss = expected.at("output loss").values[0];
            EXPECT_NEAR(trainer.loss(), loss, 1e-4 * std::max(1.0, loss));
            if (is_smooth && step == 1)
                expect_faults_are_seen(graph, training, gradients, limits.smooth);
        }
        training.update(expected);
    }
}

// The whole of it where EMULSION_LONG_TESTS is set, else fewer samples and steps.
void check_deep_network(bool is_smooth, const Limits& limits) {
    const std::set<int> steps = is_long() ? std::set<int>{1, 10, 20} : std::set<int>{1, 3};
    check_network(deep_network(is_smooth), is_long() ? 64 : 8, steps, is_smooth, limits);
}

TEST(NetworkGradient, OfResnet20WithTanh) { check_deep_network(/*is_smooth=*/true, kExact); }
TEST(NetworkGradient, OfResnet20WithTanhByWinograd) {
    check_deep_network(/*is_smooth=*/true, kWinograd);
}
TEST(NetworkGradient, OfResnet20WithRelu) {
    if (!is_long()) GTEST_SKIP() << "EMULSION_LONG_TESTS is not set";
    check_deep_network(/*is_smooth=*/false, kExact);
    check_deep_network(/*is_smooth=*/false, kWinograd);
}
TEST(NetworkGradient, OfASmallResidualNetworkWithRelu) {
    check_network(residual_network(), 8, {1, 3}, false, kExact);
}
TEST(NetworkGradient, OfLenet) {
    check_network(golden_network("lenet"), 4, {1, 2}, false, kExact);
    check_network(golden_network("lenet"), 4, {1, 2}, false, kWinograd);
}

// Through every kernel that a step has on a device.
TEST(NetworkGradient, OfASmallResidualNetworkOnADevice) {
    const Network network = smooth(print(residual_network()));
    check_network(network, 8, {1, 3}, true, kDevice, "opencl");
}
TEST(NetworkGradient, OfNetworksOnDevices) {
    if (!is_long()) GTEST_SKIP() << "EMULSION_LONG_TESTS is not set";
    for (const char* interface : {"opencl", "vulkan"})
        check_network(golden_network("lenet"), 4, {1, 2}, false, kDevice, interface);
    check_network(deep_network(true), 8, {1, 3}, true, kDevice, "opencl");
}

// Each pixel times one number for all its channels: the mean over channels through a convolution
// and a sigmoid.
Network spatial_attention() {
    return parse_network(R"(network attention
optimizer sgd {learning_rate=0.1}
schedule constant
graph attention {
  %image = input() : f32[n,5,6,7]
  %a.w = parameter() {init="he", fan_in=5} : f32[20,5,1,1]
  %a = conv2d(%image, %a.w) : f32[n,20,6,7]
  %mean = reduce_axes(%a) {axes=[0], mean=true} : f32[n,1,6,7]
  %b.w = parameter() {init="he", fan_in=9} : f32[1,1,3,3]
  %b = conv2d(%mean, %b.w) {padding=[1,1,1,1]} : f32[n,1,6,7]
  %mask = sigmoid(%b) : f32[n,1,6,7]
  %masked = multiply(%a, %mask) : f32[n,20,6,7]
  %flat = flatten(%masked) : f32[n,840]{20,6,7}
  %c.w = parameter() {init="he", fan_in=840} : f32[4,840]{20,6,7}
  %scores = dense(%flat, %c.w) : f32[n,4]
  %label = input() : i32[n]
  %cross = softmax_cross_entropy(%scores, %label) : f32[n], f32[n]
  %loss = reduce(%cross:0) {mean=true} : f32[]
  output "loss" %loss
  output "scores" %scores
}
)",
                         "attention.emu");
}

TEST(NetworkGradient, OfRepeatedMapsAndSumsOverChannels) {
    check_network(spatial_attention(), 4, {1, 2}, false, {true, 0, 2e-5});
}

// A strided convolution and its adjoint, which brings the map back to its size.
Network hourglass() {
    return parse_network(R"(network hourglass
optimizer sgd {learning_rate=0.1}
schedule constant
graph hourglass {
  %image = input() : f32[n,3,7,6]
  %down.w = parameter() {init="he", fan_in=27} : f32[18,3,3,3]
  %down = conv2d(%image, %down.w) {stride=[2,2], padding=[1,1,1,1]} : f32[n,18,4,3]
  %middle = tanh(%down) : f32[n,18,4,3]
  %up.w = parameter() {init="he", fan_in=72} : f32[18,5,3,3]
  %up = conv2d_backward_data(%middle, %up.w) {stride=[2,2], padding=[1,1,1,1], input=[7,6]} : f32[n,5,7,6]
  %wide = tanh(%up) : f32[n,5,7,6]
  %same.w = parameter() {init="he", fan_in=45} : f32[5,4,3,3]
  %same = conv2d_backward_data(%wide, %same.w) {padding=[1,1,1,1], input=[7,6]} : f32[n,4,7,6]
  %flat = flatten(%same) : f32[n,168]{4,7,6}
  %c.w = parameter() {init="he", fan_in=168} : f32[4,168]{4,7,6}
  %scores = dense(%flat, %c.w) : f32[n,4]
  %label = input() : i32[n]
  %cross = softmax_cross_entropy(%scores, %label) : f32[n], f32[n]
  %loss = reduce(%cross:0) {mean=true} : f32[]
  output "loss" %loss
  output "scores" %scores
}
)",
                         "hourglass.emu");
}

TEST(NetworkGradient, OfTransposedConvolutions) {
    check_network(hourglass(), 4, {1, 2}, false, {true, 0, 2e-5});
}

TEST(NetworkGradient, OfConvolutionsInGroupsOfBlocks) {
    const Network network = parse_network(read_test_file("plan/grouped.emu"), "grouped.emu");
    check_network(network, 4, {1, 2}, false, {true, 0, 2e-5});
}

// Concatenations in a chain, of odd numbers of channels: the gradients of the chain are one map.
Network dense_block() {
    return parse_network(read_test_file("plan/dense_block.emu"), "dense_block.emu");
}

TEST(NetworkGradient, OfConcatenationsInAChain) {
    check_network(dense_block(), 4, {1, 2}, false, {true, 0, 2e-5});
}

// Every pixel is classified, all but those of class 1, and the means of the maps by three more
// losses.
Network pixels() {
    return parse_network(R"(network pixels
optimizer sgd {learning_rate=0.1}
schedule constant
graph pixels {
  %image = input() : f32[n,3,6,7]
  %a.w = parameter() {init="he", fan_in=27} : f32[18,3,3,3]
  %a = conv2d(%image, %a.w) {padding=[1,1,1,1]} : f32[n,18,6,7]
  %bent = tanh(%a) : f32[n,18,6,7]
  %b.w = parameter() {init="he", fan_in=18} : f32[4,18,1,1]
  %scores = conv2d(%bent, %b.w) : f32[n,4,6,7]
  %mask = input() : i32[n,1,6,7]
  %cross = softmax_cross_entropy(%scores, %mask) {label_smoothing=0.1, class_weights=[1,2,0.5,3],
    ignored=[1]} : f32[n,1,6,7], f32[n,1,6,7]
  %sum = reduce(%cross:0) : f32[]
  %weights = label_weight(%mask) {class_weights=[1,2,0.5,3], ignored=[1]} : f32[n,1,6,7]
  %weight = reduce(%weights) : f32[]
  %mean = weighted_mean(%sum, %weight) : f32[]
  %means = reduce(%scores) {keep_samples=true, keep_channels=true, mean=true} : f32[n,4]
  %box = input() : f32[n,4]
  %smooth.each = huber(%means, %box) {delta=0.5} : f32[n,4]
  %smooth = reduce(%smooth.each) {mean=true} : f32[]
  %binary.each = binary_cross_entropy(%means, %box) {positive_weight=2} : f32[n,4]
  %binary = reduce(%binary.each) {mean=true} : f32[]
  %logarithms = log_softmax(%scores) : f32[n,4,6,7]
  %likely = reduce(%logarithms) {mean=true} : f32[]
  %less = scale(%likely) {factor=-0.01} : f32[]
  %two = add(%smooth, %binary) : f32[]
  %three = add(%two, %less) : f32[]
  %loss = add(%mean, %three) : f32[]
  output "loss" %loss
  output "scores" %scores
}
)",
                         "pixels.emu");
}

TEST(NetworkGradient, OfClassifiedPixels) {
    check_network(pixels(), 4, {1, 2}, false, {true, 0, 2e-5});
}

// Has records that copy all slices.
class CopiedSlices : public ChoiceSource {
  public:
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa&,
                                       int) const override {
        const bool is_slice = node.find(" slice(") != std::string::npos;
        if (!is_slice || decision != Decision::fusion) return std::nullopt;
        return RecordedChoice{"pass", "a test"};
    }
};

// Where the gradients of a chain lie does not change them.
TEST(NetworkGradient, HasTheBitsOfCopiedSlices) {
    const Network network = dense_block();
    const Graph graph = training_step(network);
    const CopiedSlices copied;
    std::vector<Gradients> found;
    for (const ChoiceSource* choices :
         {static_cast<const ChoiceSource*>(nullptr), static_cast<const ChoiceSource*>(&copied)}) {
        const BuiltLibraries built(network, {.batch = 4, .choices = choices});
        Trainer trainer(built.train(), 2);
        ReferenceTraining training(graph, trainer, 4);
        training.draw(1, 4);
        found.push_back(library_gradients(graph, training, trainer, 4));
    }
    EXPECT_EQ(found[0].size(), 5u);
    for (const auto& [name, gradient] : found[0])
        EXPECT_EQ(gradient.values, found[1].at(name).values) << name;
}

// The reference's own gradient is the derivative of its loss: central differences along random
// directions.
TEST(NetworkGradient, OfTheReferenceIsTheDerivativeOfItsLoss) {
    const Network network = residual_network();
    const BuiltLibraries built(network, {.batch = 4});
    const Trainer trainer(built.train());
    const Graph graph = training_step(network);
    ReferenceTraining training(graph, trainer, 4);
    training.draw(1, 7);
    const GraphResults results = training.results(graph);
    std::mt19937_64 random(5);
    std::normal_distribution<double> normal;
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::gradient) continue;
        const std::string& name = graph.node(result.target).name;
        const reference::Tensor& gradient = results.at("gradient " + name);
        reference::Tensor& weights = training.sources.at(name);
        const reference::Tensor at = weights;
        std::vector<double> direction(at.values.size());
        for (double& value : direction)
            value = normal(random) / std::sqrt(static_cast<double>(direction.size()));
        constexpr double kStep = 1e-5;
        double slope = 0, expected = 0, norm = 0;
        for (double sign : {1.0, -1.0}) {
            for (size_t i = 0; i < direction.size(); i++)
                weights.values[i] = at.values[i] + sign * kStep * direction[i];
            slope +=
                sign * training.results(network.graph).at("output loss").values[0] / (2 * kStep);
        }
        weights = at;
        for (size_t i = 0; i < direction.size(); i++) {
            expected += direction[i] * gradient.values[i];
            norm += gradient.values[i] * gradient.values[i];
        }
        EXPECT_NEAR(slope, expected, 1e-3 * std::sqrt(norm)) << name;
    }
}

}  // namespace
}  // namespace emulsion::test
