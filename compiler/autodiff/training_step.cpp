// Joins forward graph, gradients, statistics and the optimiser into one graph.
#include "compiler/autodiff/training_step.h"

#include <fmt/format.h>

#include <map>

#include "compiler/autodiff/differentiate.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/freeze_batch_norm.h"

namespace emulsion {

namespace {

// A scalar of the optimiser's state that every update reads: its next value, made by `op` once a
// step.
struct SharedState {
    std::string name;
    std::string op, attributes;
};

// How an optimiser moves one parameter: `op` (w, g, buffers…, shared…, rate) -> w', buffers'….
struct UpdateRule {
    std::string op, attributes;
    std::string ending;                // of the node's name
    std::vector<std::string> buffers;  // state of the parameter's type
    std::vector<SharedState> shared;
};

UpdateRule sgd_rule(const OptimizerSpec& spec, double decay) {
    if (spec.momentum == 0)
        return {"sgd_plain", fmt::format("{{weight_decay={}}}", decay), "sgd", {}, {}};
    return {"sgd_update",
            fmt::format("{{momentum={}, nesterov={}, damped={}, weight_decay={}}}", spec.momentum,
                        spec.nesterov, spec.damped, decay),
            "sgd",
            {"momentum"},
            {}};
}

UpdateRule adam_rule(const OptimizerSpec& spec, double decay) {
    return {"adam_update",
            fmt::format("{{beta1={}, beta2={}, epsilon={}, form=\"{}\", weight_decay={}, "
                        "decoupled={}, bias_correction={}}}",
                        spec.beta1, spec.beta2, spec.epsilon, spec.form, decay, spec.decoupled,
                        spec.bias_correction),
            "adam",
            {"moment1", "moment2"},
            {{"adam.correction1", "adam_correction", fmt::format("{{beta={}}}", spec.beta1)},
             {"adam.correction2", "adam_correction", fmt::format("{{beta={}}}", spec.beta2)}}};
}

// One row for each kind of optimiser.
UpdateRule rule_of(const OptimizerSpec& spec, double decay) {
    static const std::map<std::string, UpdateRule (*)(const OptimizerSpec&, double), std::less<>>
        rules = {{"adam", adam_rule}, {"sgd", sgd_rule}};
    const auto found = rules.find(spec.kind);
    EMU_CHECK(found != rules.end(), "there is no optimiser '{}'", spec.kind);
    return found->second(spec, decay);
}

// Adds the optimiser's nodes to a graph that has gradients.
class OptimizerWriter {
  public:
    OptimizerWriter(GraphBuilder& builder, const OptimizerSpec& spec)
        : builder_(builder), spec_(spec) {
        auto rate = std::make_shared<Scalar>(plain_type({}));
        rate->name = "learning_rate";
        rate_ = builder_.add(rate, {}, builder_.unique_name("learning_rate"));
        for (const SharedState& shared : rule_of(spec_, 0).shared) add_shared(shared);
    }

    void update(int parameter, Value gradient) {
        const std::string name = builder_.graph().node(parameter).name;
        const bool decays = builder_.graph().op_as<Parameter>(parameter)->decay;
        const UpdateRule rule = rule_of(spec_, decays ? spec_.weight_decay : 0);
        const Value weights{parameter, 0};
        std::vector<Value> operands = {weights, gradient};
        for (const std::string& buffer : rule.buffers)
            operands.push_back(state(name + "." + buffer, builder_.type(weights)));
        operands.insert(operands.end(), shared_.begin(), shared_.end());
        operands.push_back(rate_);
        const Value next = builder_.add(op_from_text(rule.op, rule.attributes), operands,
                                        builder_.unique_name(name + "." + rule.ending));
        builder_.update(parameter, next);
        for (size_t i = 0; i < rule.buffers.size(); i++)
            builder_.update(operands[2 + i].node, {next.node, static_cast<int>(i) + 1});
    }

  private:
    Value state(const std::string& name, const TensorType& type) {
        auto op = std::make_shared<State>(type);
        op->optimizer = true;
        return builder_.add(op, {}, builder_.unique_name(name));
    }

    void add_shared(const SharedState& shared) {
        const Value old = state(shared.name, plain_type({}));
        const Value next = builder_.add(op_from_text(shared.op, shared.attributes), {old},
                                        builder_.unique_name(shared.name + ".next"));
        builder_.update(old.node, next);
        shared_.push_back(next);
    }

    GraphBuilder& builder_;
    const OptimizerSpec& spec_;
    Value rate_;
    std::vector<Value> shared_;  // as after this step
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
    for (const Result& result : forward.results()) {
        if (result.kind == Result::Kind::output && is_count(result.name))
            builder.output(result.name, result.value);
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
