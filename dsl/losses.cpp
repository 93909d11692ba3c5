// What a model is trained for. Each loss becomes one number, the mean over the samples, and a term
// of the model's loss.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "dsl/layer.h"

namespace emulsion {

using internal::Access;
using internal::Layer;
using internal::ModelState;

namespace {

const internal::Attributes kMeanOfAll = {
    {"keep_samples", false}, {"keep_channels", false}, {"mean", true}};
const internal::Attributes kSumOfAll = {
    {"keep_samples", false}, {"keep_channels", false}, {"mean", false}};

// Writes a loss as a layer: `body` returns its value f32[].
void write_loss(std::shared_ptr<ModelState> model, std::string_view kind, const std::string& name,
                const Tensor& x, double weight, const Place& where,
                const internal::LayerBody& body) {
    std::string full_name;
    auto checked_body = [&](Layer& layer, const std::vector<Value>& in) {
        full_name = layer.name();
        if (!(std::abs(weight) <= std::numeric_limits<float>::max())) {
            layer.refuse(
                "attribute",
                fmt::format("the weight is {}, which is no number of 32-bit floats", weight),
                "choose a finite number below 3.4e38");
        }
        return body(layer, in);
    };
    Tensor loss = internal::write_layer_of(model, kind, name, {x}, where, checked_body);
    if (Access::is_poisoned(loss)) {
        model->loss_is_poisoned = true;
    } else {
        model->losses.push_back(
            {full_name, Access::value(loss), weight, internal::location(where)});
    }
}

// Half the sum over the features, its mean over the samples.
Value half_sum(Layer& layer, Value square) {
    Value sums =
        layer.add("sums", "reduce", {square}, {{"keep_samples", true}, {"keep_channels", false}});
    Value halves = layer.add("halves", "scale", {sums}, {{"factor", 0.5}});
    return layer.add("", "reduce", {halves}, kMeanOfAll);
}

// What a loss hands out: "scores" where it has no name, else "NAME.scores".
class Outputs {
  public:
    Outputs(std::shared_ptr<ModelState> model, std::string head, const Place& where)
        : model_(std::move(model)), head_(std::move(head)), where_(internal::location(where)) {}
    void add(const std::string& name, Value value) {
        internal::write_output(model_, head_.empty() ? name : head_ + "." + name,
                               Access::make(model_, value), where_);
    }

  private:
    std::shared_ptr<ModelState> model_;
    std::string head_;
    SourceLocation where_;
};

void add_scores(Layer& layer, Outputs& outputs, Value scores) {
    Value probabilities = layer.add("probabilities", "softmax", {scores});
    outputs.add("scores", scores);
    outputs.add("probabilities", probabilities);
}

// The mean of a classifier's losses over what counts: all samples alike, or labels by the weight of
// their class.
class LabelMean {
  public:
    LabelMean(Layer& layer, Value label, const std::vector<double>& class_weights,
              const std::vector<int64_t>& ignored)
        : layer_(layer) {
        if (!ignored.empty()) counted_ = sum_of_weights("counted", label, {}, ignored);
        weight_ = class_weights.empty() ? counted_
                                        : sum_of_weights("weight", label, class_weights, ignored);
    }
    Value of(Value losses) const {
        if (!weight_.defined()) return layer_.add("mean", "reduce", {losses}, kMeanOfAll);
        Value sum = layer_.add("sum", "reduce", {losses}, kSumOfAll);
        return layer_.add("mean", "weighted_mean", {sum, weight_});
    }
    // How many labels count. REQUIRES: some may be ignored.
    Value counted() const { return counted_; }

  private:
    Value sum_of_weights(const std::string& name, Value label,
                         const std::vector<double>& class_weights,
                         const std::vector<int64_t>& ignored) {
        Value each = layer_.add(name + ".each", "label_weight", {label},
                                {{"class_weights", class_weights}, {"ignored", ignored}});
        return layer_.add(name, "reduce", {each}, kSumOfAll);
    }

    Layer& layer_;
    Value counted_, weight_;
};

// A prediction and the input that says what it should be, of its type.
struct Compared {
    Value prediction, target;
};

Compared compare(Layer& layer, Value prediction, const std::string& target) {
    Value x = layer.plain_features(prediction);
    return {x, layer.input(target, layer.type(x))};
}

}  // namespace

void Model::classify(const Tensor& scores, const ClassifyOptions& options, Place where) {
    write_loss(state_, "classify", options.name, scores, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   Value x = layer.plain_features(in[0]);
                   const bool is_map = layer.type(x).shape.size() > 1;
                   std::vector<int64_t> ignored;
                   if (is_map || options.ignored) ignored = {options.ignored.value_or(-100)};
                   Value label =
                       layer.input(options.label, row_type(layer.type(x), ElementType::i32));
                   Value each = layer.add("", "softmax_cross_entropy", {x, label},
                                          {{"label_smoothing", options.label_smoothing},
                                           {"class_weights", options.class_weights},
                                           {"ignored", ignored}});  // loss, correct
                   const LabelMean mean(layer, label, options.class_weights, ignored);
                   Value loss = mean.of(each);
                   Value correct = layer.add("correct", "reduce", {{each.node, 1}}, kSumOfAll);
                   Outputs outputs(state_, options.name, where);
                   outputs.add("correct", correct);
                   if (!ignored.empty()) outputs.add("counted", mean.counted());
                   add_scores(layer, outputs, x);
                   return loss;
               });
}

void Model::cross_entropy(const Tensor& scores, const CrossEntropyOptions& options, Place where) {
    write_loss(state_, "cross_entropy", options.name, scores, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   Value x = layer.plain_features(in[0]);
                   Value target = layer.input(options.target, layer.type(x));
                   Value each = layer.add("each", "distribution_cross_entropy", {x, target},
                                          {{"label_smoothing", options.label_smoothing}});
                   Outputs outputs(state_, options.name, where);
                   add_scores(layer, outputs, x);
                   return layer.add("", "reduce", {each}, kMeanOfAll);
               });
}

void Model::multi_margin(const Tensor& scores, const MultiMarginOptions& options, Place where) {
    write_loss(
        state_, "multi_margin", options.name, scores, options.weight, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            Value x = layer.plain_features(in[0]);
            Value label = layer.input(options.label, row_type(layer.type(x), ElementType::i32));
            Value each = layer.add("each", "multi_margin", {x, label},
                                   {{"margin", options.margin}, {"squared", options.squared}});
            Value correct = layer.add("correct", "reduce", {{each.node, 1}}, kSumOfAll);
            Outputs outputs(state_, options.name, where);
            outputs.add("correct", correct);
            outputs.add("scores", x);
            return layer.add("", "reduce", {each}, kMeanOfAll);
        });
}

void Model::mean_squared_error(const Tensor& prediction, const MeanSquaredErrorOptions& options,
                               Place where) {
    write_loss(state_, "mean_squared_error", options.name, prediction, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   Value difference =
                       layer.add("difference", "subtract", {at.prediction, at.target});
                   Value square = layer.add("square", "multiply", {difference, difference});
                   Value loss = options.half_sum ? half_sum(layer, square)
                                                 : layer.add("", "reduce", {square}, kMeanOfAll);
                   Outputs(state_, options.name, where).add("prediction", at.prediction);
                   return loss;
               });
}

void Model::mean_absolute_error(const Tensor& prediction, const MeanAbsoluteErrorOptions& options,
                                Place where) {
    write_loss(state_, "mean_absolute_error", options.name, prediction, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   Value each = layer.add("each", "absolute_error", {at.prediction, at.target});
                   Outputs(state_, options.name, where).add("prediction", at.prediction);
                   return layer.add("", "reduce", {each}, kMeanOfAll);
               });
}

void Model::huber(const Tensor& prediction, const HuberOptions& options, Place where) {
    write_loss(state_, "huber", options.name, prediction, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   Value each = layer.add("each", "huber", {at.prediction, at.target},
                                          {{"delta", options.delta}});
                   Outputs(state_, options.name, where).add("prediction", at.prediction);
                   return layer.add("", "reduce", {each}, kMeanOfAll);
               });
}

// Huber's loss divided by its delta, whose limit is the absolute error.
void Model::smooth_l1(const Tensor& prediction, const SmoothL1Options& options, Place where) {
    write_loss(state_, "smooth_l1", options.name, prediction, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   const std::vector<Value> both = {at.prediction, at.target};
                   if (!(options.beta >= 0)) {
                       layer.refuse(
                           "attribute",
                           fmt::format("the beta is {}, but must be 0 or more", options.beta),
                           "choose the difference up to which the loss is square, such as 1");
                   }
                   Outputs(state_, options.name, where).add("prediction", at.prediction);
                   if (options.beta == 0) {
                       Value each = layer.add("each", "absolute_error", both);
                       return layer.add("", "reduce", {each}, kMeanOfAll);
                   }
                   Value each = layer.add("each", "huber", both, {{"delta", options.beta}});
                   Value mean = layer.add("mean", "reduce", {each}, kMeanOfAll);
                   return layer.add("", "scale", {mean}, {{"factor", 1 / options.beta}});
               });
}

void Model::binary_cross_entropy(const Tensor& scores, const BinaryCrossEntropyOptions& options,
                                 Place where) {
    write_loss(state_, "binary_cross_entropy", options.name, scores, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   Value each =
                       layer.add("each", "binary_cross_entropy", {at.prediction, at.target},
                                 {{"positive_weight", options.positive_weight}});
                   Value share = layer.add("probabilities", "sigmoid", {at.prediction});
                   Outputs(state_, options.name, where).add("prediction", share);
                   return layer.add("", "reduce", {each}, kMeanOfAll);
               });
}

void Model::hinge(const Tensor& scores, const HingeOptions& options, Place where) {
    write_loss(state_, "hinge", options.name, scores, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   const Compared at = compare(layer, in[0], options.target);
                   Value each = layer.add("each", "hinge", {at.prediction, at.target});
                   if (options.squared) each = layer.add("square", "multiply", {each, each});
                   Outputs(state_, options.name, where).add("prediction", at.prediction);
                   return layer.add("", "reduce", {each}, kMeanOfAll);
               });
}

void Model::loss(const Tensor& value, const LossOptions& options, Place where) {
    write_loss(state_, "loss", options.name, value, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   return layer.type(in[0]) == plain_type({})
                              ? in[0]
                              : layer.add("", "reduce", in, kMeanOfAll);
               });
}

}  // namespace emulsion
