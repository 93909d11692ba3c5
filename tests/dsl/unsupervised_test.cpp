// Convolutional restricted Boltzmann machines: contrastive divergence against loops in double
// precision, what is drawn against its probability, and the whole message of each mistake.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/autodiff/training_step.h"
#include "compiler/ops/gumbel_noise.h"
#include "compiler/pipeline.h"
#include "tests/dsl/dsl_support.h"
#include "tests/support/check_op.h"
#include "tests/support/graph_results.h"

namespace emulsion {
namespace {

using reference::make_tensor;
using MachineTensor = reference::Tensor;

// A machine as loops: its options, its weights, and the random words of a step.
class Loops {
  public:
    Loops(const ConvRbmOptions& options, const reference::Sources& sources)
        : pool_(options.pool),
          padding_(options.padding.top),
          is_binary_(options.visible == Visible::binary),
          sources_(sources),
          w_(sources.at("r.w")),
          b_(sources.at("r.b")),
          c_(sources.at("r.c")) {}

    // I(v)
    MachineTensor inputs(const MachineTensor& v) const {
        const auto& w = w_.type.shape;
        const int64_t high = v.type.shape[1] + 2 * padding_ - w[2] + 1;
        const int64_t wide = v.type.shape[2] + 2 * padding_ - w[3] + 1;
        MachineTensor y = make_tensor(batched_type({w[0], high, wide}), v.samples);
        for_taps(y,
                 [&](int64_t n, int64_t k, int64_t i, int64_t j, int64_t c, int64_t p, int64_t q) {
                     if (c == 0 && p == 0 && q == 0)
                         y.at(n, k, i, j) += b_.values[static_cast<size_t>(k)];
                     if (const double* cell = cell_of(v, n, c, i + p, j + q))
                         y.at(n, k, i, j) += *cell * w_.at(k, c, p, q);
                 });
        return y;
    }

    // P(h | v), or what is drawn from it with the random numbers of two sites.
    MachineTensor hidden(const MachineTensor& inputs, int64_t site = -1) const {
        MachineTensor h = make_tensor(inputs.type, inputs.samples);
        const auto& shape = inputs.type.shape;
        const TensorType blocks = batched_type({shape[0], shape[1] / pool_, shape[2] / pool_});
        MachineTensor of_units = inputs, of_none = make_tensor(blocks, inputs.samples);
        if (site >= 0) {
            of_units = noisy(inputs, site);
            of_none = noisy(of_none, site + 1);
        }
        for (int64_t n = 0; n < inputs.samples; n++) {
            for (int64_t k = 0; k < shape[0]; k++) {
                for (int64_t y = 0; y < blocks.shape[1]; y++) {
                    for (int64_t x = 0; x < blocks.shape[2]; x++) {
                        if (site < 0) set_probabilities(inputs, n, k, y, x, h);
                        if (site >= 0) draw(of_units, of_none.at(n, k, y, x), n, k, y, x, h);
                    }
                }
            }
        }
        return h;
    }

    // v'
    MachineTensor visible(const MachineTensor& h, const TensorType& type) const {
        MachineTensor v = make_tensor(type, h.samples);
        for_taps(h,
                 [&](int64_t n, int64_t k, int64_t i, int64_t j, int64_t c, int64_t p, int64_t q) {
                     if (double* cell = cell_of(v, n, c, i + p, j + q))
                         *cell += h.at(n, k, i, j) * w_.at(k, c, p, q);
                 });
        const int64_t cells = type.shape[1] * type.shape[2];
        for (size_t f = 0; f < v.values.size(); f++) {
            const int64_t c = static_cast<int64_t>(f) / cells % type.shape[0];
            v.values[f] += c_.values[static_cast<size_t>(c)];
            if (is_binary_) v.values[f] = 1 / (1 + std::exp(-v.values[f]));
        }
        return v;
    }

    // Adds -sum of P(h | v) v, and so on, times `factor` to the gradients of w, b and c.
    void add_statistics(const MachineTensor& v, double factor, MachineTensor& dw, MachineTensor& db,
                        MachineTensor& dc) const {
        const MachineTensor h = hidden(inputs(v));
        for_taps(h,
                 [&](int64_t n, int64_t k, int64_t i, int64_t j, int64_t c, int64_t p, int64_t q) {
                     const double share = -factor * h.at(n, k, i, j);
                     if (const double* cell = cell_of(v, n, c, i + p, j + q))
                         dw.at(k, c, p, q) += share * *cell;
                     if (c == 0 && p == 0 && q == 0) db.values[static_cast<size_t>(k)] += share;
                 });
        const int64_t cells = v.type.shape[1] * v.type.shape[2];
        for (size_t f = 0; f < v.values.size(); f++)
            dc.values[static_cast<size_t>(static_cast<int64_t>(f) / cells % v.type.shape[0])] -=
                factor * v.values[f];
    }

  private:
    // Calls for every hidden unit and tap.
    template <class Call>
    void for_taps(const MachineTensor& h, const Call& call) const {
        const auto &w = w_.type.shape, &shape = h.type.shape;
        for (int64_t n = 0; n < h.samples; n++)
            for (int64_t k = 0; k < shape[0]; k++)
                for (int64_t i = 0; i < shape[1]; i++)
                    for (int64_t j = 0; j < shape[2]; j++)
                        for (int64_t c = 0; c < w[1]; c++)
                            for (int64_t p = 0; p < w[2]; p++)
                                for (int64_t q = 0; q < w[3]; q++) call(n, k, i, j, c, p, q);
    }

    // The cell of the padded map, null in the padding.
    template <class T>
    auto cell_of(T& v, int64_t n, int64_t c, int64_t y, int64_t x) const
        -> decltype(v.values.data()) {
        y -= padding_;
        x -= padding_;
        const auto& shape = v.type.shape;
        if (y < 0 || x < 0 || y >= shape[1] || x >= shape[2]) return nullptr;
        return v.values.data() + v.offset({n, c, y, x});
    }

    MachineTensor noisy(const MachineTensor& x, int64_t site) const {
        GumbelNoise op;
        op.site = site;
        std::vector<MachineTensor> operands = {x};
        for (const char* word : {"seed_low", "seed_high", "step_low", "step_high"})
            operands.push_back(sources_.at(word));
        return reference::evaluate(op, operands, x.samples)[0];
    }

    void set_probabilities(const MachineTensor& inputs, int64_t n, int64_t k, int64_t y, int64_t x,
                           MachineTensor& h) const {
        double sum = 1;
        for (int64_t i = 0; i < pool_; i++)
            for (int64_t j = 0; j < pool_; j++)
                sum += std::exp(inputs.at(n, k, y * pool_ + i, x * pool_ + j));
        for (int64_t i = 0; i < pool_; i++)
            for (int64_t j = 0; j < pool_; j++)
                h.at(n, k, y * pool_ + i, x * pool_ + j) =
                    std::exp(inputs.at(n, k, y * pool_ + i, x * pool_ + j)) / sum;
    }

    void draw(const MachineTensor& units, double largest, int64_t n, int64_t k, int64_t y,
              int64_t x, MachineTensor& h) const {
        double* winner = nullptr;
        for (int64_t i = 0; i < pool_; i++) {
            for (int64_t j = 0; j < pool_; j++) {
                const double unit = units.at(n, k, y * pool_ + i, x * pool_ + j);
                if (unit <= largest) continue;
                largest = unit;
                winner = &h.at(n, k, y * pool_ + i, x * pool_ + j);
            }
        }
        if (winner != nullptr) *winner = 1;
    }

    int64_t pool_, padding_;
    bool is_binary_;
    const reference::Sources& sources_;
    const MachineTensor &w_, &b_, &c_;
};

struct Contrast {
    MachineTensor w, b, c;
    double error = 0;
};

// CD-k of a batch.
Contrast contrastive_divergence(const ConvRbmOptions& options, const reference::Sources& sources) {
    const Loops loops(options, sources);
    const MachineTensor& data = sources.at("v");
    MachineTensor v = data;
    Contrast result;
    int64_t units = 0;
    for (int step = 0; step < options.steps; step++) {
        const MachineTensor inputs = loops.inputs(v);
        units = inputs.type.shape[1] * inputs.type.shape[2];
        v = loops.visible(loops.hidden(inputs, 2 * step), v.type);
        if (step > 0) continue;
        for (size_t i = 0; i < v.values.size(); i++)
            result.error += std::pow(data.values[i] - v.values[i], 2);
        result.error /= static_cast<double>(v.values.size());
    }
    result.w = make_tensor(sources.at("r.w").type, 1);
    result.b = make_tensor(sources.at("r.b").type, 1);
    result.c = make_tensor(sources.at("r.c").type, 1);
    const double share = 1 / static_cast<double>(units * data.samples);
    loops.add_statistics(data, share, result.w, result.b, result.c);
    loops.add_statistics(v, -share, result.w, result.b, result.c);
    return result;
}

Network machine_network(const Shape& map, int filters, ConvRbmOptions options) {
    options.name = "r";
    Model m("machine");
    const ConvRbm r = conv_rbm(m.input("v", map), filters, options);
    m.loss(r.loss);
    m.output("pooled", r.pooled);
    m.output("hidden", r.hidden);
    m.output("reconstruction", r.reconstruction);
    m.optimizer(sgd());
    return finished(m);
}

void expect_contrast(const test::GraphResults& results, const Contrast& expected,
                     double tolerance) {
    EXPECT_LT(test::relative_difference(results.at("gradient r.w"), expected.w), tolerance);
    EXPECT_LT(test::relative_difference(results.at("gradient r.b"), expected.b), tolerance);
    EXPECT_LT(test::relative_difference(results.at("gradient r.c"), expected.c), tolerance);
    EXPECT_NEAR(results.at("output loss").values[0], expected.error, tolerance * expected.error);
}

// The step as it is differentiated, and as all passes leave it.
void check_divergence(const Shape& map, int filters, const ConvRbmOptions& options) {
    constexpr int64_t kSamples = 3;
    const Network network = machine_network(map, filters, options);
    for (uint64_t seed = 1; seed <= 2; seed++) {
        const Graph step = training_step(network);
        const reference::Sources sources = test::random_sources(step, kSamples, seed, 1000);
        const Contrast expected = contrastive_divergence(options, sources);
        expect_contrast(test::results_of(step, sources, kSamples), expected, 1e-9);
        const Graph optimized = training_graph(network, /*exact=*/true);
        expect_contrast(test::results_of(optimized, sources, kSamples), expected, 1e-9);
    }
}

TEST(ConvRbm, GradientIsContrastiveDivergence) {
    check_divergence({2, 5, 6}, 3, {.kernel = {2, 3}, .pool = 2});
    check_divergence({1, 4, 5}, 2, {.kernel = 2, .pool = 1, .steps = 2});
    check_divergence(
        {2, 5, 5}, 2,
        {.kernel = 2, .padding = 1, .pool = 3, .visible = Visible::gaussian, .steps = 3});
}

// Of four blocks of a map, some with inputs of hundreds: none overflows, and none is lost.
TEST(ConvRbm, ProbabilitiesOfBlocks) {
    const Values inputs = {1,   -2,   -300, -300,  //
                           0,   0.5,  -200, -250,  //
                           300, -300, 90,   0,     //
                           300, 0,    -90,  -90};
    const auto of_blocks = [&](bool is_pooled) {
        Model m("blocks");
        const ConvRbm r = conv_rbm(m.input("v", {1, 4, 4}), 1, {.kernel = 1, .name = "r"});
        m.output("y", is_pooled ? r.pooled : r.hidden);
        return run(m, {{"v", inputs}, {"r.w", {1}}, {"r.b", {0}}});
    };
    const double sum = 1 + std::exp(1) + std::exp(-2) + 1 + std::exp(0.5);
    test::expect_near(of_blocks(false),
                      {std::exp(1) / sum, std::exp(-2) / sum, 0, 0,  //
                       1 / sum, std::exp(0.5) / sum, 0, 0,           //
                       0.5, 0, 1, 0,                                 //
                       0.5, 0, 0, 0},
                      1e-6);
    test::expect_near(of_blocks(true), {1 - 1 / sum, 0, 1, 1}, 1e-6);
}

TEST(ConvRbm, Shapes) {
    Model m("m");
    const ConvRbm r = conv_rbm(m.input("v", {3, 8, 9}), 5, {.kernel = {3, 4}, .pool = 3});
    EXPECT_EQ(r.pooled.shape(), (Shape{5, 2, 2}));
    EXPECT_EQ(r.hidden.shape(), (Shape{5, 6, 6}));
    EXPECT_EQ(r.reconstruction.shape(), (Shape{3, 8, 9}));
    EXPECT_EQ(r.loss.shape(), Shape{});
    EXPECT_EQ(conv_rbm(r.pooled, 4, {.padding = same, .pool = 1}).pooled.shape(), (Shape{4, 2, 2}));
}

TEST(ConvRbm, InferenceDrawsNothing) {
    const std::string text = print(machine_network({1, 4, 4}, 2, {}));
    EXPECT_NE(text.find("gumbel_noise"), std::string::npos);
    const Graph graph = inference_graph(machine_network({1, 4, 4}, 2, {}));
    for (const Node& node : graph.nodes()) {
        EXPECT_NE(node.op->kind(), "gumbel_noise");
        EXPECT_NE(node.op->kind(), "stop_gradient");
    }
}

// Without the lines of operands.
std::vector<std::string> mistakes_with(const ConvRbmOptions& options, int filters = 4) {
    Model m("m");
    const Tensor v = m.input("v", {1, 8, 9});
    m.output("v2", v);
    m.output("y", conv_rbm(v, filters, options).pooled);
    std::vector<std::string> texts = mistakes_of(m);
    for (std::string& text : texts) {
        const size_t notes = text.find("\n    operand"), fix = text.find("\n  fix");
        if (notes != std::string::npos) text.erase(notes, fix - notes);
    }
    return texts;
}

using Texts = std::vector<std::string>;

TEST(ConvRbm, Mistakes) {
    const std::string head = "error[attribute]: conv_rbm 'r': ";
    const std::string choose =
        "\n  fix: choose a pool that divides both, another kernel, or a padding";
    EXPECT_EQ(mistakes_with({.name = "r"}),
              Texts{head +
                    "the hidden units are 6x7 of each filter, which cannot be cut into blocks of "
                    "2x2" +
                    choose});
    EXPECT_EQ(mistakes_with({.pool = 0, .name = "r"}),
              Texts{head +
                    "the hidden units are 6x7 of each filter, which cannot be cut into blocks of "
                    "0x0" +
                    choose});
    EXPECT_EQ(mistakes_with({.pool = 1, .steps = 0, .name = "r"}),
              Texts{head + "the steps of sampling are 0, but must be 1 to 100\n"
                           "  fix: choose a few, such as 1"});
    EXPECT_EQ(mistakes_with({.name = "r"}, 0),
              Texts{head + "it has 0 filters, but must have 1 to 1048576\n"
                           "  fix: choose from 1 to 1048576 of the filters"});
    EXPECT_EQ(mistakes_with({.kernel = 10, .name = "r"}),
              Texts{"error[window]: conv2d 'r': the 10x10 filter is larger than its input 8x9\n"
                    "  fix: use a filter of at most 8x9, or pad the input to at least 10x10"});
    EXPECT_EQ(
        mistakes_with({.pool = 1, .bias_init = Init::he(), .name = "r"}),
        Texts{"error[initializer]: conv_rbm 'r': the bias cannot start by 'he', which goes by the "
              "number of inputs of a layer\n"
              "  fix: use Init::zeros(), ones(), constant(value), normal(deviation) or "
              "uniform(bound)"});
}

}  // namespace
}  // namespace emulsion
