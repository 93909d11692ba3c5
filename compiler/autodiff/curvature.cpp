// The walk, and for each op that networks with a curvature are made of a rule.
#include "compiler/autodiff/curvature.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

#include "compiler/autodiff/differentiate.h"
#include "compiler/graph/text.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/element_losses.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/softmax_cross_entropy.h"

namespace emulsion {

namespace {

constexpr std::string_view kSuffix = ".curvature";  // of the names of what is added

// A rule makes the second derivatives of the inputs from context.gradients, which are those of the
// results; at the end of a network they are the gradients themselves.
using Rule = std::vector<Value> (*)(const Op& op, GradientContext& context);

Value add(GradientContext& context, std::string_view name, std::string_view kind,
          std::vector<Value> operands, const std::string& attributes = "") {
    return context.add(name, op_from_text(kind, attributes), std::move(operands));
}

Value square(GradientContext& context, std::string_view name, Value x) {
    return add(context, name, "multiply", {x, x});
}

Value times(GradientContext& context, std::string_view name, Value x, double factor) {
    return add(context, name, "scale", {x}, fmt::format("{{factor={}}}", factor));
}

// Squares of derivatives

// Derivatives of 0 and 1.
std::vector<Value> ones(const Op& op, GradientContext& context) { return op.gradient(context); }

// Each result has one derivative, at its position: the gradient's rule multiplies by it.
std::vector<Value> twice(const Op& op, GradientContext& context) {
    context.gradients = op.gradient(context);
    return op.gradient(context);
}

// The derivatives by one operand are values of the other.
std::vector<Value> other_operand(const Op& op, GradientContext& context) {
    for (size_t i = 0; i < 2; i++) {
        if (context.needed[1 - i])
            context.inputs[i] = square(context, i == 0 ? "square" : "square_b", context.inputs[i]);
    }
    return op.gradient(context);
}

std::vector<Value> product(const Op& op, GradientContext& context) {
    const bool is_square = context.inputs[0] == context.inputs[1];
    std::vector<Value> result = other_operand(op, context);
    if (!is_square) return result;
    for (Value& half : result) half = times(context, "twice", half, 2);  // (2 x)^2 by two operands
    return result;
}

// The second derivative has no sign.
std::vector<Value> difference(const Op& op, GradientContext& context) {
    std::vector<Value> result = op.gradient(context);
    if (result[1].defined()) result[1] = add(context, "without_sign", "negate", {result[1]});
    return result;
}

// Means of `cells`, which all have the derivative 1 / cells.
std::vector<Value> mean(const Op& op, GradientContext& context, int64_t cells) {
    context.gradients[0] =
        times(context, "share", context.gradients[0], 1.0 / static_cast<double>(cells));
    return op.gradient(context);
}

// The node whose rule runs: the context's names are those of what it adds.
std::string_view node_of(const GradientContext& context) {
    return std::string_view(context.name).substr(0, context.name.size() - kSuffix.size());
}

[[noreturn]] void refuse(std::string_view name, std::string_view what) {
    fail("curvature",
         fmt::format("'{}': {} does not hand second derivatives on, which the optimizer "
                     "levenberg_marquardt needs",
                     name, what),
         "keep it out of the way from a trained parameter to the loss, or choose another "
         "optimizer");
}

std::vector<Value> sum_or_mean(const Op& op, GradientContext& context) {
    const auto& reduce = dynamic_cast<const Reduce&>(op);
    const TensorType& x = context.type(context.inputs[0]);
    if (!reduce.mean) return op.gradient(context);
    if (reduce.sums_samples(x)) refuse(node_of(context), "a mean over samples");
    return mean(op, context, reduce.terms(x));
}

std::vector<Value> average(const Op& op, GradientContext& context) {
    const auto& pool = dynamic_cast<const AveragePool&>(op);
    const TensorType& x = context.type(context.inputs[0]);
    const Window window = pool.sliding();
    int64_t cells = 1;
    for (size_t axis = 0; axis < window.size.size(); axis++) {
        cells *= window.size[axis];
        if (window.leaves(static_cast<int>(axis), x.shape[axis + 1]) && !pool.count_padding)
            refuse(node_of(context), "a mean of windows of which some hang over the border");
    }
    return mean(op, context, cells);
}

// 4 (x - center)^2 h, summed over centers or samples: 4 (x^2 sum(h) - 2 x sum(h center) + sum(h
// center^2)), whose rounding may leave it a little below 0.
std::vector<Value> distance(const Op&, GradientContext& context) {
    const Value x = context.inputs[0], centers = context.inputs[1], h = context.gradients[0];
    const auto of = [&](std::string_view name, Value own, Value other, bool is_input) {
        const std::string prefix(name);
        const auto matrix = [&](const std::string& part, Value values) {
            return is_input ? add(context, prefix + part, "dense_backward_data", {h, values})
                            : add(context, prefix + part, "dense_backward_weights", {values, h});
        };
        const Value sums = add(context, prefix + ".sums", "reduce", {h},
                               is_input ? "{keep_samples=true}" : "{keep_channels=true}");
        const Value squares = add(context, prefix + ".squares", "multiply",
                                  {square(context, prefix + ".square", own), sums});
        const Value products =
            add(context, prefix + ".products", "multiply", {own, matrix(".product", other)});
        const Value both = add(context, prefix + ".both", "subtract",
                               {squares, times(context, prefix + ".twice", products, 2)});
        const Value all = add(context, prefix + ".all", "add",
                              {both, matrix(".others", square(context, prefix + ".other", other))});
        return times(context, prefix, add(context, prefix + ".positive", "relu", {all}), 4);
    };
    std::vector<Value> result(2);
    if (context.needed[0]) result[0] = of("dx", x, centers, true);
    if (context.needed[1]) result[1] = of("dcenters", centers, x, false);
    return result;
}

Rule rule_of_squares(std::string_view kind) {
    static const std::map<std::string_view, Rule> rules = {
        {"abs", twice},
        {"add", ones},
        {"add_map", ones},
        {"average_pool", average},
        {"channel_shuffle", ones},
        {"concatenate", ones},
        {"connect_filter", ones},
        {"conv2d", other_operand},
        {"conv2d_backward_data", other_operand},
        {"crop", ones},
        {"dense", other_operand},
        {"depth_to_space", ones},
        {"dropout", twice},
        {"elu", twice},
        {"exp", twice},
        {"flatten", ones},
        {"flip", ones},
        {"gelu", twice},
        {"hard_sigmoid", twice},
        {"hard_swish", twice},
        {"leaky_relu", twice},
        {"local_dense", other_operand},
        {"log", twice},
        {"max_pool", ones},
        {"multiply", product},
        {"negate", twice},
        {"pad", ones},
        {"reciprocal", twice},
        {"reduce", sum_or_mean},
        {"reduce_axes", sum_or_mean},
        {"relu", ones},
        {"relu6", ones},
        {"scale", twice},
        {"shift", ones},
        {"sigmoid", twice},
        {"silu", twice},
        {"slice", ones},
        {"softplus", twice},
        {"space_to_depth", ones},
        {"spatial_dropout", twice},
        {"sqrt", twice},
        {"squared_distance", distance},
        {"stop_gradient", ones},
        {"subtract", difference},
        {"sum_samples", ones},
        {"tanh", twice},
        {"transpose", ones},
        {"unfactor", ones},
        {"unflatten", ones},
        {"view", ones},
    };
    const auto found = rules.find(kind);
    return found == rules.end() ? nullptr : found->second;
}

// Second derivatives of what the loss is linear in

// p (1 - p) g of the probabilities p, of which one may be rounded to more than 1.
Value spread(GradientContext& context, std::string_view probabilities, Value scores, Value g) {
    const Value p = add(context, "probabilities", probabilities, {scores});
    const Value rest = add(context, "rest", "subtract", {p, square(context, "square", p)});
    return add(context, "spread", "multiply", {add(context, "positive", "relu", {rest}), g});
}

std::vector<Value> cross_entropy(const Op& op, GradientContext& context) {
    const auto& loss = dynamic_cast<const SoftmaxCrossEntropy&>(op);
    Value result = spread(context, "softmax", context.inputs[0], context.gradients[0]);
    if (loss.label_smoothing != 0 && !loss.class_weights.empty())
        refuse(node_of(context), "a loss with both label smoothing and class weights");
    if (!loss.class_weights.empty() || !loss.ignored.empty()) {
        auto weight = std::make_shared<LabelWeight>();
        weight->class_weights = loss.class_weights;
        weight->ignored = loss.ignored;
        const Value weights = context.add("weights", weight, {context.inputs[1]});
        result = add(context, "weighted", "multiply", {result, weights});
    }
    return {result, {}};
}

std::vector<Value> distribution_cross_entropy(const Op&, GradientContext& context) {
    return {spread(context, "softmax", context.inputs[0], context.gradients[0]), {}};
}

std::vector<Value> binary_cross_entropy(const Op& op, GradientContext& context) {
    const double positive = dynamic_cast<const BinaryCrossEntropy&>(op).positive_weight;
    Value result = spread(context, "sigmoid", context.inputs[0], context.gradients[0]);
    if (positive != 1) {
        const Value more = times(context, "positive", context.inputs[1], positive - 1);
        const Value weights = add(context, "weights", "shift", {more}, "{term=1}");
        result = add(context, "weighted", "multiply", {result, weights});
    }
    return {result, {}};
}

// x * x by each of its operands: g, whose sum is 2 g.
std::vector<Value> half_of_square(const Op&, GradientContext& context) {
    return {context.gradients[0], context.gradients[0]};
}

// 2 sum(g), of each coordinate.
std::vector<Value> parabola(const Op&, GradientContext& context) {
    std::vector<Value> result(2);
    for (size_t i = 0; i < 2; i++) {
        if (!context.needed[i]) continue;
        const TensorType& type = context.type(context.inputs[i]);
        const std::string name = i == 0 ? "dx" : "dcenters";
        const Value sums = add(context, name + ".sums", "reduce", {context.gradients[0]},
                               i == 0 ? "{keep_samples=true}" : "{keep_channels=true}");
        auto everywhere = std::make_shared<Expand>();
        everywhere->shape = type.shape;
        everywhere->factors = type.factors;
        everywhere->batched = type.batched;
        everywhere->scale = 2;
        result[i] = context.add(name, everywhere, {sums});
    }
    return result;
}

// The product of two values is linear in each of them.
Rule rule_of_bend(const Node& node) {
    static const std::map<std::string_view, Rule> rules = {
        {"binary_cross_entropy", binary_cross_entropy},
        {"distribution_cross_entropy", distribution_cross_entropy},
        {"multiply", half_of_square},
        {"softmax_cross_entropy", cross_entropy},
        {"squared_distance", parabola},
    };
    const auto found = rules.find(node.op->kind());
    if (found == rules.end()) return nullptr;
    const bool is_product = found->second == half_of_square && node.inputs[0] != node.inputs[1];
    return is_product ? nullptr : found->second;
}

class Walk {
  public:
    Walk(GraphBuilder& builder, const std::vector<int>& targets)
        : builder_(builder), reached_(reached_from(builder.graph(), targets)) {}

    void run(Value loss) {
        find_gradients(loss);
        for (int node = loss.node; node >= 0; node--) visit(node);
    }

    Value of(int target) const {
        const auto found = curvatures_.find({target, 0});
        return found == curvatures_.end() ? Value() : found->second;
    }

  private:
    // Those of the first results of nodes that may bend.
    void find_gradients(Value loss) {
        std::vector<int> bends;
        for (int node = 0; node <= loss.node; node++) {
            if (reached_[static_cast<size_t>(node)] &&
                rule_of_bend(builder_.graph().node(node)) != nullptr)
                bends.push_back(node);
        }
        const std::vector<Value> gradients = differentiate(builder_, loss, bends);
        for (size_t i = 0; i < bends.size(); i++) gradients_[bends[i]] = gradients[i];
    }

    void visit(int index) {
        if (!reached_[static_cast<size_t>(index)]) return;
        const Node node = builder_.graph().node(index);  // a copy: the builder grows
        if (node.inputs.empty()) return;
        GradientContext context{builder_, node.name + std::string(kSuffix), node.inputs, {}, {},
                                {}};
        bool any = false;
        for (int k = 0; k < static_cast<int>(node.types.size()); k++) {
            const auto found = curvatures_.find({index, k});
            context.outputs.push_back({index, k});
            context.gradients.push_back(found == curvatures_.end() ? Value() : found->second);
            any = any || context.gradients.back().defined();
        }
        for (Value input : node.inputs)
            context.needed.push_back(reached_[static_cast<size_t>(input.node)]);
        Rule rule = any ? rule_of_squares(node.op->kind()) : rule_of_bend(node);
        if (any && rule == nullptr) refuse(node.name, fmt::format("the op {}", node.op->kind()));
        if (!any) {
            const auto gradient = gradients_.find(index);
            if (gradient == gradients_.end() || !gradient->second.defined()) return;
            context.gradients[0] = gradient->second;
        }
        const std::vector<Value> results = rule(*node.op, context);
        for (size_t i = 0; i < results.size(); i++) {
            if (context.needed[i] && results[i].defined()) add_to(node.inputs[i], results[i]);
        }
    }

    void add_to(Value value, Value curvature) {
        auto [found, inserted] = curvatures_.emplace(value, curvature);
        if (inserted) return;
        const std::string& name = builder_.graph().node(value.node).name;
        found->second = builder_.add(make_op("add"), {found->second, curvature},
                                     builder_.unique_name(name + ".curvature_sum"));
    }

    GraphBuilder& builder_;
    std::vector<bool> reached_;
    std::map<int, Value> gradients_;
    std::map<Value, Value> curvatures_;
};

}  // namespace

std::vector<Value> curvature(GraphBuilder& builder, Value loss, const std::vector<int>& targets) {
    Walk walk(builder, targets);
    walk.run(loss);
    std::vector<Value> curvatures;
    for (int target : targets) curvatures.push_back(walk.of(target));
    return curvatures;
}

}  // namespace emulsion
