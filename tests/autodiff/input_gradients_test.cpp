// What units see: gradients with respect to the picture against central differences, and the two
// rules for rectifiers against plain loops, all in double precision; whole messages.
#include "compiler/autodiff/input_gradients.h"

#include <gtest/gtest.h>

#include <functional>

#include "compiler/graph/text.h"
#include "compiler/passes/inference_form.h"
#include "tests/support/graph_results.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

using reference::Tensor;

Network network_of(const std::string& text) {
    Network network;
    network.graph = parse_graph(text, "net.emu");
    network.name = network.graph.name();
    verify(network.graph);
    return network;
}

// Two heads, a batch norm, windows that overlap, and ops of training alone.
const char* const kTwoHeads = R"(graph net {
  %x = input() : f32[n,2,7,5]
  %label = input() : i32[n]
  %seed_low = scalar() {name="seed_low"} : i32[]
  %seed_high = scalar() {name="seed_high"} : i32[]
  %step_low = scalar() {name="step_low"} : i32[]
  %step_high = scalar() {name="step_high"} : i32[]
  %a.w = parameter() : f32[3,2,3,3]
  %gamma = parameter() : f32[3]
  %beta = parameter() : f32[3]
  %mean = state() : f32[3]
  %variance = state() {value=1} : f32[3]
  %b.w = parameter() : f32[4,3,3,3]
  %d.w = parameter() : f32[5,12]{4,3,1}
  %a = conv2d(%x, %a.w) {padding=[1,1,1,1]} : f32[n,3,7,5]
  %norm = batch_norm(%a, %gamma, %beta, %mean, %variance) : f32[n,3,7,5], f32[3], f32[3]
  %a.y = relu(%norm) : f32[n,3,7,5]
  %pool = max_pool(%a.y) {window=[3,3], stride=[2,2], padding=[0,0,0,0]} : f32[n,3,3,2], u8[n,3,3,2]
  %b = conv2d(%pool, %b.w) {padding=[1,1,1,1]} : f32[n,4,3,2]
  %b.y = relu6(%b) : f32[n,4,3,2]
  %means = average_pool(%b.y) {window=[1,2], stride=[1,2], padding=[0,0,0,0]} : f32[n,4,3,1]
  %flat = flatten(%means) : f32[n,12]{4,3,1}
  %dropped = dropout(%flat, %seed_low, %seed_high, %step_low, %step_high) {rate=0.5} : f32[n,12]{4,3,1}
  %scores = dense(%dropped, %d.w) : f32[n,5]
  %probabilities = softmax(%scores) : f32[n,5]
  %losses = softmax_cross_entropy(%scores, %label) : f32[n], f32[n]
  %loss = reduce(%losses) {mean=true} : f32[]
  output "loss" %loss
  output "maps" %b.y
  output "scores" %scores
  output "probabilities" %probabilities
})";

// The sum of all values of the network's outputs times their seeds.
double weighted_outputs(const Graph& forward, const reference::Sources& sources, int64_t samples) {
    double sum = 0;
    for (const auto& [name, tensor] : results_of(forward, sources, samples)) {
        const auto seed = sources.find(name.substr(std::string("output ").size()) + ".seed");
        if (seed == sources.end()) continue;
        for (size_t i = 0; i < tensor.values.size(); i++)
            sum += tensor.values[i] * seed->second.values[i];
    }
    return sum;
}

TEST(InputGradients, EqualCentralDifferencesOfTheOutputs) {
    const Network network = network_of(kTwoHeads);
    const Network seen = input_gradients(network);
    EXPECT_EQ(seen.name, "net-saliency");
    const int64_t samples = 1;
    reference::Sources sources = random_sources(seen.graph, samples, 5);
    EXPECT_TRUE(sources.contains("maps.seed") && sources.contains("scores.seed"));
    EXPECT_FALSE(sources.contains("probabilities.seed") || sources.contains("label"));
    const GraphResults results = results_of(seen.graph, sources, samples);
    EXPECT_EQ(results.size(), 3u);
    const Graph forward = inference_form(network);
    Tensor numeric = sources.at("x");
    for (size_t i = 0; i < numeric.values.size(); i++) {
        const double value = sources.at("x").values[i];
        double sums[2];
        for (int side : {0, 1}) {
            sources.at("x").values[i] = value + (side == 0 ? -1e-6 : 1e-6);
            sums[side] = weighted_outputs(forward, sources, samples);
        }
        sources.at("x").values[i] = value;
        numeric.values[i] = (sums[1] - sums[0]) / 2e-6;
    }
    EXPECT_LT(relative_difference(results.at("output gradient"), numeric), 1e-6);
    EXPECT_GT(relative_difference(results.at("output guided"), numeric), 0.1);
    EXPECT_GT(relative_difference(results.at("output deconvolution"), numeric), 0.1);
}

// One unit of a sample alone: the others stay dark.
TEST(InputGradients, ASeedIsOfItsSampleAlone) {
    const Network seen = input_gradients(network_of(kTwoHeads));
    reference::Sources sources = random_sources(seen.graph, 2, 3);
    for (const char* name : {"maps.seed", "scores.seed"}) {
        for (double& value : sources.at(name).values) value = 0;
    }
    sources.at("scores.seed").at(1, 2) = 1;
    const Tensor gradient = results_of(seen.graph, sources, 2).at("output gradient");
    const size_t half = gradient.values.size() / 2;
    double first = 0, second = 0;
    for (size_t i = 0; i < half; i++) {
        first += std::abs(gradient.values[i]);
        second += std::abs(gradient.values[half + i]);
    }
    EXPECT_EQ(first, 0);
    EXPECT_GT(second, 0);
}

// Plain loops

// What a rectifier with this input hands back of a gradient.
using Rule = std::function<double(double x, double gradient)>;

double gradient_rule(double x, double g) { return x > 0 ? g : 0; }
double guided_rule(double x, double g) { return x > 0 && g > 0 ? g : 0; }
double deconvolution_rule(double, double g) { return g > 0 ? g : 0; }

// A convolution of odd windows, padded to keep the size, forward (from x to y) or backward (from
// y to x); both are zero before.
void convolve(Tensor& x, const Tensor& w, Tensor& y, bool is_forward) {
    const auto out = w.type.shape[0], in = w.type.shape[1], side = w.type.shape[2];
    const auto height = x.type.shape[1], width = x.type.shape[2];
    for (int64_t n = 0; n < x.samples; n++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                for (int64_t r = 0; r < height; r++)
                    for (int64_t c = 0; c < width; c++)
                        for (int64_t kr = 0; kr < side; kr++)
                            for (int64_t kc = 0; kc < side; kc++) {
                                const int64_t row = r + kr - side / 2, column = c + kc - side / 2;
                                if (row < 0 || row >= height || column < 0 || column >= width)
                                    continue;
                                if (is_forward)
                                    y.at(n, o, r, c) +=
                                        w.at(o, i, kr, kc) * x.at(n, i, row, column);
                                else
                                    x.at(n, i, row, column) +=
                                        w.at(o, i, kr, kc) * y.at(n, o, r, c);
                            }
}

Tensor like(const Tensor& tensor, int64_t channels, int64_t height, int64_t width) {
    return reference::make_tensor(batched_type({channels, height, width}), tensor.samples);
}

Tensor rectified(const Tensor& x) {
    Tensor y = x;
    for (double& value : y.values) value = std::max(value, 0.0);
    return y;
}

void pass_back(const Tensor& x, const Rule& rule, Tensor& gradient) {
    for (size_t i = 0; i < x.values.size(); i++)
        gradient.values[i] = rule(x.values[i], gradient.values[i]);
}

// conv, relu, max pooling by 2, conv, relu.
Tensor naive(const reference::Sources& sources, const Rule& rule) {
    Tensor x = sources.at("x"), a = like(x, 3, 6, 8), pooled = like(x, 3, 3, 4),
           b = like(x, 4, 3, 4);
    convolve(x, sources.at("a.w"), a, /*is_forward=*/true);
    std::vector<size_t> winners(pooled.values.size());  // the switches
    const Tensor a_y = rectified(a);
    for (size_t i = 0; i < winners.size(); i++) {
        const size_t map = i / 12, row = i % 12 / 4 * 2, column = i % 4 * 2;
        winners[i] = map * 48 + row * 8 + column;
        for (const size_t aside : {1, 8, 9}) {
            const size_t other = map * 48 + row * 8 + column + aside;
            if (a_y.values[other] > a_y.values[winners[i]]) winners[i] = other;
        }
        pooled.values[i] = a_y.values[winners[i]];
    }
    convolve(pooled, sources.at("b.w"), b, /*is_forward=*/true);
    Tensor gradient = sources.at("maps.seed");
    pass_back(b, rule, gradient);
    Tensor pooled_gradient = like(x, 3, 3, 4), a_gradient = like(x, 3, 6, 8),
           x_gradient = like(x, 2, 6, 8);
    convolve(pooled_gradient, sources.at("b.w"), gradient, /*is_forward=*/false);
    for (size_t i = 0; i < winners.size(); i++)
        a_gradient.values[winners[i]] += pooled_gradient.values[i];
    pass_back(a, rule, a_gradient);
    convolve(x_gradient, sources.at("a.w"), a_gradient, /*is_forward=*/false);
    return x_gradient;
}

TEST(InputGradients, TheRulesByPlainLoops) {
    const Network seen = input_gradients(network_of(R"(graph net {
  %x = input() : f32[n,2,6,8]
  %a.w = parameter() : f32[3,2,3,3]
  %b.w = parameter() : f32[4,3,3,3]
  %a = conv2d(%x, %a.w) {padding=[1,1,1,1]} : f32[n,3,6,8]
  %a.y = relu(%a) : f32[n,3,6,8]
  %pool = max_pool(%a.y) : f32[n,3,3,4], u8[n,3,3,4]
  %b = conv2d(%pool, %b.w) {padding=[1,1,1,1]} : f32[n,4,3,4]
  %b.y = relu(%b) : f32[n,4,3,4]
  output "maps" %b.y
})"));
    const reference::Sources sources = random_sources(seen.graph, 2, 11);
    const GraphResults results = results_of(seen.graph, sources, 2);
    const std::pair<const char*, Rule> rules[] = {{"gradient", gradient_rule},
                                                  {"guided", guided_rule},
                                                  {"deconvolution", deconvolution_rule}};
    for (const auto& [name, rule] : rules) {
        const Tensor expected = naive(sources, rule);
        EXPECT_LT(relative_difference(results.at(std::string("output ") + name), expected), 1e-12)
            << name;
    }
}

TEST(InputGradients, Refusals) {
    EXPECT_EQ(message_of([] {
                  input_gradients(network_of(R"(graph words {
  %x = input() : i32[n,4]
  %w = parameter() : f32[3,9]
  %y = gather(%w, %x) : f32[n,3,4]
  output "y" %y
})"));
              }),
              "error[saliency]: network 'words' has no gradient with respect to its picture: its "
              "input 'x' holds indices\n"
              "  fix: build it without --saliency");
    EXPECT_EQ(message_of([] {
                  input_gradients(network_of(R"(graph shares {
  %x = input() : f32[n,4]
  %y = softmax(%x) : f32[n,4]
  output "probabilities" %y
})"));
              }),
              "error[saliency]: network 'shares' has no gradient with respect to its picture: no "
              "output that is a vector or a map follows from it by ops with gradients\n"
              "  fix: add m.output(name, tensor) for a map of the model, or build it without "
              "--saliency");
}

}  // namespace
}  // namespace emulsion::test
