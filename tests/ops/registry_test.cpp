// The list of ops.
#include "compiler/ops/registry.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "tests/reference/interpreter.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

TEST(Registry, MakesEachOpByItsName) {
    const std::vector<std::string_view> kinds = op_kinds();
    EXPECT_TRUE(std::ranges::is_sorted(kinds));
    EXPECT_GE(kinds.size(), 50U);
    for (std::string_view kind : kinds) {
        const std::unique_ptr<Op> op = make_op(kind);
        ASSERT_NE(op, nullptr) << kind;
        EXPECT_EQ(op->kind(), kind);
    }
    EXPECT_EQ(make_op("conv3d"), nullptr);
    EXPECT_EQ(make_op(""), nullptr);
    EXPECT_EQ(make_op("zzz"), nullptr);
}

TEST(Registry, AttributesOfEachOpPrintAndParse) {
    for (std::string_view kind : op_kinds()) {
        const std::unique_ptr<Op> op = make_op(kind), parsed = make_op(kind);
        const std::string text = print_attributes(*op);
        TextReader reader(text, "text");
        parse_attributes(reader, *parsed);
        EXPECT_TRUE(reader.at_end()) << kind;
        EXPECT_TRUE(*op == *parsed) << kind;
    }
}

TEST(Registry, TheReferenceKnowsEachOp) {
    for (std::string_view kind : op_kinds()) {
        if (make_op(kind)->op_class() == OpClass::source) continue;
        EXPECT_TRUE(reference::table().contains(kind)) << kind;
    }
}

TEST(Sources, ConstantFillsItsTypeAndNotThePadding) {
    for (const TensorType& type :
         {plain_type({}), plain_type({17}), plain_type({3, 2}), batched_type({2, 3, 3})}) {
        GraphBuilder builder("constants");
        auto op = std::make_shared<Constant>(type);
        op->value = 0.375;
        builder.output("c", builder.add(op, {}, "c"));
        const Graph graph = builder.build();
        const reference::Tensor actual = run_graph(graph, {}, 2)[0][0];
        EXPECT_EQ(actual, reference::evaluate(graph, {}, 2)[0][0]);
        for (double value : actual.values) EXPECT_EQ(value, 0.375);
    }
}

}  // namespace
}  // namespace emulsion::test
