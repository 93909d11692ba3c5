// Joins forward graph, gradients, statistics and the optimiser into one graph.
#include "compiler/autodiff/training_step.h"

#include <fmt/format.h>

#include <map>

#include "compiler/autodiff/curvature.h"
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

// A tensor of the optimiser's state for each parameter, of the parameter's type.
struct Buffer {
    std::string name;
    double value = 0;  // at the start
};

// How an optimiser moves one parameter: `op` (w, g, buffers…, shared…, rate) -> w', buffers'…; one
// that takes its momentum as an operand has it before the rate, and one that takes the curvature
// has the average of that, and what corrects its bias, behind g.
struct UpdateRule {
    std::string op, attributes;
    std::string ending;  // of the node's name
    std::vector<Buffer> buffers;
    std::vector<SharedState> shared;
    bool takes_momentum = false;
    bool takes_curvature = false;
};

int scalars_of(const OptimizerSpec& spec) { return spec.adjustable ? 2 : 1; }

UpdateRule sgd_rule(const OptimizerSpec& spec, double decay) {
    if (spec.momentum == 0 && !spec.adjustable)
        return {"sgd_plain", fmt::format("{{weight_decay={}}}", decay), "sgd", {}, {}};
    return {"sgd_update",
            fmt::format("{{momentum={}, nesterov={}, damped={}, weight_decay={}, scalars={}}}",
                        spec.momentum, spec.nesterov, spec.damped, decay, scalars_of(spec)),
            "sgd",
            {{"momentum"}},
            {},
            spec.adjustable};
}

UpdateRule adam_rule(const OptimizerSpec& spec, double decay) {
    return {"adam_update",
            fmt::format("{{beta1={}, beta2={}, epsilon={}, form=\"{}\", weight_decay={}, "
                        "decoupled={}, bias_correction={}}}",
                        spec.beta1, spec.beta2, spec.epsilon, spec.form, decay, spec.decoupled,
                        spec.bias_correction),
            "adam",
            {{"moment1"}, {"moment2"}},
            {{"adam.correction1", "adam_correction", fmt::format("{{beta={}}}", spec.beta1)},
             {"adam.correction2", "adam_correction", fmt::format("{{beta={}}}", spec.beta2)}}};
}

UpdateRule adagrad_rule(const OptimizerSpec& spec, double decay) {
    return {"adagrad_update",
            fmt::format("{{epsilon={}, weight_decay={}}}", spec.epsilon, decay),
            "adagrad",
            {{"squares", spec.initial}},
            {}};
}

UpdateRule adadelta_rule(const OptimizerSpec& spec, double decay) {
    return {"adadelta_update",
            fmt::format("{{rho={}, epsilon={}, weight_decay={}}}", spec.rho, spec.epsilon, decay),
            "adadelta",
            {{"squares"}, {"steps"}},
            {}};
}

UpdateRule levenberg_marquardt_rule(const OptimizerSpec& spec, double decay) {
    UpdateRule rule{"levenberg_marquardt_update",
                    fmt::format("{{damping={}, weight_decay={}}}", spec.epsilon, decay),
                    "levenberg_marquardt",
                    {},
                    {}};
    rule.takes_curvature = true;
    return rule;
}

UpdateRule rmsprop_rule(const OptimizerSpec& spec, double decay) {
    UpdateRule rule{"rmsprop_update",
                    fmt::format("{{rho={}, epsilon={}, inside={}, centered={}, momentum={}, "
                                "weight_decay={}, scalars={}}}",
                                spec.rho, spec.epsilon, spec.inside, spec.centered, spec.momentum,
                                decay, scalars_of(spec)),
                    "rmsprop",
                    {{"squares"}},
                    {}};
    rule.takes_momentum = spec.adjustable;
    if (spec.centered) rule.buffers.push_back({"mean"});
    if (spec.momentum != 0 || spec.adjustable) rule.buffers.push_back({"momentum"});
    return rule;
}

// One row for each kind of optimiser.
UpdateRule rule_of(const OptimizerSpec& spec, double decay) {
    static const std::map<std::string, UpdateRule (*)(const OptimizerSpec&, double), std::less<>>
        rules = {{"adadelta", adadelta_rule}, {"adagrad", adagrad_rule},
                 {"adam", adam_rule},         {"levenberg_marquardt", levenberg_marquardt_rule},
                 {"rmsprop", rmsprop_rule},   {"sgd", sgd_rule}};
    const auto found = rules.find(spec.kind);
    EMU_CHECK(found != rules.end(), "there is no optimiser '{}'", spec.kind);
    return found->second(spec, decay);
}

// A trained parameter, its gradient, and its curvature where the optimiser takes that.
struct Trained {
    int parameter = -1;
    Value gradient, curvature;
};

// Adds gradients as results, and the optimiser's nodes.
class OptimizerWriter {
  public:
    OptimizerWriter(GraphBuilder& builder, const Network& network)
        : builder_(builder), spec_(network.optimizer), factors_(network.rates) {
        auto rate = std::make_shared<Scalar>(plain_type({}));
        rate->name = "learning_rate";
        rates_[1] = builder_.add(rate, {}, builder_.unique_name("learning_rate"));
        const UpdateRule rule = rule_of(spec_, 0);
        for (const SharedState& shared : rule.shared) add_shared(shared);
        if (rule.takes_curvature) {
            const Value old = average("curvature.correction", plain_type({}));
            correction_ = add("curvature.correction.next", "adam_correction",
                              fmt::format("{{beta={}}}", spec_.rho), {old});
            builder_.update(old.node, correction_);
        }
        if (!spec_.adjustable) return;
        decay_ = state("optimizer.weight_decay", plain_type({}), spec_.weight_decay);
        if (rule.takes_momentum)
            momentum_ = state("optimizer.momentum", plain_type({}), spec_.momentum);
    }

    void write(const std::vector<Trained>& trained) {
        if (spec_.clip_norm != 0 && !trained.empty()) clip_factor_ = factor_of_norm(trained);
        for (const Trained& each : trained) update(each);
    }

  private:
    void update(const Trained& trained) {
        builder_.gradient(trained.parameter, trained.gradient);
        const std::string name = builder_.graph().node(trained.parameter).name;
        const bool decays = builder_.graph().op_as<Parameter>(trained.parameter)->decay;
        const UpdateRule rule =
            rule_of(spec_, decays && !spec_.adjustable ? spec_.weight_decay : 0);
        const Value weights{trained.parameter, 0};
        std::vector<Value> operands = {weights, shaped(trained, name, decays)};
        if (rule.takes_curvature) {
            operands.push_back(averaged(trained.curvature, name));
            operands.push_back(correction_);
        }
        for (const Buffer& buffer : rule.buffers) {
            operands.push_back(
                state(name + "." + buffer.name, builder_.type(weights), buffer.value));
        }
        operands.insert(operands.end(), shared_.begin(), shared_.end());
        if (momentum_.defined()) operands.push_back(momentum_);
        operands.push_back(rate_of(name));
        const Value next = add(name + "." + rule.ending, rule.op, rule.attributes, operands);
        builder_.update(trained.parameter, decayed(next, operands, name, decays));
        for (size_t i = 0; i < rule.buffers.size(); i++)
            builder_.update(operands[2 + i].node, {next.node, static_cast<int>(i) + 1});
    }

    // The running average of the second derivatives. The backward pass makes it, as it makes
    // running statistics: it is in the state by then, and needs no memory from one stage to the
    // other.
    Value averaged(Value curvature, const std::string& name) {
        const Value old = average(name + ".curvature", builder_.type(curvature));
        const Value next = add(name + ".curvature.next", "running_average",
                               fmt::format("{{momentum={}}}", 1 - spec_.rho), {old, curvature});
        builder_.update(old.node, next);
        return next;
    }

    // The gradient as the update takes it: clipped, then with the L1 penalty's.
    Value shaped(const Trained& trained, const std::string& name, bool decays) {
        Value gradient = trained.gradient;
        const std::string clipped = name + ".clipped";
        if (spec_.clip_value != 0) {
            gradient = add(clipped, "clip_value", fmt::format("{{limit={}}}", spec_.clip_value),
                           {gradient});
        }
        if (clip_factor_.defined())
            gradient = add(clipped, "multiply", "", {gradient, clip_factor_});
        if (decay_.defined() && decays && !spec_.decoupled) {
            gradient = add(name + ".penalized", "l2_penalty", "",
                           {gradient, {trained.parameter, 0}, decay_});
        }
        if (spec_.l1 != 0 && decays) {
            gradient =
                add(name + ".penalized", "l1_penalty", fmt::format("{{factor={}}}", spec_.l1),
                    {gradient, {trained.parameter, 0}});
        }
        return gradient;
    }

    // The weights behind a decay apart from the gradient that the update does not make itself.
    Value decayed(Value next, const std::vector<Value>& operands, const std::string& name,
                  bool decays) {
        if (!decay_.defined() || !decays || !spec_.decoupled) return next;
        return add(name + ".decayed", "decay_weights", "",
                   {next, operands.front(), operands.back(), decay_});
    }

    // The sums of squares one after another, in the order of the parameters.
    Value factor_of_norm(const std::vector<Trained>& trained) {
        Value total;
        for (const Trained& each : trained) {
            const std::string name = builder_.graph().node(each.parameter).name;
            const Value squares = add(name + ".squared_norm", "sum_squares", "", {each.gradient});
            total = total.defined() ? add(name + ".squared_norms", "add", "", {squares, total})
                                    : squares;
        }
        return add("clip_factor", "clip_factor", fmt::format("{{norm={}}}", spec_.clip_norm),
                   {total});
    }

    // The rate, times the parameter's factor.
    Value rate_of(const std::string& parameter) {
        const auto found = factors_.find(parameter);
        const double factor = found == factors_.end() ? 1 : found->second;
        Value& rate = rates_[factor];
        if (!rate.defined())
            rate = add("learning_rate.part", "scale", fmt::format("{{factor={}}}", factor),
                       {rates_[1]});
        return rate;
    }

    Value add(const std::string& name, const std::string& op, const std::string& attributes,
              const std::vector<Value>& operands) {
        return builder_.add(op_from_text(op, attributes), operands, builder_.unique_name(name));
    }

    Value state(const std::string& name, const TensorType& type, double value = 0) {
        auto op = std::make_shared<State>(type);
        op->optimizer = true;
        op->value = value;
        return builder_.add(op, {}, builder_.unique_name(name));
    }

    // A state of the backward pass, which is 0 at first.
    Value average(const std::string& name, const TensorType& type) {
        return builder_.add(std::make_shared<State>(type), {}, builder_.unique_name(name));
    }

    void add_shared(const SharedState& shared) {
        const Value old = state(shared.name, plain_type({}));
        const Value next = add(shared.name + ".next", shared.op, shared.attributes, {old});
        builder_.update(old.node, next);
        shared_.push_back(next);
    }

    GraphBuilder& builder_;
    const OptimizerSpec& spec_;
    const std::map<std::string, double>& factors_;  // of the rate, by parameter
    std::map<double, Value> rates_;                 // by factor
    std::vector<Value> shared_;                     // as after this step
    Value decay_, momentum_;                        // where they are adjustable
    Value correction_;                              // of the averages of the curvature
    Value clip_factor_;                             // of all gradients, where a norm bounds them
};

std::vector<int> trained_parameters(const Graph& graph) {
    std::vector<int> trained;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const auto* parameter = graph.op_as<Parameter>(i);
        if (parameter != nullptr && parameter->trained) trained.push_back(i);
    }
    return trained;
}

void add_curvature(GraphBuilder& builder, Value loss, std::vector<Trained>& trained) {
    std::vector<int> parameters;
    for (const Trained& each : trained) parameters.push_back(each.parameter);
    const std::vector<Value> curvatures = curvature(builder, loss, parameters);
    for (size_t i = 0; i < trained.size(); i++) {
        trained[i].curvature = curvatures[i];
        if (curvatures[i].defined()) continue;
        fail("curvature",
             fmt::format("the loss is linear along '{}', as far as the optimizer "
                         "levenberg_marquardt sees: nothing that is curved follows it",
                         builder.graph().node(parameters[i]).name),
             "end the model with classify, cross_entropy, binary_cross_entropy or "
             "mean_squared_error, or choose another optimizer");
    }
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
        if (result.kind == Result::Kind::output && is_measure(result.name))
            builder.output(result.name, result.value);
        if (result.kind == Result::Kind::update) builder.update(result.target, result.value);
    }
    const std::vector<int> parameters = trained_parameters(forward);
    const std::vector<Value> gradients = differentiate(builder, loss->value, parameters);
    std::vector<Trained> trained;
    for (size_t i = 0; i < parameters.size(); i++) {
        if (!gradients[i].defined()) continue;  // the loss does not depend on it: nothing to update
        trained.push_back({parameters[i], gradients[i], {}});
    }
    if (rule_of(network.optimizer, 0).takes_curvature) add_curvature(builder, loss->value, trained);
    OptimizerWriter(builder, network).write(trained);
    return remove_dead_nodes(builder.build());
}

}  // namespace emulsion
