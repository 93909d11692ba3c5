// Optimisers and dropout.
#include <array>
#include <cmath>

#include "compiler/ops/adam.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/keep_old.h"
#include "compiler/ops/sgd.h"
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
    for (size_t i = 0; i < w.values.size(); i++) {
        const double old = call.input(0).values[i];
        const double d =
            (call.input(1).values[i] + op.weight_decay * old) * (op.damped ? 1 - op.momentum : 1);
        m.values[i] = op.momentum * call.input(2).values[i] + d;
        w.values[i] =
            old - only(call.input(3)) * (op.nesterov ? op.momentum * m.values[i] + d : m.values[i]);
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
    c.values[0] = 1 - (1 - only(call.input(0))) * call.as<AdamCorrection>().beta;
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

std::vector<Tensor> dropout(const Call& call) {
    const auto& op = call.as<Dropout>();
    const auto word = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<int64_t>(only(call.input(i))));
    };
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++) {
        const auto element = static_cast<uint32_t>(memory_offset(y.type, y.samples, i));
        const Words counter = {element, static_cast<uint32_t>(op.site), word(3), word(4)};
        const uint32_t random = philox(counter, word(1), word(2))[0];
        y.values[i] =
            random >= op.rate * 4294967296.0 ? call.input(0).values[i] / (1 - op.rate) : 0;
    }
    return {y};
}

}  // namespace

void add_optimizer(Table& table) {
    table["adam_correction"] = adam_correction;
    table["adam_update"] = adam_update;
    table["dropout"] = dropout;
    table["keep_old"] = keep_old;
    table["sgd_plain"] = sgd_plain;
    table["sgd_update"] = sgd_update;
}

}  // namespace emulsion::reference
