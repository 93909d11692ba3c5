// Networks that read indices, as libraries: what they refuse, gradients, and bits for any number of
// threads.
#include <gtest/gtest.h>

#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/data/layout.h"
#include "tests/integration/integration_support.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 4, kWords = 300, kLength = 6, kWidth = 20, kEdges = 9;

// A class of each set of words, which edges join.
Network word_network(bool is_frozen = false) {
    Model m("words");
    const Tensor words = m.indices("words", {kLength}), edges = m.indices("edges", {2, kEdges});
    Tensor x = embedding(words, kWords, kWidth, {.padding_index = -1, .name = "table"});
    x = graph_conv(x, edges, 16, {.activation = tanh});
    m.classify(dense(flatten(mean(x, {1})), 3));
    m.optimizer(sgd({.learning_rate = 0.1}));
    if (is_frozen) m.freeze("table.w");
    const FinishedModel result = finish(m);
    for (const Diagnostic& mistake : result.mistakes) ADD_FAILURE() << mistake.message;
    return result.network.value();
}

void fill(Trainer& trainer, int word) {
    trainer.ports.fill(3, 3);
    auto* words = reinterpret_cast<int32_t*>(trainer.ports.input(0));
    auto* edges = reinterpret_cast<int32_t*>(trainer.ports.input(1));
    for (int i = 0; i < kBatch * kLength; i++) words[i] = i % 5 == 4 ? -1 : word + i % 7;
    for (int i = 0; i < kBatch * kEdges * 2; i++)
        edges[i] = i % (2 * kEdges) >= 14 ? -1 : (3 * i + i / 5) % kLength;
}

int step(Trainer& trainer) {
    return trainer.library.step(trainer.instance(), trainer.ports.call(kBatch), 0.5f);
}

TEST(IndexNetworks, TrainWithTheSameBitsAndRefuseOtherIndices) {
    const BuiltLibraries built(word_network(), {.batch = kBatch});
    Trainer one(built.train(), 1), four(built.train(), 4);
    ASSERT_EQ(one.info.inputs[0].classes, kWords);
    ASSERT_EQ(one.info.inputs[0].ignored, -1);
    ASSERT_EQ(one.info.inputs[1].classes, kLength);
    fill(one, 290);
    fill(four, 290);
    const std::vector<std::byte> before = one.weights();
    ASSERT_EQ(step(one), EMULSION_OK) << one.library.error(one.instance());
    const float first = one.loss();
    const float* gradient = one.tensor("gradient table.w");  // [2][300][16]
    for (int word = 0; word < kWords; word++) {
        float sum = 0;
        for (int c = 0; c < kWidth; c++)
            sum += std::abs(gradient[(c / 16 * kWords + word) * 16 + c % 16]);
        EXPECT_EQ(sum > 0, word >= 290 && word < 297) << word;
    }
    ASSERT_EQ(step(four), EMULSION_OK);
    for (int i = 0; i < 10; i++) {
        ASSERT_EQ(step(one), EMULSION_OK);
        ASSERT_EQ(step(four), EMULSION_OK);
    }
    EXPECT_LT(one.loss(), first);
    const std::vector<std::byte> after = one.weights();
    EXPECT_TRUE(after == four.weights());
    EXPECT_FALSE(after == before);

    auto* words = reinterpret_cast<int32_t*>(one.ports.input(0));
    words[kLength + 2] = kWords;
    EXPECT_EQ(step(one), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(one.library.error(one.instance()),
                 "input 'words' of sample 1, place 2 is 300, but must be an index: 0 to 299, or -1 "
                 "for what does not count");
    words[kLength + 2] = 0;
    reinterpret_cast<int32_t*>(one.ports.input(1))[5] = -2;
    EXPECT_EQ(step(one), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(
        one.library.error(one.instance()),
        "input 'edges' of sample 0, row 1, place 2 is -2, but must be an index: 0 to 5, or "
        "-1 for what does not count");
    EXPECT_TRUE(one.weights() == after);
}

TEST(IndexNetworks, AFrozenTableStays) {
    const BuiltLibraries built(word_network(/*is_frozen=*/true), {.batch = kBatch});
    Trainer trainer(built.train());
    fill(trainer, 0);
    const emulsion_tensor& tensor = tensor_named(trainer.info, "table.w");
    EXPECT_EQ(tensor.trained, 0);
    const float* table = trainer.tensor("table.w");
    const std::vector<float> before(table, table + tensor.bytes / sizeof(float));
    ASSERT_EQ(step(trainer), EMULSION_OK) << trainer.library.error(trainer.instance());
    EXPECT_TRUE(std::equal(before.begin(), before.end(), table));
}

}  // namespace
}  // namespace emulsion::test
