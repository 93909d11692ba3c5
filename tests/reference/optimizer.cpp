// Optimisers, dropout and noise.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "compiler/ops/adadelta.h"
#include "compiler/ops/adagrad.h"
#include "compiler/ops/adam.h"
#include "compiler/ops/clip.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/gaussian_noise.h"
#include "compiler/ops/gumbel_noise.h"
#include "compiler/ops/keep_old.h"
#include "compiler/ops/l1_penalty.h"
#include "compiler/ops/levenberg_marquardt.h"
#include "compiler/ops/rmsprop.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/weight_decay.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

double only(const Tensor& scalar) { return scalar.values[0]; }

std::vector<Tensor> sgd_plain(const Call& call) {
    Tensor w = call.output();
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        w.values[i] = old - only(call.input(2)) *
                                (call.input(1).values[i] + call.as<SgdPlain>().weight_decay * old);
    }
    return {w};
}

std::vector<Tensor> sgd_update(const Call& call) {
    const auto& op = call.as<SgdUpdate>();
    Tensor w = call.output(0), m = call.output(1);
    const double momentum = op.scalars == 2 ? only(call.input(3)) : op.momentum;
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d =
            (call.input(1).values[i] + op.weight_decay * old) * (op.damped ? 1 - momentum : 1);
        m.values[i] = momentum * call.input(2).values[i] + d;
        w.values[i] = old - only(*call.inputs.back()) *
                                (op.nesterov ? momentum * m.values[i] + d : m.values[i]);
    }
    return {w, m};
}

std::vector<Tensor> keep_old(const Call& call) {
    const auto count = static_cast<size_t>(call.as<KeepOld>().tensors);
    std::vector<Tensor> next;
    for (size_t i = 1; i <= count; i++)
        next.push_back(only(call.input(0)) == 0 ? call.input(i) : call.input(count + i));
    return next;
}

std::vector<Tensor> adam_correction(const Call& call) {
    Tensor c = call.output();
    for (size_t i = 0; i < c.values.size(); i++)
        c.values[i] = 1 - (1 - call.input(0).values[i]) * call.as<AdamCorrection>().beta;
    return {c};
}

std::vector<Tensor> adam_update(const Call& call) {
    const auto& op = call.as<AdamUpdate>();
    Tensor w = call.output(0), m = call.output(1), v = call.output(2);
    const double rest1 = op.bias_correction ? only(call.input(4)) : 1;
    const double rest2 = op.bias_correction ? only(call.input(5)) : 1;
    const double rate = only(call.input(6));
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d = call.input(1).values[i] + (op.decoupled ? 0 : op.weight_decay * old);
        m.values[i] = op.beta1 * call.input(2).values[i] + (1 - op.beta1) * d;
        v.values[i] = op.beta2 * call.input(3).values[i] + (1 - op.beta2) * d * d;
        const double m_hat = m.values[i] / rest1, v_hat = v.values[i] / rest2;
        double step = m_hat / (std::sqrt(v_hat) + op.epsilon);
        if (op.form == "inside") step = m_hat / std::sqrt(v_hat + op.epsilon);
        if (op.form == "keras")
            step = m_hat * std::sqrt(rest2) / (std::sqrt(v.values[i]) + op.epsilon);
        w.values[i] = old - rate * step - (op.decoupled ? rate * op.weight_decay * old : 0);
    }
    return {w, m, v};
}

std::vector<Tensor> adagrad_update(const Call& call) {
    const auto& op = call.as<AdagradUpdate>();
    Tensor w = call.output(0), s = call.output(1);
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d = call.input(1).values[i] + op.weight_decay * old;
        s.values[i] = call.input(2).values[i] + d * d;
        w.values[i] = old - only(call.input(3)) * d / (std::sqrt(s.values[i]) + op.epsilon);
    }
    return {w, s};
}

std::vector<Tensor> levenberg_marquardt_update(const Call& call) {
    const auto& op = call.as<LevenbergMarquardtUpdate>();
    Tensor w = call.output(0);
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d = call.input(1).values[i] + op.weight_decay * old;
        const double curvature = call.input(2).values[i] / only(call.input(3)) + op.weight_decay;
        w.values[i] = old - only(call.input(4)) * d / (curvature + op.damping);
    }
    return {w};
}

std::vector<Tensor> adadelta_update(const Call& call) {
    const auto& op = call.as<AdadeltaUpdate>();
    Tensor w = call.output(0), s = call.output(1), u = call.output(2);
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i], steps = call.input(3).values[i];
        const double d = call.input(1).values[i] + op.weight_decay * old;
        s.values[i] = op.rho * call.input(2).values[i] + (1 - op.rho) * d * d;
        const double step = std::sqrt((steps + op.epsilon) / (s.values[i] + op.epsilon)) * d;
        u.values[i] = op.rho * steps + (1 - op.rho) * step * step;
        w.values[i] = old - only(call.input(4)) * step;
    }
    return {w, s, u};
}

std::vector<Tensor> rmsprop_update(const Call& call) {
    const auto& op = call.as<RmspropUpdate>();
    std::vector<Tensor> next;
    for (size_t k = 0; k < call.types.size(); k++) next.push_back(call.output(k));
    for (size_t i = 0; i < next[0].values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d = call.input(1).values[i] + op.weight_decay * old;
        size_t k = 1;
        double spread = op.rho * call.input(2).values[i] + (1 - op.rho) * d * d;
        next[k++].values[i] = spread;
        if (op.centered) {
            const double mean = op.rho * call.input(3).values[i] + (1 - op.rho) * d;
            next[k++].values[i] = mean;
            spread = std::max(0.0, spread - mean * mean);
        }
        double step =
            d / (op.inside ? std::sqrt(spread + op.epsilon) : std::sqrt(spread) + op.epsilon);
        if (op.has_momentum()) {
            const double momentum = op.scalars == 2 ? only(call.input(k + 2)) : op.momentum;
            step += momentum * call.input(k + 1).values[i];
            next[k].values[i] = step;
        }
        next[0].values[i] = old - only(*call.inputs.back()) * step;
    }
    return next;
}

std::vector<Tensor> clip_value(const Call& call) {
    Tensor g = call.output();
    const double limit = call.as<ClipValue>().limit;
    for (size_t i = 0; i < g.values.size(); i++)
        g.values[i] = std::min(std::max(call.input(0).values[i], -limit), limit);
    return {g};
}

std::vector<Tensor> clip_factor(const Call& call) {
    Tensor factor = call.output();
    factor.values[0] = std::min(1.0, call.as<ClipFactor>().norm / std::sqrt(only(call.input(0))));
    return {factor};
}

std::vector<Tensor> sum_squares(const Call& call) {
    Tensor sum = call.output();
    for (double value : call.input(0).values) sum.values[0] += value * value;
    return {sum};
}

std::vector<Tensor> l1_penalty(const Call& call) {
    Tensor g = call.output();
    for (size_t i = 0; i < g.values.size(); i++) {
        const double w = call.input(1).values[i], factor = call.as<L1Penalty>().factor;
        g.values[i] = call.input(0).values[i] + (w > 0 ? factor : w < 0 ? -factor : 0);
    }
    return {g};
}

std::vector<Tensor> l2_penalty(const Call& call) {
    Tensor g = call.output();
    for (size_t i = 0; i < g.values.size(); i++) {
        g.values[i] = call.input(0).values[i] + only(call.input(2)) * call.input(1).values[i];
    }
    return {g};
}

std::vector<Tensor> decay_weights(const Call& call) {
    Tensor w = call.output();
    const double factor = only(call.input(2)) * only(call.input(3));
    for (size_t i = 0; i < w.values.size(); i++)
        w.values[i] = call.input(0).values[i] - factor * call.input(1).values[i];
    return {w};
}

using Words = std::array<uint32_t, 4>;

// Philox4x32-10.
Words philox(Words c, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = uint64_t{c[0]} * 0xD2511F53U, p1 = uint64_t{c[2]} * 0xCD9E8D57U;
        c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(p1),
             static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(p0)};
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
    return c;
}

// The random words of an element.
Words words_of(const Call& call, uint32_t element, int64_t site) {
    const auto word = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<int64_t>(only(call.input(i))));
    };
    return philox({element, static_cast<uint32_t>(site), word(3), word(4)}, word(1), word(2));
}

// `element` numbers what is dropped together.
template <class Element>
std::vector<Tensor> drop(const Call& call, const Element& element) {
    const auto& op = call.as<Dropout>();
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++) {
        const uint32_t random = words_of(call, static_cast<uint32_t>(element(y, i)), op.site)[0];
        y.values[i] =
            random >= op.rate * 4294967296.0 ? call.input(0).values[i] / (1 - op.rate) : 0;
    }
    return {y};
}

std::vector<Tensor> dropout(const Call& call) {
    const std::vector<size_t> places = memory_offsets(call.output().type, call.output().samples);
    return drop(call, [&](const Tensor&, size_t i) { return places[i]; });
}

std::vector<Tensor> spatial_dropout(const Call& call) {
    return drop(call, [](const Tensor& y, size_t i) {
        return i / static_cast<size_t>(element_count(y.type) / y.type.shape[0]);
    });
}

// A sum of the last digits of u would be lost in the logarithm near 1: u is rounded as it is made.
std::vector<Tensor> gaussian_noise(const Call& call) {
    const auto& op = call.as<GaussianNoise>();
    Tensor y = call.output();
    const std::vector<size_t> places = memory_offsets(y.type, y.samples);
    for (size_t i = 0; i < y.values.size(); i++) {
        const auto element = static_cast<uint32_t>(places[i]);
        const Words words = words_of(call, element, op.site);
        const auto u = static_cast<float>(std::ldexp((words[0] >> 8) + 0.5, -24));
        const double v = std::ldexp(words[1] >> 8, -24) - 0.5;
        const double number =
            std::sqrt(-2 * std::log(double{u})) * std::cos(2 * std::numbers::pi * v);
        y.values[i] = call.input(0).values[i] + op.deviation * number;
    }
    return {y};
}

std::vector<Tensor> gumbel_noise(const Call& call) {
    Tensor y = call.output();
    const std::vector<size_t> places = memory_offsets(y.type, y.samples);
    for (size_t i = 0; i < y.values.size(); i++) {
        const auto element = static_cast<uint32_t>(places[i]);
        const uint32_t word = words_of(call, element, call.as<GumbelNoise>().site)[0];
        const double u = std::ldexp((word >> 9) + 0.5, -23);
        y.values[i] = call.input(0).values[i] - std::log(-std::log(u));
    }
    return {y};
}

}  // namespace

void add_optimizer(Table& table) {
    table["adadelta_update"] = adadelta_update;
    table["adagrad_update"] = adagrad_update;
    table["adam_correction"] = adam_correction;
    table["adam_update"] = adam_update;
    table["clip_factor"] = clip_factor;
    table["clip_value"] = clip_value;
    table["decay_weights"] = decay_weights;
    table["dropout"] = dropout;
    table["gaussian_noise"] = gaussian_noise;
    table["gumbel_noise"] = gumbel_noise;
    table["keep_old"] = keep_old;
    table["l1_penalty"] = l1_penalty;
    table["l2_penalty"] = l2_penalty;
    table["levenberg_marquardt_update"] = levenberg_marquardt_update;
    table["rmsprop_update"] = rmsprop_update;
    table["sgd_plain"] = sgd_plain;
    table["sgd_update"] = sgd_update;
    table["spatial_dropout"] = spatial_dropout;
    table["sum_squares"] = sum_squares;
}

}  // namespace emulsion::reference
