// How a network is trained, as plain data: optimiser, learning-rate schedule, normalisation of the
// input. The DSL fills these structs and a `.emu` file spells them out. Kept free of other headers,
// since every model file includes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulsion {

class Fields;

// The learning rate of each step of a run. Kinds, where r is the optimiser's rate, s the step from
// 0, T the steps of the run; what is counted in steps is counted in epochs with `in_epochs`:
//     constant         r
//     step             r * gamma^floor(s / every)
//     multi_step       r * gamma^(how many of `at` are <= s)
//     exponential      r * gamma^(s / every)
//     linear           from r down to `final` over the run
//     polynomial       final + (r - final) * (1 - s / T)^power
//     cosine           from r down to `final` over the run along half a cosine
//     cosine_restarts  the same over `every` steps, then again over `growth` times as many, …
//     cyclic           in `every` steps from start * r up to r, in as many down again, …; each
//                      cycle swings gamma times as far as the one before
//     one_cycle        in the share `rise` of the run along a cosine from start * r up to r, then
//                      down to end * r at the last step
//     plateau          r, times gamma whenever the metric of the validation ("loss", "accuracy")
//                      has not become better, by the share `threshold` of the best, for more than
//                      `patience` epochs; the `cooldown` epochs after that do not count; not below
//                      end * r
struct ScheduleSpec {
    std::string kind = "cosine";
    double final = 0;
    int64_t every = 1000;
    double gamma = 0.1;
    std::vector<int64_t> at;  // ascending
    double power = 2;
    int64_t growth = 1;
    double start = 0.1;
    double rise = 0.3;
    double end = 0;
    int64_t patience = 10;
    double threshold = 1e-4;
    int64_t cooldown = 0;
    std::string metric = "loss";
    // In front of any kind: so many steps, and steps of so many epochs, rise linearly to its first
    // rate, which the last of them has; it counts its steps and its run from there.
    int64_t warm_up = 0;
    int64_t warm_up_epochs = 0;
    bool in_epochs = false;

    void fields(Fields& f);  // those of the kind, in printed order
    void extras(Fields& f);  // those of every kind, printed behind them where it has any
    bool has_extras() const;
    bool operator==(const ScheduleSpec&) const = default;
};

// "adadelta", "adagrad", "adam", "levenberg_marquardt", "rmsprop" or "sgd": the op of this name.
// Fields of other kinds keep their defaults.
struct OptimizerSpec {
    std::string kind = "sgd";
    double learning_rate = 0.01;
    double weight_decay = 0;
    // sgd: m = momentum * m + g, or m = momentum * m + (1 - momentum) * g where damped. rmsprop has
    // the momentum, too.
    double momentum = 0;
    bool nesterov = false;
    bool damped = false;
    // adam: `form` says where epsilon stands: "outside" of the root after both corrections,
    // "inside", or "keras".
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;  // of all but sgd; levenberg_marquardt's damping
    std::string form = "outside";
    bool decoupled = false;  // weight decay apart from the gradient, scaled by the rate (AdamW)
    bool bias_correction = true;
    double rho = 0.9;       // adadelta, rmsprop, levenberg_marquardt: what the averages keep
    bool centered = false;  // rmsprop
    bool inside = false;    // rmsprop: epsilon stands inside the root
    double initial = 0;     // adagrad: where the sums begin
    // Of the gradients before the update: each value between -clip_value and clip_value; all
    // together of a norm of at most clip_norm. 0: as they are. One of the two at most.
    double clip_value = 0;
    double clip_norm = 0;
    double l1 = 0;  // the penalty l1 * |w|, of the weights that decay
    // Weight decay and momentum are numbers of the state, "optimizer.weight_decay" and
    // "optimizer.momentum", which begin as they are here and may be set before a run.
    bool adjustable = false;

    void fields(Fields& f);  // those of the kind, in printed order
    void extras(Fields& f);  // those of every kind, printed behind them where it has any
    bool has_extras() const;
    bool operator==(const OptimizerSpec&) const = default;
};

// x = (pixel / 255 - mean) / deviation for each channel; empty vectors stand for pixel / 255 alone.
struct Normalization {
    std::vector<double> mean;
    std::vector<double> deviation;
    bool empty() const { return mean.empty(); }
    bool operator==(const Normalization&) const = default;
};

}  // namespace emulsion
