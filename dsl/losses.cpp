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
    auto checked_body = [&](Layer& layer, const std::vector<Value>& in) {
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
        model->losses.push_back({Access::value(loss), weight, internal::location(where)});
    }
}

// Half the sum over the features, its mean over the samples.
Value half_sum(Layer& layer, Value square) {
    Value sums =
        layer.add("sums", "reduce", {square}, {{"keep_samples", true}, {"keep_channels", false}});
    Value halves = layer.add("halves", "scale", {sums}, {{"factor", 0.5}});
    return layer.add("", "reduce", {halves}, kMeanOfAll);
}

// "scores" of the model's only unnamed head, or "NAME.scores".
std::string output_name(const std::string& head, const std::string& name) {
    return head.empty() ? name : head + "." + name;
}

}  // namespace

void Model::classify(const Tensor& scores, const ClassifyOptions& options, Place where) {
    write_loss(state_, "classify", options.name, scores, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   layer.expect_features(in[0]);
                   SourceLocation place = internal::location(where);
                   Value x = layer.plain_features(in[0]);
                   Value label = layer.input(options.label, batched_type({}, ElementType::i32));
                   Value each =
                       layer.add("", "softmax_cross_entropy", {x, label});  // loss [n], correct [n]
                   Value loss = layer.add("mean", "reduce", {each}, kMeanOfAll);
                   Value correct = layer.add("correct", "reduce", {{each.node, 1}}, kSumOfAll);
                   Value probabilities = layer.add("probabilities", "softmax", {x});
                   auto hand_out = [&](const char* name, Value value) {
                       internal::write_output(state_, output_name(options.name, name),
                                              Access::make(state_, value), place);
                   };
                   hand_out("correct", correct);
                   hand_out("scores", x);
                   hand_out("probabilities", probabilities);
                   return loss;
               });
}

void Model::mean_squared_error(const Tensor& prediction, const MeanSquaredErrorOptions& options,
                               Place where) {
    write_loss(state_, "mean_squared_error", options.name, prediction, options.weight, where,
               [&](Layer& layer, const std::vector<Value>& in) {
                   Value x = layer.plain_features(in[0]);
                   Value target = layer.input(options.target, layer.type(x));
                   Value difference = layer.add("difference", "subtract", {x, target});
                   Value square = layer.add("square", "multiply", {difference, difference});
                   Value loss = options.half_sum ? half_sum(layer, square)
                                                 : layer.add("", "reduce", {square}, kMeanOfAll);
                   internal::write_output(state_, output_name(options.name, "prediction"),
                                          Access::make(state_, x), internal::location(where));
                   return loss;
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
