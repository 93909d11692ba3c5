// Joins forward graph, gradients, statistics and the optimiser into one graph.
#include "compiler/autodiff/training_step.h"

#include <fmt/format.h>

#include "compiler/autodiff/differentiate.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/freeze_batch_norm.h"

namespace emulsion {

namespace {

// Adds the optimiser's nodes to a graph that has gradients.
class OptimizerWriter {
  public:
    OptimizerWriter(GraphBuilder& builder, const OptimizerSpec& spec)
        : builder_(builder), spec_(spec) {
        auto rate = std::make_shared<Scalar>(plain_type({}));
        rate->name = "learning_rate";
        rate_ = builder_.add(rate, {}, builder_.unique_name("learning_rate"));
        if (spec_.kind == "adam") {
            power1_ = power("adam.power1", spec_.beta1);
            power2_ = power("adam.power2", spec_.beta2);
        }
    }

    void update(int parameter, Value gradient) {
        const std::string name = builder_.graph().node(parameter).name;
        const auto* source = builder_.graph().op_as<Parameter>(parameter);
        double decay = source->decay ? spec_.weight_decay : 0;
        Value weights{parameter, 0};
        if (spec_.kind == "adam") return adam(name, weights, gradient, decay);
        if (spec_.momentum == 0) {
            std::string attributes = fmt::format("{{weight_decay={}}}", decay);
            Value next =
                builder_.add(op_from_text("sgd_plain", attributes), {weights, gradient, rate_},
                             builder_.unique_name(name + ".sgd"));
            return builder_.update(parameter, next);
        }
        Value momentum = state(name + ".momentum", builder_.type(weights), 0);
        std::string attributes =
            fmt::format("{{momentum={}, nesterov={}, damped={}, weight_decay={}}}", spec_.momentum,
                        spec_.nesterov, spec_.damped, decay);
        Value next =
            builder_.add(op_from_text("sgd_update", attributes),
                         {weights, gradient, momentum, rate_}, builder_.unique_name(name + ".sgd"));
        builder_.update(parameter, next);
        builder_.update(momentum.node, {next.node, 1});
    }

  private:
    Value state(const std::string& name, const TensorType& type, double value) {
        auto op = std::make_shared<State>(type);
        op->value = value;
        op->optimizer = true;
        return builder_.add(op, {}, builder_.unique_name(name));
    }

    // beta^t as state: starts at 1 and is multiplied before it is used.
    Value power(const std::string& name, double beta) {
        Value old = state(name, plain_type({}), 1);
        Value next = builder_.add(op_from_text("scale", fmt::format("{{factor={}}}", beta)), {old},
                                  builder_.unique_name(name + ".next"));
        builder_.update(old.node, next);
        return next;
    }

    void adam(const std::string& name, Value weights, Value gradient, double decay) {
        Value m = state(name + ".moment1", builder_.type(weights), 0);
        Value v = state(name + ".moment2", builder_.type(weights), 0);
        std::string attributes = fmt::format(
            "{{beta1={}, beta2={}, epsilon={}, form=\"{}\", weight_decay={}, decoupled={}, "
            "bias_correction={}}}",
            spec_.beta1, spec_.beta2, spec_.epsilon, spec_.form, decay, spec_.decoupled,
            spec_.bias_correction);
        Value next = builder_.add(op_from_text("adam_update", attributes),
                                  {weights, gradient, m, v, power1_, power2_, rate_},
                                  builder_.unique_name(name + ".adam"));
        builder_.update(weights.node, next);
        builder_.update(m.node, {next.node, 1});
        builder_.update(v.node, {next.node, 2});
    }

    GraphBuilder& builder_;
    const OptimizerSpec& spec_;
    Value rate_, power1_, power2_;
};

std::vector<int> trained_parameters(const Graph& graph) {
    std::vector<int> trained;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const auto* parameter = graph.op_as<Parameter>(i);
        if (parameter != nullptr && parameter->trained) trained.push_back(i);
    }
    return trained;
}

}  // namespace

Graph training_step(const Network& network) {
    const Graph forward = freeze_batch_norm(network.graph);
    const Result* loss = forward.find_output("loss");
    if (loss == nullptr) {
        fail("loss", fmt::format("network '{}' has no loss", network.name),
             "end the model with classify(…) or loss(…)");
    }
    GraphBuilder builder(forward);
    builder.output("loss", loss->value);
    if (const Result* correct = forward.find_output("correct"))
        builder.output("correct", correct->value);
    for (const Result& result : forward.results()) {
        if (result.kind == Result::Kind::update) builder.update(result.target, result.value);
    }
    std::vector<int> trained = trained_parameters(forward);
    std::vector<Value> gradients = differentiate(builder, loss->value, trained);
    OptimizerWriter optimizer(builder, network.optimizer);
    for (size_t i = 0; i < trained.size(); i++) {
        if (!gradients[i].defined()) continue;  // the loss does not depend on it: nothing to update
        builder.gradient(trained[i], gradients[i]);
        optimizer.update(trained[i], gradients[i]);
    }
    return remove_dead_nodes(builder.build());
}

}  // namespace emulsion
