// Convolutional restricted Boltzmann machines. A loss whose gradient is that of contrastive
// divergence is all that is needed: the positive statistics are the gradient of F(v), the negative
// ones that of F(vk), where vk counts as given.
#include "dsl/unsupervised.h"

#include <fmt/format.h>

#include "dsl/layer.h"
#include "dsl/window_options.h"

namespace emulsion {

using internal::Access;
using internal::Attributes;
using internal::Layer;
using internal::Numbers;
using internal::write_layer;

Tensor stop_gradient(const Tensor& x, const LayerOptions& options, Place where) {
    return internal::write_node("stop_gradient", options.name, {x}, where);
}

namespace {

// What blocks of hidden units say of their inputs I.
struct Blocks {
    Value free;            // log(1 + sum of e^I), of each block
    Value hidden, pooled;  // probabilities
};

constexpr const char* kData = "data";

// One machine being written. Parts of what is done several times are named by `at`.
class Machine {
  public:
    Machine(Layer& layer, Value x, int filters, const ConvRbmOptions& options)
        : layer_(layer), options_(options), map_(layer.type(x)) {
        const Numbers positions = internal::positions_of(map_);
        const Numbers kernel = checked_numbers(layer, "kernel", options.kernel, 2);
        padding_ = resolved_padding(layer, options.padding, positions, {kernel, {1, 1}, {1, 1}});
        const int64_t channels = map_.shape[0], taps = kernel[0] * kernel[1];
        w_ = layer.parameter("w", plain_type({filters, channels, kernel[0], kernel[1]}),
                             options.init, channels * taps, filters * taps);
        layer.expect_init_without_inputs(options.bias_init, "bias");
        b_ = layer.parameter("b", plain_type({filters}), options.bias_init);
        c_ = layer.parameter("c", plain_type({channels}), Init::zeros());
    }

    // I(v). That of the data is the node that has the layer's name.
    Value inputs(const std::string& at, Value v) {
        const Value y =
            layer_.add(at == kData ? "" : at + ".conv", "conv2d", {v, w_}, {{"padding", padding_}});
        return layer_.add(at + ".input", "add", {y, b_});
    }

    void check_pool(Value inputs) const {
        const Numbers& shape = layer_.type(inputs).shape;
        const int64_t pool = options_.pool;
        if (pool >= 1 && shape[1] % pool == 0 && shape[2] % pool == 0) return;
        layer_.refuse("attribute",
                      fmt::format("the hidden units are {} of each filter, which cannot be cut "
                                  "into blocks of {}",
                                  by(Numbers{shape[1], shape[2]}), by(Numbers{pool, pool})),
                      "choose a pool that divides both, another kernel, or a padding", {inputs});
    }

    Blocks blocks(const std::string& at, Value inputs) {
        if (options_.pool == 1) {
            const Value hidden = layer_.add(at + ".hidden", "sigmoid", {inputs});
            return {layer_.add(at + ".free", "softplus", {inputs}), hidden, hidden};
        }
        // Powers of what lies below the largest of a block, and of the 0 of no unit, so that none
        // is too large; which number that is changes nothing, so it takes no gradient.
        const Value largest = layer_.add(at + ".largest", "max_pool", {inputs}, window());
        const Value above = layer_.add(at + ".above", "relu", {largest});
        const Value top = layer_.add(at + ".top", "stop_gradient", {above});
        const Value below =
            layer_.add(at + ".below", "subtract", {inputs, spread(at + ".tops", top)});
        const Value power = layer_.add(at + ".power", "exp", {below});
        const Value mean = layer_.add(at + ".mean", "average_pool", {power}, window());
        const auto cells = static_cast<double>(options_.pool * options_.pool);
        const Value on = layer_.add(at + ".on", "scale", {mean}, {{"factor", cells}});
        const Value negated = layer_.add(at + ".negated", "negate", {top});
        const Value off = layer_.add(at + ".off", "exp", {negated});
        const Value all = layer_.add(at + ".all", "add", {on, off});
        const Value rest = layer_.add(at + ".rest", "log", {all});
        return {layer_.add(at + ".free", "add", {rest, top}),
                layer_.add(at + ".hidden", "divide", {power, spread(at + ".alls", all)}),
                layer_.add(at + ".pooled", "divide", {on, all})};
    }

    // h drawn from P(h | v): where the largest of a block is larger than the 0 of no unit, each
    // with a Gumbel number of its own.
    Value drawn(const std::string& at, Value inputs) {
        const Value noisy = random(at + ".noisy", inputs);
        Value winner = noisy;
        if (options_.pool > 1) winner = layer_.add(at + ".winner", "max_pool", {noisy}, window());
        const TensorType type = layer_.type(winner);
        const Value none = random(at + ".none", layer_.constant(at + ".zero", type, 0));
        const Value ahead = layer_.add(at + ".ahead", "subtract", {winner, none});
        const Value one = layer_.constant(at + ".one", type, 1);
        const Value on = layer_.add(at + ".unit", "relu_backward", {one, ahead});  // 1 if ahead > 0
        if (options_.pool == 1) return on;
        Attributes attributes = window();
        attributes.emplace_back("input", internal::positions_of(layer_.type(inputs)));
        return layer_.add(at + ".drawn", "max_pool_backward", {on, {winner.node, 1}}, attributes);
    }

    // v'
    Value visible(const std::string& at, Value h) {
        const Value spread =
            layer_.add(at + ".back", "conv2d_backward_data", {h, w_},
                       {{"padding", padding_}, {"input", Numbers{map_.shape[1], map_.shape[2]}}});
        const Value mean = layer_.add(at + ".visible", "add", {spread, c_});
        if (options_.visible == Visible::gaussian) return mean;
        return layer_.add(at + ".probability", "sigmoid", {mean});
    }

    // F(v), a number for each sample.
    Value energy(const std::string& at, Value v, const Blocks& blocks) {
        const Attributes of_sample = {{"keep_samples", true}};
        const Value hidden = layer_.add(at + ".entropy", "reduce", {blocks.free}, of_sample);
        if (options_.visible == Visible::binary) {
            const Value product = layer_.add(at + ".biased", "multiply", {v, c_});
            const Value sum = layer_.add(at + ".bias", "reduce", {product}, of_sample);
            const Value both = layer_.add(at + ".sum", "add", {sum, hidden});
            return layer_.add(at + ".energy", "negate", {both});
        }
        const Value apart = layer_.add(at + ".apart", "subtract", {v, c_});
        const Value square = layer_.add(at + ".square", "multiply", {apart, apart});
        const Value sum = layer_.add(at + ".squares", "reduce", {square}, of_sample);
        const Value half = layer_.add(at + ".half", "scale", {sum}, {{"factor", 0.5}});
        return layer_.add(at + ".energy", "subtract", {half, hidden});
    }

    // The value of the error, with the gradient of contrastive divergence.
    Value loss(Value x, Value inputs_of_x, const Blocks& blocks_of_x) {
        Value v, inputs = inputs_of_x, first;
        for (int step = 1; step <= options_.steps; step++) {
            const std::string at = fmt::format("step{}", step);
            if (step > 1) inputs = this->inputs(at, v);
            v = visible(at, drawn(at, inputs));
            if (step == 1) first = v;
        }
        const Value given = layer_.add("given", "stop_gradient", {v});
        const Value inputs_of_v = this->inputs("model", given);
        const Value difference = layer_.add(
            "difference", "subtract",
            {energy(kData, x, blocks_of_x), energy("model", given, blocks("model", inputs_of_v))});
        const auto units = static_cast<double>(layer_.type(inputs_of_x).shape[1] *
                                               layer_.type(inputs_of_x).shape[2]);
        const Value divergence =
            layer_.add("divergence", "scale", {difference}, {{"factor", 1 / units}});
        const Value apart = layer_.add("apart", "subtract", {x, first});
        const Value square = layer_.add("square", "multiply", {apart, apart});
        const Value error =
            layer_.add("error", "reduce", {square}, {{"keep_samples", true}, {"mean", true}});
        const Value rest = layer_.add("rest", "subtract", {error, divergence});
        const Value constant = layer_.add("constant", "stop_gradient", {rest});
        return layer_.add("loss", "add", {divergence, constant});
    }

  private:
    Attributes window() const {
        const Numbers pool = {options_.pool, options_.pool};
        return {{"window", pool}, {"stride", pool}};
    }

    // The number of a block at each of its units.
    Value spread(const std::string& part, Value of_blocks) {
        const Numbers& shape = layer_.type(of_blocks).shape;
        return layer_.add(part, "resize", {of_blocks},
                          {{"size", Numbers{shape[1] * options_.pool, shape[2] * options_.pool}}});
    }

    Value random(const std::string& part, Value x) {
        return layer_.add_random(part, "gumbel_noise", x);
    }

    Layer& layer_;
    const ConvRbmOptions& options_;
    TensorType map_;
    Numbers padding_;
    Value w_, b_, c_;
};

void check_options(const Layer& layer, int filters, const ConvRbmOptions& options) {
    constexpr int kMostSteps = 100;
    layer.expect_count("filters", filters);
    if (options.steps < 1 || options.steps > kMostSteps) {
        layer.refuse("attribute",
                     fmt::format("the steps of sampling are {}, but must be 1 to {}", options.steps,
                                 kMostSteps),
                     "choose a few, such as 1");
    }
}

}  // namespace

ConvRbm conv_rbm(const Tensor& x, int filters, const ConvRbmOptions& options, Place where) {
    Value hidden, pooled, reconstruction;
    const Tensor loss = write_layer("conv_rbm", options.name, {x}, where,
                                    [&](Layer& layer, const std::vector<Value>& in) {
                                        layer.expect_map(in[0]);
                                        check_options(layer, filters, options);
                                        Machine machine(layer, in[0], filters, options);
                                        const Value inputs = machine.inputs(kData, in[0]);
                                        machine.check_pool(inputs);
                                        const Blocks blocks = machine.blocks(kData, inputs);
                                        hidden = blocks.hidden;
                                        pooled = blocks.pooled;
                                        reconstruction = machine.visible("mean", hidden);
                                        return machine.loss(in[0], inputs, blocks);
                                    });
    if (Access::is_poisoned(loss)) return {loss, loss, loss, loss};
    const auto tensor = [&](Value value) { return Access::make(Access::model(loss), value); };
    return {tensor(pooled), tensor(hidden), tensor(reconstruction), loss};
}

}  // namespace emulsion
