// Grows a graph value by value from a seeded generator.
#include "tests/support/random_network.h"

#include <fmt/format.h>

#include <random>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"

namespace emulsion::test {

namespace {

class RandomGraph {
  public:
    explicit RandomGraph(uint64_t seed) : random_(seed), builder_("random") {
        values_.push_back(
            builder_.add(std::make_shared<Input>(batched_type({3, 4, 4})), {}, "image"));
    }

    Graph build() {
        size_t count = 4 + random_() % 10;
        while (values_.size() < count) grow();
        builder_.output("features", values_.back());
        Value loss = add("reduce", "{mean=true}", {values_.back()});
        if (random_() % 2 == 0) {  // a second reader of a value in the middle
            Value other = add("reduce", "", {pick()});
            loss = add("add", "", {loss, other});
        }
        builder_.output("loss", loss);
        for (auto [state, value] : updates_) builder_.update(state, value);
        return builder_.build();
    }

  private:
    Value pick() { return values_[random_() % values_.size()]; }
    const std::vector<int64_t>& shape(Value value) const { return builder_.type(value).shape; }

    Value add(const std::string& kind, const std::string& attributes, std::vector<Value> inputs) {
        return builder_.add(op_from_text(kind, attributes), std::move(inputs),
                            builder_.unique_name(kind));
    }
    Value parameter(std::vector<int64_t> parameter_shape) {
        auto op = std::make_shared<Parameter>(plain_type(std::move(parameter_shape)));
        op->trained = random_() % 6 != 0;
        return builder_.add(op, {}, builder_.unique_name("p"));
    }
    Value state(int64_t channels, double value, const std::string& name) {
        auto op = std::make_shared<State>(plain_type({channels}));
        op->value = value;
        return builder_.add(op, {}, builder_.unique_name(name));
    }

    void grow() {
        Value x = random_() % 3 == 0 ? pick() : values_.back();
        switch (random_() % 9) {
            case 0:
                return values_.push_back(add("relu", "", {x}));
            case 1:
                return values_.push_back(add(random_() % 2 == 0 ? "tanh" : "scale", "", {x}));
            case 2:
                return values_.push_back(add("add", "", {x, parameter({shape(x)[0]})}));
            case 3:
                return residual(x);
            case 4:
                return pool(x);
            case 5:
                return batch_norm(x);
            default:
                return convolve(x);
        }
    }

    void residual(Value x) {
        Value other = pick();
        if (shape(other) == shape(x))
            values_.push_back(add(random_() % 3 == 0 ? "multiply" : "add", "", {x, other}));
    }

    void pool(Value x) {
        if (shape(x)[1] < 2) return;
        bool tiles = random_() % 2 == 0;
        std::string attributes = tiles ? "" : "{window=[2,2], stride=[1,1]}";
        values_.push_back(add(random_() % 4 == 0 ? "average_pool" : "max_pool", attributes, {x}));
    }

    void convolve(Value x) {
        int64_t channels = 2 + static_cast<int64_t>(random_() % 2),
                kernel = random_() % 3 == 0 ? 1 : 3;
        int64_t stride = shape(x)[1] == 4 && random_() % 4 == 0 ? 2 : 1, padding = kernel / 2;
        Value w = parameter({channels, shape(x)[0], kernel, kernel});
        values_.push_back(
            add("conv2d",
                fmt::format("{{stride=[{0},{0}], padding=[{1},{1},{1},{1}]}}", stride, padding),
                {x, w}));
    }

    void batch_norm(Value x) {
        int64_t channels = shape(x)[0], count = shape(x)[1] * shape(x)[2];
        Value gamma = parameter({channels}), beta = parameter({channels});
        Value mean = state(channels, 0, "mean"), variance = state(channels, 1, "variance");
        Value y = add("batch_norm", "{epsilon=0.01}", {x, gamma, beta, mean, variance});
        updates_.emplace_back(mean.node, add("running_average", fmt::format("{{count={}}}", count),
                                             {mean, {y.node, 1}}));
        updates_.emplace_back(
            variance.node, add("running_average", fmt::format("{{count={}, unbiased=true}}", count),
                               {variance, {y.node, 2}}));
        values_.push_back(y);
    }

    std::mt19937_64 random_;
    GraphBuilder builder_;
    std::vector<Value> values_;
    std::vector<std::pair<int, Value>> updates_;
};

}  // namespace

Network random_network(uint64_t seed) {
    Network network;
    network.name = "random";
    network.graph = RandomGraph(seed).build();
    network.optimizer.momentum = seed % 3 == 0 ? 0 : 0.9;
    network.optimizer.kind = seed % 4 == 0 ? "adam" : "sgd";
    return network;
}

}  // namespace emulsion::test
