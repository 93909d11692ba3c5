// How a model is trained, as a model file says it: the learning rate over the run, the optimiser,
// and the options of the losses, whose functions are those of Model. Part of dsl/emulsion.h, which
// a model file includes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/graph/training.h"

namespace emulsion {

// The learning rate over the run; the optimiser's is that of the first step, or where the rate
// rises first, the highest. Steps are those of the optimiser, from 0; with `in_epochs` the counts
// of steps in the same options are counts of epochs.

// Times gamma every so many steps: at once, or (exponential_rate) evenly on the way.
struct StepRateOptions {
    int64_t every = 1000;
    double gamma = 0.1;
    bool in_epochs = false;
};
struct ExponentialRateOptions {
    int64_t every = 1000;
    double gamma = 0.1;
    bool in_epochs = false;
};
// Times gamma at each of these steps, in ascending order.
struct MultiStepRateOptions {
    std::vector<int64_t> at = {};
    double gamma = 0.1;
    bool in_epochs = false;
};
// Over the run down to `final`, at the end of the last step: on a line, on (1 - part of the run)
// to the power, or along half a cosine.
struct LinearRateOptions {
    double final = 0;
};
struct PolynomialRateOptions {
    double power = 2;
    double final = 0;
};
struct CosineRateOptions {
    double final = 0;
};
// Half a cosine down to `final` over so many steps, then anew from the whole rate, each time over
// `growth` times as many.
struct CosineRestartsRateOptions {
    int64_t every = 1000;
    int64_t growth = 1;
    double final = 0;
    bool in_epochs = false;
};
// In `every` steps from the share `start` of the rate up to the rate, in as many down again, and so
// on (triangular); each cycle rises gamma times as far as the one before (0.5: "triangular2").
struct CyclicRateOptions {
    int64_t every = 1000;
    double start = 0.1;
    double gamma = 1;
    bool in_epochs = false;
};
// Along a cosine in the share `rise` of the run from the share `start` of the rate up to the rate,
// then down to the share `end` of it in the last step. (Momentum stays as it is.)
struct OneCycleRateOptions {
    double rise = 0.3;
    double start = 0.04;
    double end = 4e-6;
};
enum class RateMetric { loss, accuracy };
// Times gamma when the metric of the validation (--validation) has been no better for more than
// `patience` epochs than at its best, by more than the share `threshold` of it; the `cooldown`
// epochs after that are not looked at. Never below the share `end` of the rate.
struct PlateauRateOptions {
    double gamma = 0.1;
    int64_t patience = 10;
    double threshold = 1e-4;
    int64_t cooldown = 0;
    double end = 0;
    RateMetric metric = RateMetric::loss;
};
ScheduleSpec constant_rate();
ScheduleSpec step_rate(const StepRateOptions& options = {});
ScheduleSpec multi_step_rate(const MultiStepRateOptions& options);
ScheduleSpec exponential_rate(const ExponentialRateOptions& options = {});
ScheduleSpec linear_rate(const LinearRateOptions& options = {});
ScheduleSpec polynomial_rate(const PolynomialRateOptions& options = {});
ScheduleSpec cosine_rate(const CosineRateOptions& options = {});
ScheduleSpec cosine_restarts_rate(const CosineRestartsRateOptions& options = {});
ScheduleSpec cyclic_rate(const CyclicRateOptions& options = {});
ScheduleSpec one_cycle_rate(const OneCycleRateOptions& options = {});
ScheduleSpec plateau_rate(const PlateauRateOptions& options = {});

// In front of any schedule: the rate rises evenly in so many steps, and steps of so many epochs, to
// its first one: the last of them has it, and the first of N an Nth. `then` begins after them; a
// run that it spans is what is left.
struct WarmUpOptions {
    int64_t steps = 0;
    int64_t epochs = 0;
    ScheduleSpec then = cosine_rate();
};
ScheduleSpec warm_up(const WarmUpOptions& options);

// Optimisers. In all of them, 0 meaning none:
//     weight_decay  an L2 penalty: weight_decay * w joins the gradient
//     l1            an L1 penalty: l1 * sign(w) joins it, too; no_decay() exempts from both
//     clip_value    each value of a gradient is cut to -clip_value .. clip_value
//     clip_norm     all gradients together are scaled down to this norm, where theirs is larger;
//                   reads every gradient once more, and libraries built with --update=at-once keep
//                   all of them until the norm is known
// Only one of the last two; penalties join what is clipped. With `adjustable` the trainer's options
// --weight-decay and --momentum (of sgd and rmsprop) may give other values than these: they are
// part of the state then, which costs a little where they are 0.

struct SgdOptions {
    double learning_rate = 0.01;
    double momentum = 0;
    bool nesterov = false;
    bool damped = false;  // m = momentum * m + (1 - momentum) * g
    double weight_decay = 0;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

enum class AdamForm { outside, inside, keras };  // where epsilon stands

// Keras's Adam is {.epsilon = 1e-7, .form = AdamForm::keras}.
struct AdamOptions {
    double learning_rate = 0.001;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    AdamForm form = AdamForm::outside;
    double weight_decay = 0;
    bool decoupled = false;  // weight decay apart from the gradient: AdamW
    bool bias_correction = true;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

// Adam whose weight decay, times the rate, acts on the weights themselves.
struct AdamwOptions {
    double learning_rate = 0.001;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    AdamForm form = AdamForm::outside;
    double weight_decay = 0.01;
    bool bias_correction = true;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

// Keras's begins at {.epsilon = 1e-7, .initial = 0.1}.
struct AdagradOptions {
    double learning_rate = 0.01;
    double epsilon = 1e-10;
    double initial = 0;  // where the sums of squares begin
    double weight_decay = 0;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

struct AdadeltaOptions {
    double learning_rate = 1;
    double rho = 0.9;
    double epsilon = 1e-6;
    double weight_decay = 0;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

// Keras's is {.learning_rate = 0.001, .rho = 0.9, .epsilon = 1e-7, .inside = true}.
struct RmspropOptions {
    double learning_rate = 0.01;
    double rho = 0.99;
    double epsilon = 1e-8;
    bool inside = false;    // epsilon stands inside the root
    bool centered = false;  // divides by the deviation of the gradients instead of their size
    double momentum = 0;
    double weight_decay = 0;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    bool adjustable = false;
    ScheduleSpec schedule = cosine_rate();
};

// Stochastic diagonal Levenberg-Marquardt (LeCun and others, "Efficient BackProp", 1998): the rate
// of each weight is divided by its curvature plus `damping`; the curvature is a running average of
// the diagonal of the Gauss-Newton matrix over the steps. On a quadratic, a rate of 1 without
// damping lands on the minimum. A step costs about twice a plain one. For networks of convolutions,
// dense layers, pooling, activations, dropout and rbf; a norm's layer is refused.
struct LevenbergMarquardtOptions {
    double learning_rate = 0.001;
    double damping = 0.02;  // above 0, at most 1: bounds the rate where the loss is flat
    double rho = 0.99;      // what the average keeps in a step
    double weight_decay = 0;
    double l1 = 0;
    double clip_value = 0;
    double clip_norm = 0;
    ScheduleSpec schedule = cosine_rate();
};

struct Optimizer {
    OptimizerSpec spec;
    ScheduleSpec schedule;
};
Optimizer sgd(const SgdOptions& options = {});
Optimizer adam(const AdamOptions& options = {});
Optimizer adamw(const AdamwOptions& options = {});
Optimizer adagrad(const AdagradOptions& options = {});
Optimizer adadelta(const AdadeltaOptions& options = {});
Optimizer rmsprop(const RmspropOptions& options = {});
Optimizer levenberg_marquardt(const LevenbergMarquardtOptions& options = {});

// A loss counts with its weight in the sum of all losses of the model. With a name its outputs are
// NAME.scores, NAME.prediction, NAME.correct and so on; where there are several losses, training
// hands out each as NAME.loss, before its weight.
struct ClassifyOptions {
    std::string label = "label";             // the input that holds class indices
    double label_smoothing = 0;              // this share is wanted of all classes alike
    std::vector<double> class_weights = {};  // one a class; the mean divides by those of the labels
    // The label of what does not count; unless said, -100 of pixels and none of samples.
    std::optional<int64_t> ignored = {};
    double weight = 1;
    std::string name = {};
};
struct CrossEntropyOptions {
    std::string target = "target";  // the input that holds a probability for each score
    double label_smoothing = 0;
    double weight = 1;
    std::string name = {};
};
struct BinaryCrossEntropyOptions {
    std::string target = "target";  // the input that holds 0, 1 or what is between
    double positive_weight = 1;     // of the share of 1 in the target
    double weight = 1;
    std::string name = {};
};
struct HingeOptions {
    std::string target = "target";  // the input that holds -1 and 1
    bool squared = false;
    double weight = 1;
    std::string name = {};
};
struct MultiMarginOptions {
    std::string label = "label";  // the input that holds class indices
    double margin = 1;
    bool squared = false;
    double weight = 1;
    std::string name = {};
};
struct MeanSquaredErrorOptions {
    std::string target = "target";  // the input that holds the wanted values
    bool half_sum = false;          // half the sum over the features instead of their mean
    double weight = 1;
    std::string name = {};
};
struct MeanAbsoluteErrorOptions {
    std::string target = "target";
    double weight = 1;
    std::string name = {};
};
struct HuberOptions {
    std::string target = "target";
    double delta = 1;  // up to this difference the loss is square, beyond it grows evenly
    double weight = 1;
    std::string name = {};
};
struct SmoothL1Options {
    std::string target = "target";
    double beta = 1;  // as delta of huber
    double weight = 1;
    std::string name = {};
};
struct LossOptions {
    double weight = 1;
    std::string name = {};
};

}  // namespace emulsion
