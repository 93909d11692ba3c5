// Checks of operands that the ops' shape rules share.
#include "compiler/ops/expect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

std::string plural(size_t count, std::string_view word) {
    return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

// "a 64x7x7 map" or "plain order".
std::string order_of(const std::vector<int64_t>& factors) {
    if (factors.empty()) return "plain order";
    return fmt::format("the order of a {}x{}x{} map", factors[0], factors[1], factors[2]);
}

}  // namespace

std::string by(int64_t height, int64_t width) { return fmt::format("{}x{}", height, width); }

void expect_operands(std::span<const TensorType> inputs, size_t count) {
    if (inputs.size() == count) return;
    fail("operands",
         fmt::format("it takes {}, but {} given", plural(count, "operand"),
                     inputs.size() == 1 ? "1 is" : fmt::format("{} are", inputs.size())),
         fmt::format("give it {}", plural(count, "operand")));
}

void expect_f32(const TensorType& type, std::string_view what) {
    if (type.element == ElementType::f32) return;
    fail("element", fmt::format("the {} must be f32, but is {}", what, to_string(type)),
         fmt::format("give it f32 values as {}", what));
}

void expect_number(double value, std::string_view name) {
    if (std::abs(value) <= std::numeric_limits<float>::max()) return;
    fail("attribute", fmt::format("the {} is {}, which is no number of 32-bit floats", name, value),
         "choose a finite number below 3.4e38");
}

void expect_epsilon(double value) {
    expect_number(value, "epsilon");
    if (value >= 0) return;
    fail("attribute", fmt::format("the epsilon is {}, but must be 0 or more", value),
         "choose a small number, such as 1e-5");
}

void expect_map(const TensorType& type, std::string_view what) {
    if (!type.batched || type.shape.size() != 3) {
        fail("rank",
             fmt::format("the {} must be a map (n, channels, height, width), but is {}", what,
                         to_string(type)),
             "put it before the layers that flatten the map");
    }
    expect_f32(type, what);
}

void expect_features(const TensorType& type, std::string_view what) {
    if (!type.batched || type.shape.size() != 1) {
        fail("rank",
             fmt::format("the {} must be features (n, features), but is {}", what, to_string(type)),
             "flatten it first");
    }
    expect_f32(type, what);
}

void expect_scores(const TensorType& type, std::string_view what) {
    if (!type.batched || type.shape.empty() || type.shape.size() > 4) {
        fail("rank",
             fmt::format("the {} must be features (n, features), or a map (n, channels, height, "
                         "width), a line or a volume, but is {}",
                         what, to_string(type)),
             "give it a score for each class");
    }
    expect_f32(type, what);
    if (type.shape[0] > 1) return;
    fail("scores",
         fmt::format("softmax over one score is always 1; the operand is {}", to_string(type)),
         "give it 2 scores or more; for one, use sigmoid and binary_cross_entropy");
}

void expect_smoothing(double value) {
    if (value >= 0 && value < 1) return;
    fail("attribute",
         fmt::format("the label smoothing is {}, but must be from 0 to less than 1", value),
         "choose a small number, such as 0.1");
}

void expect_class_weights(const std::vector<double>& weights, int64_t classes) {
    constexpr size_t kMostWeights = 4096;
    if (weights.size() > kMostWeights) {
        fail("attribute",
             fmt::format("there are {} class weights, but at most {} can be given", weights.size(),
                         kMostWeights),
             "leave the class weights out");
    }
    if (static_cast<int64_t>(weights.size()) != classes) {
        fail("attribute",
             fmt::format("there are {} class weights, but {} classes", weights.size(), classes),
             "give one weight for each class");
    }
    for (double weight : weights) {
        expect_number(weight, "class weight");
        if (weight >= 0) continue;
        fail("attribute", fmt::format("a class weight is {}, but must be 0 or more", weight),
             "give rare classes larger weights, 0 to those that do not count");
    }
    if (std::ranges::any_of(weights, [](double weight) { return weight > 0; })) return;
    fail("attribute", "all class weights are 0", "give at least one class a weight");
}

void expect_ignored(const std::vector<int64_t>& labels) {
    if (labels.size() < 2) return;
    fail("attribute", fmt::format("{} labels are to be ignored, but one can be", labels.size()),
         "give what does not count one label");
}

void expect_channels(const TensorType& type, std::string_view what) {
    if (!type.batched || type.shape.empty()) {
        fail("rank",
             fmt::format("the {} must have samples and channels, but is {}", what, to_string(type)),
             "give it a map or features");
    }
    expect_f32(type, what);
    if (!type.factors.empty()) {
        fail("factors",
             fmt::format("the {} has its features in {}, which has no channels to cut or join",
                         what, order_of(type.factors)),
             "do it before the map is flattened");
    }
}

void expect_parameter(const TensorType& type, size_t rank, std::string_view what,
                      std::string_view axes) {
    if (type.batched || type.shape.size() != rank) {
        fail("rank",
             fmt::format("the {} must be a parameter {}, but is {}", what, axes, to_string(type)),
             fmt::format("give it a parameter with {} axes", rank));
    }
    expect_f32(type, what);
}

void expect_same_order(const std::vector<int64_t>& a, std::string_view name_a,
                       const std::vector<int64_t>& b, std::string_view name_b) {
    if (a == b) return;
    fail("factors",
         fmt::format("the {} has its features in {}, but the {} in {}", name_a, order_of(a), name_b,
                     order_of(b)),
         "give both the same {channels,height,width} behind their shape");
}

void expect_gradient_of(const TensorType& gradient, const TensorType& expected) {
    if (gradient == expected) return;
    fail("shape",
         fmt::format("the gradient is {}, but the result it belongs to is {}", to_string(gradient),
                     to_string(expected)),
         "give it the gradient of the result these attributes describe");
}

}  // namespace emulsion
