// How a network is trained, as plain data: optimiser, learning-rate schedule, normalisation of the
// input. The DSL fills these structs and a `.emu` file spells them out. Kept free of other headers,
// since every model file includes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulsion {

class Fields;

// "constant", "step" (rate * gamma^floor(step / every), counted in optimiser steps) or "cosine"
// (from the rate down to `final` over the run).
struct ScheduleSpec {
    std::string kind = "cosine";
    double final = 0;      // cosine
    int64_t every = 1000;  // step
    double gamma = 0.1;    // step

    void fields(Fields& f);  // those of the kind, in printed order
    bool operator==(const ScheduleSpec&) const = default;
};

// "sgd" or "adam". Fields of the other kind keep their defaults.
struct OptimizerSpec {
    std::string kind = "sgd";
    double learning_rate = 0.01;
    double weight_decay = 0;
    // sgd: m = momentum * m + g, or m = momentum * m + (1 - momentum) * g where damped.
    double momentum = 0;
    bool nesterov = false;
    bool damped = false;
    // adam: `form` says where epsilon stands: "outside" of the root after both corrections,
    // "inside", or "keras".
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    std::string form = "outside";
    bool decoupled = false;  // weight decay apart from the gradient, scaled by the rate (AdamW)
    bool bias_correction = true;

    void fields(Fields& f);  // those of the kind, in printed order
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
