// Windowed ops on random shapes against the reference; EMULSION_SEEDS=A..B in the environment takes
// others. A failure prints the op, its operands and its seed.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "compiler/ops/average_pool.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/max_pool.h"
#include "tests/support/check_op.h"
#include "tests/support/seeds.h"

namespace emulsion::test {
namespace {

class Dice {
  public:
    explicit Dice(uint64_t seed) : generator_(seed) {}
    int64_t roll(int64_t least, int64_t most) {
        return std::uniform_int_distribution<int64_t>(least, most)(generator_);
    }
    std::vector<int64_t> rolls(size_t count, int64_t least, int64_t most) {
        std::vector<int64_t> values(count);
        for (int64_t& value : values) value = roll(least, most);
        return values;
    }

  private:
    std::mt19937_64 generator_;
};

void for_seeds(const std::function<void(uint64_t seed)>& once) {
    const Seeds seeds = seeds_to_test(10);
    for (uint64_t seed = seeds.first; seed <= seeds.last && !testing::Test::HasFailure(); seed++)
        once(seed);
}

// A map into which the window fits, most of the time tightly.
TensorType map_for(Dice& dice, const Window& window) {
    const auto extent = [&](int axis) {
        const int64_t padding = window.before(axis) + window.after(axis);
        return std::max<int64_t>(1, window.covered(axis) - padding) + dice.roll(0, 4);
    };
    return batched_type({dice.roll(1, 19), extent(0), extent(1)});
}

ConvAttributes random_convolution(Dice& dice) {
    ConvAttributes attributes;
    attributes.stride = dice.rolls(2, 1, 3);
    attributes.dilation = dice.rolls(2, 1, 2);
    attributes.padding = dice.rolls(4, 0, 3);
    return attributes;
}

TEST(RandomShapes, Conv2dAndItsGradients) {
    for_seeds([](uint64_t seed) {
        Dice dice(seed);
        ConvAttributes attributes = random_convolution(dice);
        const std::vector<int64_t> kernel = dice.rolls(2, 1, 4);
        TensorType x = map_for(dice, attributes.window(kernel[0], kernel[1]));
        int64_t filters = dice.roll(1, 19);
        if (seed % 2 == 0) {
            const int64_t groups = dice.roll(2, 9), each = dice.roll(1, 3);
            attributes.groups = groups;
            x.shape[0] = groups * each;
            filters = groups * dice.roll(1, 3);
        }
        const TensorType w =
            plain_type({filters, x.shape[0] / attributes.groups, kernel[0], kernel[1]});
        Conv2d forward;
        static_cast<ConvAttributes&>(forward) = attributes;
        const TensorType y = forward.infer(std::vector{x, w})[0];
        Conv2dBackwardData data;
        static_cast<ConvAttributes&>(data) = attributes;
        data.input = {x.shape[1], x.shape[2]};
        Conv2dBackwardFilter filter;
        static_cast<ConvAttributes&>(filter) = attributes;
        filter.kernel = kernel;
        check_lowering(forward, {{x, w}, {}, 2, 2, seed});
        check_lowering(data, {{y, w}, {}, 2, 2, seed});
        check_lowering(filter, {{x, y}, {}, 2, 2, seed});
    });
}

PoolAttributes random_pooling(Dice& dice) {
    PoolAttributes attributes;
    attributes.window = dice.rolls(2, 1, 4);
    attributes.stride = dice.rolls(2, 1, 4);
    for (size_t i = 0; i < 4; i++) {
        attributes.padding[i] = dice.roll(0, attributes.window[i / 2] - 1);
    }
    attributes.ceil = dice.roll(0, 1) == 1;
    return attributes;
}

TEST(RandomShapes, MaxPoolAndItsGradient) {
    for_seeds([](uint64_t seed) {
        Dice dice(seed);
        auto op = std::make_shared<MaxPool>();
        static_cast<PoolAttributes&>(*op) = random_pooling(dice);
        check_op(op, {{map_for(dice, op->sliding())}, {Fill::separated}, 2, 2, seed});
    });
}

TEST(RandomShapes, AveragePoolAndItsGradient) {
    for_seeds([](uint64_t seed) {
        Dice dice(seed);
        auto op = std::make_shared<AveragePool>();
        static_cast<PoolAttributes&>(*op) = random_pooling(dice);
        op->count_padding = dice.roll(0, 1) == 1;
        check_op(op, {{map_for(dice, op->sliding())}, {}, 2, 2, seed});
    });
}

}  // namespace
}  // namespace emulsion::test
