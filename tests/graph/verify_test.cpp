// What the verifier finds in graphs that a pass could build but no text can say.
#include <gtest/gtest.h>

#include "compiler/graph/text.h"

namespace emulsion::test {
namespace {

const std::string kReport =
    "\n  fix: this graph breaks a rule of the compiler's own: please report it with the model";

class Verify : public ::testing::Test {
  protected:
    Verify()
        : builder_(
              parse_graph("graph net {\n  %x = input() : f32[n,3]\n  %w = parameter() : f32[3]\n}",
                          "net.emu")) {}

    Node node(const std::string& kind, std::vector<Value> inputs, std::vector<TensorType> types) {
        return {op_from_text(kind), std::move(inputs), std::move(types), "it", {"net.emu", 9}};
    }
    std::string error_of(Node node) {
        builder_.add_typed(std::move(node));
        return error();
    }
    std::string error() {
        try {
            verify(builder_.build());
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }
    const Value x_{0, 0}, w_{1, 0};
    GraphBuilder builder_;
};

TEST_F(Verify, ARightGraphPasses) {
    EXPECT_EQ(error_of(node("add", {x_, w_}, {batched_type({3})})), "");
}

TEST_F(Verify, ATypeThatTheOpDoesNotGive) {
    EXPECT_EQ(error_of(node("relu", {x_}, {batched_type({4})})),
              "net.emu:9: error[verify]: node 'it' of graph 'net': has type f32[n,4], its op gives "
              "f32[n,3]" +
                  kReport);
}

TEST_F(Verify, ATypeThatDiffersInItsFactorsAlone) {
    TensorType type = batched_type({3});
    type.factors = {3, 1, 1};
    EXPECT_EQ(error_of(node("relu", {x_}, {type})),
              "net.emu:9: error[verify]: node 'it' of graph 'net': has type f32[n,3]{3,1,1}, its "
              "op gives f32[n,3]" +
                  kReport);
}

TEST_F(Verify, AWrongNumberOfOutputs) {
    EXPECT_EQ(error_of(node("relu", {x_}, {batched_type({3}), batched_type({3})})),
              "net.emu:9: error[verify]: node 'it' of graph 'net': has 2 outputs, its op gives 1" +
                  kReport);
}

TEST_F(Verify, AnOutputThatAnOperandDoesNotHave) {
    EXPECT_EQ(error_of(node("relu", {{0, 1}}, {batched_type({3})})),
              "net.emu:9: error[verify]: node 'it' of graph 'net': 'x' has no output 1" + kReport);
}

TEST_F(Verify, ANodeWithoutOp) {
    Node empty = node("relu", {x_}, {batched_type({3})});
    empty.op = nullptr;
    EXPECT_EQ(error_of(std::move(empty)),
              "net.emu:9: error[verify]: node 'it' of graph 'net': has no op" + kReport);
}

TEST_F(Verify, OperandsThatTheOpRefuses) {
    std::string error = error_of(node("relu", {x_, x_}, {batched_type({3})}));
    EXPECT_TRUE(error.starts_with("error[operands]: ")) << error;
}

TEST_F(Verify, ANewValueOfAnotherType) {
    builder_.update(w_.node, x_);
    EXPECT_EQ(error(),
              "error[verify]: 'w' has type f32[3], its new value 'x' has f32[n,3]\n"
              "  fix: please report this with the model");
}

TEST_F(Verify, AGradientOfAnotherType) {
    builder_.gradient(w_.node, x_);
    EXPECT_EQ(error(),
              "error[verify]: 'w' has type f32[3], its new value 'x' has f32[n,3]\n"
              "  fix: please report this with the model");
}

TEST_F(Verify, NamesAreUniqueWhileBuilding) {
    try {
        builder_.add(op_from_text("relu"), {x_}, "w", {"net.emu", 5});
        FAIL() << "a name is used twice";
    } catch (const Error& error) {
        EXPECT_STREQ(
            error.what(),
            "net.emu:5: error[name]: the name 'w' is used twice\n    first used at net.emu:3\n"
            "  fix: give one of the two another name");
    }
    EXPECT_EQ(builder_.unique_name("w"), "w.2");
    EXPECT_EQ(builder_.unique_name("free"), "free");
}

TEST_F(Verify, AnUndefinedResultIsABugOfTheCompiler) {
    builder_.output("y", Value{7, 0});
    EXPECT_DEATH(verify(builder_.build()), "internal error: a result of graph 'net' is undefined");
}

// Dead nodes go, and what results and updates need stays in order.
TEST(Graphs, RemoveDeadNodes) {
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,3]
  %unread = input() : f32[n,3]
  %w = parameter() : f32[3]
  %s = state() : f32[3]
  %y = add(%x, %w) : f32[n,3]
  %dead = relu(%unread) : f32[n,3]
  %twice = scale(%s) {factor=2} : f32[3]
  output "y" %y
  update %s <- %twice
})",
                              "net.emu");
    EXPECT_EQ(print(remove_dead_nodes(graph)), R"(graph net {
  %x = input() : f32[n,3]
  %w = parameter() {init="zeros", scale=0, fan_in=0, fan_out=0, trained=true, decay=true} : f32[3]
  %s = state() {value=0, optimizer=false} : f32[3]
  %y = add(%x, %w) : f32[n,3]
  %twice = scale(%s) {factor=2} : f32[3]
  output "y" %y
  update %s <- %twice
}
)");
}

TEST(Graphs, UsersAreListedOnce) {
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,3]
  %a = add(%x, %x) : f32[n,3]
  %b = relu(%x) : f32[n,3]
  %c = multiply(%a, %b) : f32[n,3]
})",
                              "net.emu");
    EXPECT_EQ(users_of(graph), (std::vector<std::vector<int>>{{1, 2}, {3}, {3}, {}}));
}

TEST(Graphs, EqualityIgnoresLocations) {
    const std::string text =
        "graph net {\n  %x = input() : f32[n,3]\n  %y = relu(%x) : f32[n,3]\n  output \"y\" %y\n}";
    EXPECT_TRUE(parse_graph(text, "a.emu") == parse_graph(text, "b.emu"));
    for (const auto& [from, to] : {std::pair{"relu", "tanh"},
                                   {"\"y\" %y", "\"z\" %y"},
                                   {"\"y\" %y", "\"y\" %x"},
                                   {"net {", "nets {"}}) {
        std::string changed = text;
        changed.replace(changed.find(from), std::string(from).size(), to);
        EXPECT_FALSE(parse_graph(text, "a.emu") == parse_graph(changed, "a.emu")) << to;
    }
}

}  // namespace
}  // namespace emulsion::test
