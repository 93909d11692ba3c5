// Ops that a model registers.
#include "dsl/own_op.h"

#include <gtest/gtest.h>

#include "compiler/codegen/kernel.h"
#include "compiler/codegen/own_ops.h"
#include "compiler/ops/sources.h"
#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

class Named : public UnaryOp {
  public:
    explicit Named(std::string_view name) : name_(name) {}
    std::string_view kind() const override { return name_; }

  protected:
    Halide::Expr value(const Halide::Expr& x) const override { return x; }

  private:
    std::string_view name_;
};

#define NAMED_OP(CLASS, NAME)    \
    class CLASS : public Named { \
      public:                    \
        CLASS() : Named(NAME) {} \
    }
NAMED_OP(Same, "own_same");
NAMED_OP(Other, "own_same");
NAMED_OP(Taken, "relu");
NAMED_OP(NoName, "Own op");
NAMED_OP(Unregistered, "own_unregistered");

std::vector<std::string> mistakes(const std::function<void(Model&)>& write) {
    Model m("net");
    write(m);
    m.output("y", m.input("x", {4}));
    std::vector<std::string> texts = mistakes_of(m);
    for (std::string& text : texts) text = text.substr(text.find("error["));
    return texts;
}

using Lines = std::vector<std::string>;

TEST(OwnOp, IsALayer) {
    Model m("net");
    const Tensor x = m.input("x", {3, 4, 5});
    const Tensor y = own_op(Same(), {x});
    EXPECT_EQ(y.shape(), x.shape());
    m.output("y", own_op(Same(), {y}, {.name = "again"}));
    const Network network = finished(m);
    EXPECT_EQ(node_text(network, "own_same1"), "%own_same1 = own_same(%x) : f32[n,3,4,5]");
    EXPECT_EQ(node_text(network, "again"), "%again = own_same(%own_same1) : f32[n,3,4,5]");
    EXPECT_EQ(parse_graph(print(network.graph), "net.emu"), network.graph);
}

TEST(OwnOp, FlattenedMapsAreReadInPlainOrder) {
    Model m("net");
    m.output("y", own_op(Same(), {flatten(m.input("x", {3, 4, 5}))}));
    EXPECT_EQ(node_text(finished(m), "own_same1"),
              "%own_same1 = own_same(%own_same1.plain) : f32[n,60]");
}

TEST(OwnOp, NamesThatAreTaken) {
    EXPECT_EQ(mistakes([](Model& m) { register_ops<Taken>(m); }),
              Lines{"error[op]: the compiler has an op 'relu' of its own\n  fix: let kind() return "
                    "another name"});
    EXPECT_EQ(mistakes([](Model& m) { register_ops<Same, Same, Other>(m); }),
              Lines{"error[op]: two classes are registered as the op 'own_same'\n  fix: let kind() "
                    "of one of them return another name"});
    EXPECT_EQ(mistakes([](Model& m) { own_op(NoName(), {m.input("a", {4})}); }),
              Lines{"error[op]: 'Own op' is no name for an op\n  fix: let kind() return a small "
                    "letter, then small letters, digits and '_'"});
}

Group group_of(std::shared_ptr<const Op> op) {
    GraphBuilder builder("group");
    const Value x = builder.add(std::make_shared<Input>(batched_type({16})), {}, "a0");
    builder.output("r0", builder.add(std::move(op), {x}, "v0"));
    Group group;
    group.body = builder.build();
    return group;
}

TEST(OwnOp, TheCacheKnowsItsProgram) {
    register_op(op_entry<Same>());
    EXPECT_EQ(own_ops_identity(group_of(op_from_text("relu"))), "");
    const std::string identity = own_ops_identity(group_of(std::make_shared<Same>()));
    EXPECT_EQ(identity, build_identity_of("/proc/self/exe"));
    EXPECT_NE(identity, build_identity());
    EXPECT_NE(identity, "");
}

TEST(OwnOp, IsRefusedWhereItIsNotRegistered) {
    try {
        own_ops_identity(group_of(std::make_shared<Unregistered>()));
        ADD_FAILURE() << "is taken";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[op]: the op 'own_unregistered' is not registered\n  fix: write "
                     "register_ops<CLASS>(m) in the model file");
    }
}

}  // namespace
}  // namespace emulsion
