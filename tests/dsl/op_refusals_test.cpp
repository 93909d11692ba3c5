// What every op refuses: operands that are too few or too many, of another element, or of another
// shape. A rule of shapes either gives types that can be counted, or says what is wrong and how to
// mend it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "compiler/graph/limits.h"
#include "compiler/ops/registry.h"
#include "compiler/support/diagnostic.h"
#include "dsl/op_sample.h"

namespace emulsion {
namespace {

using Types = std::vector<TensorType>;

// The code of the op's refusal; empty where it takes the operands.
std::string refusal(const Op& op, const Types& inputs) {
    try {
        for (const TensorType& type : op.infer(inputs)) {
            EXPECT_GE(bounded_elements(type, 1), 1) << op.kind() << " " << to_string(type);
        }
        return "";
    } catch (const Error& error) {
        const Diagnostic& fault = error.diagnostic();
        EXPECT_FALSE(fault.message.empty()) << op.kind();
        EXPECT_FALSE(fault.fix.empty()) << op.kind() << ": " << fault.message;
        return fault.code;
    }
}

// The type with other extents: one more of an axis, one less, an axis more, an axis less, for all
// samples or each.
Types other_shapes(const TensorType& type) {
    Types others;
    for (size_t axis = 0; axis < type.shape.size(); axis++) {
        for (const int64_t more : {1, -1}) {
            others.push_back(type);
            others.back().shape[axis] += more;
            if (others.back().shape[axis] == 0) others.pop_back();
        }
    }
    others.push_back(type);
    others.back().shape.push_back(2);
    others.push_back(type);
    if (type.shape.empty()) {
        others.back().shape = {3, 1, 2};
    } else {
        others.back().shape.pop_back();
    }
    others.push_back(type);
    others.back().batched = !type.batched;
    for (TensorType& other : others) other.factors.clear();
    return others;
}

class EveryOp : public testing::Test {
  protected:
    // Calls visit(op, its operands) for each op that has operands.
    template <class Visit>
    static void for_ops(const Visit& visit) {
        for (std::string_view kind : op_kinds()) {
            if (!is_built_in(kind)) continue;  // of another test
            for (const Group& group : samples_of_op(kind)) {
                const Node& node = group.body.node(group.body.results()[0].value.node);
                Types inputs;
                for (Value value : node.inputs) inputs.push_back(group.body.type(value));
                SCOPED_TRACE(kind);
                EXPECT_EQ(refusal(*node.op, inputs), "");
                if (!inputs.empty()) visit(*node.op, inputs);
            }
        }
    }
};

TEST_F(EveryOp, CountsItsOperands) {
    for_ops([](const Op& op, const Types& inputs) {
        Types fewer = inputs, more = inputs;
        fewer.pop_back();
        more.push_back(inputs.back());
        const std::set<std::string_view> any_count = {"concatenate", "not_finite"};
        if (any_count.contains(op.kind())) return;
        EXPECT_EQ(refusal(op, fewer), "operands");
        EXPECT_EQ(refusal(op, more), "operands");
        EXPECT_EQ(refusal(op, {}), "operands");
    });
}

// But for those that pass on whatever there is.
TEST_F(EveryOp, LooksAtElements) {
    for_ops([](const Op& op, const Types& inputs) {
        if (op.kind() == "view" || op.kind() == "stop_gradient") return;
        for (size_t i = 0; i < inputs.size(); i++) {
            for (const ElementType element :
                 {ElementType::f32, ElementType::i32, ElementType::u8}) {
                if (element == inputs[i].element) continue;
                Types others = inputs;
                others[i].element = element;
                EXPECT_NE(refusal(op, others), "")
                    << "operand " << i << " " << to_string(others[i]);
            }
        }
    });
}

// Some ops take any shape; those that compare theirs must not take all others.
TEST_F(EveryOp, ComparesShapes) {
    std::set<std::string, std::less<>> choosy;
    for_ops([&](const Op& op, const Types& inputs) {
        for (size_t i = 0; i < inputs.size(); i++) {
            for (const TensorType& type : other_shapes(inputs[i])) {
                Types others = inputs;
                others[i] = type;
                if (!refusal(op, others).empty()) choosy.emplace(op.kind());
            }
        }
        if (inputs.size() > 1) {
            EXPECT_TRUE(choosy.contains(op.kind()));
        }
    });
    EXPECT_GT(choosy.size(), 100u);
}

}  // namespace
}  // namespace emulsion
