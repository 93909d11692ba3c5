// Field cases through whole libraries: what fusion, tails and several paths could spoil.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/inference_form.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/support/machine_speed.h"
#include "tests/integration/integration_support.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

using Values = std::vector<float>;

Network network_of(const std::string& body) {
    return parse_network(
        "network net\noptimizer sgd {learning_rate=0}\nschedule constant\ngraph net {\n" + body +
            "}\n",
        "net.emu");
}

void set(float* to, const Values& values) { std::copy(values.begin(), values.end(), to); }

Values taken(const float* from, size_t count) { return {from, from + count}; }

void run_step(Trainer& trainer, int samples) {
    ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(samples), 0.0f),
              EMULSION_OK)
        << trainer.library.error(trainer.instance());
}

// One channel: convolution, batch norm and activation of which the other lanes hold nothing.
TEST(Cases, OneChannelWithEverythingFused) {  // case X3
    Model m("one_channel");
    Tensor x = conv(m.input("image", {1, 2, 2}), 1,
                    {.kernel = 3, .padding = same, .bias = false, .name = "conv"});
    x = leaky_relu(batch_norm(x, {.epsilon = 0, .name = "bn"}), {.slope = 0.25});
    m.output("y", x);
    m.loss(x);
    const BuiltLibraries built(finish(m).network.value(), {.batch = 1, .target = "portable"});
    Trainer trainer(built.train());
    const Values kernel = {0, 1, 0, 1, -2, 1, 0, 1, 0};
    for (size_t i = 0; i < kernel.size(); i++) trainer.tensor("conv.w")[i * kBlock] = kernel[i];
    trainer.tensor("bn.gamma")[0] = 0.5f;
    trainer.tensor("bn.beta")[0] = 1;
    for (int variant = 1; variant <= trainer.info.variant_count; variant++) {
        if (!can_run(trainer.info.variants[variant - 1])) continue;
        Runner runner(built.infer(), trainer, 1, variant);
        set(runner.ports.input(0), {-1, 2, 3, -4});
        runner.run(1);
        EXPECT_EQ(taken(runner.ports.output("y"), 4), (Values{4.5f, -0.875f, -1.125f, 7.5f}));
    }
}

// A batch norm folded into the weights of a flattened map, whose order in memory is not that of its
// features.
TEST(Cases, BatchNormBehindADenseLayerOfAMap) {
    for (bool bias : {true, false}) {
        Model m("flat");
        Tensor x = dense(flatten(m.input("x", {3, 2, 2})), 3, {.bias = bias, .name = "dense"});
        m.classify(batch_norm(x, {.name = "bn"}));
        const Network network = finish(m).network.value();
        const BuiltLibraries built(network, {.batch = 4, .infer_batches = {2}});
        Trainer trainer(built.train());
        for (uint64_t i = 0; i < 3; i++) trainer.step(i, 4);
        Runner runner(built.infer(), trainer);
        runner.ports.fill(9, 3);
        runner.run(2);

        const Graph graph = inference_form(network);
        reference::Sources sources;
        for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
            const Node& node = graph.node(i);
            if (node.op->op_class() != OpClass::source) continue;
            const bool is_input = graph.op_as<Input>(i) != nullptr;
            sources[node.name] = reference::unpack(
                node.types[0], 2, is_input ? runner.ports.input(0) : trainer.tensor(node.name));
        }
        const reference::Tensor expected = results_of(graph, sources, 2).at("output scores");
        for (int n = 0; n < 2; n++) {
            for (int k = 0; k < 3; k++) {
                EXPECT_NEAR(runner.ports.row("scores", n)[static_cast<size_t>(k)],
                            expected.at(n, k), 1e-5);
            }
        }
    }
}

// A NaN in any place of a window reaches the result and the test of the loss, in every lane, with
// every instruction set and number of threads; the other windows keep their values.
TEST(Cases, PoolingLetsWhatIsNoNumberThrough) {  // case P3
    const BuiltLibraries built(network_of(R"(
  %x = input() : f32[n,17,1,4]
  %pool = max_pool(%x) {window=[1,2], stride=[1,2]} : f32[n,17,1,2], u8[n,17,1,2]
  %w = parameter() : f32[17]
  %y = multiply(%pool:0, %w) : f32[n,17,1,2]
  %loss = reduce(%y) {mean=true} : f32[]
  output "loss" %loss
  output "pool" %pool:0
)"),
                               {.batch = 1, .target = "portable"});
    const float nan = std::numeric_limits<float>::quiet_NaN();
    Trainer probe(built.train());
    for (int variant = 1; variant <= probe.info.variant_count; variant++) {
        if (!can_run(probe.info.variants[variant - 1])) continue;
        for (int threads : {1, 2}) {
            Trainer trainer(built.train(), threads, variant);
            std::fill_n(trainer.tensor("w"), 17, 1.0f);
            Runner runner(built.infer(), trainer, threads, variant);
            for (int place = 0; place < 4 * 17; place++) {
                for (float* x : {trainer.ports.input(0), runner.ports.input(0)}) {
                    for (int at = 0; at < 4; at++)
                        std::fill_n(x + 17 * at, 17, static_cast<float>(at + 1));
                    x[place] = nan;
                }
                EXPECT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(1), 0.1f),
                          EMULSION_NOT_FINITE)
                    << "variant " << variant << ", place " << place;
                runner.run(1);
                const float* y = runner.ports.output("pool");
                const int hit = place / 17 / 2 * 17 + place % 17;
                for (int i = 0; i < 2 * 17; i++) {
                    if (i == hit) {
                        EXPECT_TRUE(std::isnan(y[i])) << place;
                    } else {
                        EXPECT_EQ(y[i], i < 17 ? 2 : 4) << place;
                    }
                }
            }
        }
    }
}

// A tensor as both operands of an op, and reached by several paths.
TEST(Cases, OneTensorByManyPaths) {  // case c203
    const BuiltLibraries built(network_of(R"(
  %one = input() : f32[n,2]
  %w = parameter() : f32[2]
  %x = multiply(%one, %w) : f32[n,2]
  %square = multiply(%x, %x) : f32[n,2]
  %cube = multiply(%square, %x) : f32[n,2]
  %none = subtract(%x, %x) : f32[n,2]
  %twice = add(%x, %x) : f32[n,2]
  %some = add(%cube, %none) : f32[n,2]
  %all = add(%some, %twice) : f32[n,2]
  %loss = reduce(%all) {mean=true} : f32[]
  output "loss" %loss
  output "all" %all
)"),
                               {.batch = 1});
    Trainer trainer(built.train());
    set(trainer.tensor("w"), {3, -2});
    set(trainer.ports.input(0), {1, 1});
    run_step(trainer, 1);
    EXPECT_EQ(trainer.loss(), 10.5f);
    EXPECT_EQ(taken(trainer.tensor("gradient w"), 2), (Values{14.5f, 7}));
}

// Fewer input channels than a block, every second cell read.
TEST(Cases, FilterGradientOfAStridedPointwiseConvolution) {  // case c201
    const BuiltLibraries built(network_of(R"(
  %x = input() : f32[n,3,9,9]
  %dy = input() : f32[n,5,5,5]
  %w = parameter() : f32[5,3,1,1]
  %y = conv2d(%x, %w) {stride=[2,2]} : f32[n,5,5,5]
  %product = multiply(%y, %dy) : f32[n,5,5,5]
  %loss = reduce(%product) : f32[]
  output "loss" %loss
  output "y" %y
)"),
                               {.batch = 6});
    for (int threads : {1, 2, 4}) {
        Trainer trainer(built.train(), threads);
        float *x = trainer.ports.input(0), *dy = trainer.ports.input(1);
        for (int n = 0; n < 6; n++) {
            for (int at = 0; at < 81; at++)
                for (int c = 0; c < 3; c++)
                    *x++ = static_cast<float>((7 * n + 5 * c + 3 * (at / 9) + at % 9) % 11 - 5);
            for (int at = 0; at < 25; at++)
                for (int k = 0; k < 5; k++)
                    *dy++ = static_cast<float>((n + 2 * k + at / 5 + 3 * (at % 5)) % 5 - 2);
        }
        run_step(trainer, 6);
        const float* dw = trainer.tensor("gradient w");  // [1][1][1][3][16]
        Values found;
        for (size_t k = 0; k < 5; k++)
            for (size_t c = 0; c < 3; c++) found.push_back(dw[c * kBlock + k]);
        EXPECT_EQ(found,
                  (Values{44, -22, 33, -22, -11, -22, -33, 55, -22, 11, 11, -22, 0, -33, 33}))
            << threads << " threads";
    }
}

}  // namespace
}  // namespace emulsion::test
