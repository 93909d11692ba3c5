// The model itself: inputs, outputs, settings, and the record of mistakes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "dsl/layer.h"
#include "dsl/model_state.h"

namespace emulsion {

using internal::Access;
using internal::location;
using internal::ModelState;

namespace {

constexpr int64_t kMostCells = 1 << 20;  // of an input along an axis

}  // namespace

namespace internal {

SourceLocation location(const Place& where) {
    return {where.file_name(), static_cast<int>(where.line())};
}

// Only the last star is ever tried anew, with one byte more: an earlier one that took more would
// leave less for the rest. Time grows with the product of the lengths.
bool matches(std::string_view pattern, std::string_view text) {
    size_t p = 0, t = 0, star = pattern.npos, taken = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            taken = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            p++;
            t++;
        } else if (star != pattern.npos) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool is_layer_name(std::string_view name) {
    if (name.empty() || !std::isalpha(static_cast<unsigned char>(name[0])) || name.back() == '.')
        return false;
    for (char c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

void ModelState::mistake(std::string_view code, std::string message, std::string fix,
                         const SourceLocation& place, std::vector<std::string> notes) {
    mistakes.push_back(
        {std::string(code), std::move(message), std::move(fix), place, std::move(notes)});
}

void ModelState::mistake(const Error& error, const SourceLocation& place) {
    mistakes.push_back(error.diagnostic());
    if (mistakes.back().where.file.empty()) mistakes.back().where = place;
}

void ModelState::set_once(std::string_view function, SourceLocation& first,
                          const SourceLocation& place) {
    if (first.file.empty()) {
        first = place;
        return;
    }
    mistake("twice", fmt::format("{}() is called twice for one model", function),
            "leave out one of the two", place,
            {fmt::format("first called at {}:{}", first.file, first.line)});
}

Tensor Access::make(std::shared_ptr<ModelState> model, Value value) {
    Tensor tensor;
    tensor.model_ = std::move(model);
    tensor.node_ = value.node;
    tensor.output_ = value.output;
    return tensor;
}

Tensor Access::poison(std::shared_ptr<ModelState> model) {
    Tensor tensor;
    tensor.model_ = std::move(model);
    return tensor;
}

}  // namespace internal

std::vector<int64_t> Tensor::shape() const {
    if (model_ == nullptr || node_ < 0) return {};
    return model_->builder.type({node_, output_}).shape;
}

Model::Model(const std::string& name, Place where) : state_(std::make_shared<ModelState>(name)) {
    state_->where = location(where);
    if (is_network_name(name)) return;
    state_->mistake("name", fmt::format("'{}' is no name for a network", name),
                    "use a letter, then letters, digits, '_' and '-', at most 64", state_->where);
}

Tensor Model::input(const std::string& name, const std::vector<int64_t>& shape, Place where) {
    return internal::write_layer_of(
        state_, "input", name, {}, where, [&](internal::Layer& layer, const auto&) {
            bool fits = !shape.empty() && shape.size() <= 4;
            for (int64_t extent : shape) fits = fits && extent >= 1 && extent <= kMostCells;
            if (!fits) {
                layer.refuse(
                    "shape", fmt::format("[{}] is no shape of an input", fmt::join(shape, ",")),
                    fmt::format("give {{features}}, {{channels, length}}, {{channels, height, "
                                "width}} or {{channels, depth, height, width}}, each from 1 "
                                "to {}",
                                kMostCells));
            }
            return layer.input(layer.name(), batched_type(shape));
        });
}

Tensor Model::parameter(const std::string& name, const std::vector<int64_t>& shape,
                        const Init& init, Place where) {
    return internal::write_layer_of(
        state_, "parameter", name, {}, where, [&](internal::Layer& layer, const auto&) {
            bool fits = shape.size() <= 4;
            for (int64_t extent : shape) fits = fits && extent >= 1 && extent <= kMostCells;
            const int64_t count = fits ? bounded_product(shape) : -1;
            if (count < 0) {
                layer.refuse("shape",
                             fmt::format("[{}] is no shape of a parameter", fmt::join(shape, ",")),
                             fmt::format("give {{}}, {{channels}}, or channels and one to three "
                                         "extents behind them, each from 1 to {}",
                                         kMostCells));
            }
            layer.expect_init_without_inputs(init, "parameter");
            const bool is_map = shape.size() > 1;
            const Value row =
                layer.parameter("", plain_type(is_map ? std::vector<int64_t>{count} : shape), init);
            if (!is_map) return row;
            internal::Layer map(state_, "parameter", layer.name() + ".map", location(where));
            const Value repeated =
                map.add("repeated", "expand", {row}, {{"shape", std::vector<int64_t>{count}}});
            return map.reshaped(repeated, shape);
        });
}

void Model::output(const std::string& name, const Tensor& value, Place place) {
    SourceLocation where = location(place);
    const bool is_reserved = is_for_training(name);
    if (is_reserved || !internal::is_layer_name(name)) {
        state_->mistake("name", fmt::format("'{}' is no name for an output", name),
                        is_reserved ? "choose another name: the model hands out loss, correct and "
                                      "counted, and those of a NAME, itself"
                                    : "use a letter, then letters, digits, '_', '-' and '.'",
                        where);
        return;
    }
    internal::write_output(state_, name, value, where);
}

void Model::optimizer(const Optimizer& optimizer, Place where) {
    state_->set_once("optimizer", state_->optimizer_where, location(where));
    state_->optimizer = optimizer.spec;
    state_->schedule = optimizer.schedule;
}

void Model::classes(const std::vector<std::string>& names, Place where) {
    state_->set_once("classes", state_->classes_where, location(where));
    state_->classes = names;
}

void Model::normalize(const std::vector<double>& mean, const std::vector<double>& deviation,
                      Place where) {
    state_->set_once("normalize", state_->normalization_where, location(where));
    state_->normalization = {mean, deviation};
}

void Model::freeze(const std::string& pattern, Place where) {
    state_->frozen.push_back({pattern, location(where)});
}

void Model::no_decay(const std::string& pattern, Place where) {
    state_->undecayed.push_back({pattern, location(where)});
}

void Model::learning_rate(const std::string& pattern, double factor, Place where) {
    if (!(factor >= 0 && factor <= 1e6)) {
        state_->mistake(
            "rate",
            fmt::format("learning_rate: the factor {} is not between 0 and 1000000", factor),
            "choose a value from 0 to 1000000", location(where));
        return;
    }
    state_->rates.push_back({{pattern, location(where)}, factor});
}

// Optimisers and schedules

namespace {

ScheduleSpec schedule_of(const char* kind) {
    ScheduleSpec spec;
    spec.kind = kind;
    return spec;
}

ScheduleSpec schedule_of(const char* kind, int64_t every, double gamma, bool in_epochs) {
    ScheduleSpec spec = schedule_of(kind);
    spec.every = every;
    spec.gamma = gamma;
    spec.in_epochs = in_epochs;
    return spec;
}

// What the options of all optimisers have.
template <class Options>
OptimizerSpec spec_of(const char* kind, const Options& options) {
    OptimizerSpec spec;
    spec.kind = kind;
    spec.learning_rate = options.learning_rate;
    spec.weight_decay = options.weight_decay;
    spec.l1 = options.l1;
    spec.clip_value = options.clip_value;
    spec.clip_norm = options.clip_norm;
    if constexpr (requires { options.adjustable; }) spec.adjustable = options.adjustable;
    return spec;
}

template <class Options>
OptimizerSpec adam_spec(const Options& options) {
    OptimizerSpec spec = spec_of("adam", options);
    spec.beta1 = options.beta1;
    spec.beta2 = options.beta2;
    spec.epsilon = options.epsilon;
    spec.form = options.form == AdamForm::outside  ? "outside"
                : options.form == AdamForm::inside ? "inside"
                                                   : "keras";
    spec.bias_correction = options.bias_correction;
    return spec;
}

}  // namespace

ScheduleSpec constant_rate() { return schedule_of("constant"); }

ScheduleSpec step_rate(const StepRateOptions& options) {
    return schedule_of("step", options.every, options.gamma, options.in_epochs);
}

ScheduleSpec multi_step_rate(const MultiStepRateOptions& options) {
    ScheduleSpec spec = schedule_of("multi_step");
    spec.at = options.at;
    spec.gamma = options.gamma;
    spec.in_epochs = options.in_epochs;
    return spec;
}

ScheduleSpec exponential_rate(const ExponentialRateOptions& options) {
    return schedule_of("exponential", options.every, options.gamma, options.in_epochs);
}

ScheduleSpec linear_rate(const LinearRateOptions& options) {
    ScheduleSpec spec = schedule_of("linear");
    spec.final = options.final;
    return spec;
}

ScheduleSpec polynomial_rate(const PolynomialRateOptions& options) {
    ScheduleSpec spec = schedule_of("polynomial");
    spec.power = options.power;
    spec.final = options.final;
    return spec;
}

ScheduleSpec cosine_rate(const CosineRateOptions& options) {
    ScheduleSpec spec = schedule_of("cosine");
    spec.final = options.final;
    return spec;
}

ScheduleSpec cosine_restarts_rate(const CosineRestartsRateOptions& options) {
    ScheduleSpec spec = schedule_of("cosine_restarts");
    spec.every = options.every;
    spec.growth = options.growth;
    spec.final = options.final;
    spec.in_epochs = options.in_epochs;
    return spec;
}

ScheduleSpec cyclic_rate(const CyclicRateOptions& options) {
    ScheduleSpec spec = schedule_of("cyclic", options.every, options.gamma, options.in_epochs);
    spec.start = options.start;
    return spec;
}

ScheduleSpec one_cycle_rate(const OneCycleRateOptions& options) {
    ScheduleSpec spec = schedule_of("one_cycle");
    spec.rise = options.rise;
    spec.start = options.start;
    spec.end = options.end;
    return spec;
}

ScheduleSpec plateau_rate(const PlateauRateOptions& options) {
    ScheduleSpec spec = schedule_of("plateau");
    spec.gamma = options.gamma;
    spec.patience = options.patience;
    spec.threshold = options.threshold;
    spec.cooldown = options.cooldown;
    spec.end = options.end;
    spec.metric = options.metric == RateMetric::loss ? "loss" : "accuracy";
    return spec;
}

ScheduleSpec warm_up(const WarmUpOptions& options) {
    ScheduleSpec spec = options.then;
    spec.warm_up += options.steps;
    spec.warm_up_epochs += options.epochs;
    return spec;
}

Optimizer sgd(const SgdOptions& options) {
    OptimizerSpec spec = spec_of("sgd", options);
    spec.momentum = options.momentum;
    spec.nesterov = options.nesterov;
    spec.damped = options.damped;
    return {spec, options.schedule};
}

Optimizer adam(const AdamOptions& options) {
    OptimizerSpec spec = adam_spec(options);
    spec.decoupled = options.decoupled;
    return {spec, options.schedule};
}

Optimizer adamw(const AdamwOptions& options) {
    OptimizerSpec spec = adam_spec(options);
    spec.decoupled = true;
    return {spec, options.schedule};
}

Optimizer adagrad(const AdagradOptions& options) {
    OptimizerSpec spec = spec_of("adagrad", options);
    spec.epsilon = options.epsilon;
    spec.initial = options.initial;
    return {spec, options.schedule};
}

Optimizer adadelta(const AdadeltaOptions& options) {
    OptimizerSpec spec = spec_of("adadelta", options);
    spec.rho = options.rho;
    spec.epsilon = options.epsilon;
    return {spec, options.schedule};
}

Optimizer rmsprop(const RmspropOptions& options) {
    OptimizerSpec spec = spec_of("rmsprop", options);
    spec.rho = options.rho;
    spec.epsilon = options.epsilon;
    spec.inside = options.inside;
    spec.centered = options.centered;
    spec.momentum = options.momentum;
    return {spec, options.schedule};
}

Optimizer levenberg_marquardt(const LevenbergMarquardtOptions& options) {
    OptimizerSpec spec = spec_of("levenberg_marquardt", options);
    spec.epsilon = options.damping;
    spec.rho = options.rho;
    return {spec, options.schedule};
}

}  // namespace emulsion
