// See results_check.h.
#include "schedules/tune/results_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace emulsion {

namespace {

std::string difference_of_numbers(const GuardedBlock& actual, const GuardedBlock& expected,
                                  double tolerance) {
    const auto* a = static_cast<const float*>(actual.data());
    const auto* e = static_cast<const float*>(expected.data());
    const size_t count = expected.bytes() / sizeof(float);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        if (std::isnan(e[i]) && std::isnan(a[i])) continue;
        if (std::isnan(a[i]) != std::isnan(e[i]))
            return fmt::format("value {} is {}, but {} is expected", i, a[i], e[i]);
        if (a[i] == e[i]) {  // infinities too
            if (std::isfinite(e[i])) largest = std::max(largest, std::abs(double{e[i]}));
            continue;
        }
        largest = std::max(largest, std::abs(double{e[i]}));
        worst = std::max(worst, std::abs(double{a[i]} - double{e[i]}));
    }
    if (worst <= tolerance * std::max(largest, 1e-30)) return "";
    return fmt::format("a value is off by {:.3g}, where the largest is {:.3g}", worst, largest);
}

std::string difference_of_bytes(const GuardedBlock& actual, const GuardedBlock& expected) {
    const auto* a = static_cast<const unsigned char*>(actual.data());
    const auto* e = static_cast<const unsigned char*>(expected.data());
    size_t others = 0;
    for (size_t i = 0; i < expected.bytes(); i++) others += a[i] != e[i] ? 1 : 0;
    if (others * 100 <= expected.bytes()) return "";
    return fmt::format("{} of {} values are others", others, expected.bytes());
}

}  // namespace

std::string difference(const Group& group, const std::vector<GuardedBlock>& actual,
                       const std::vector<GuardedBlock>& expected, double tolerance) {
    for (size_t i = 0; i < expected.size(); i++) {
        if (!actual[i].is_intact()) return fmt::format("it writes beside result {}", i);
        const TensorType& type = group.body.type(group.body.results()[i].value);
        const std::string fault = type.element == ElementType::f32
                                      ? difference_of_numbers(actual[i], expected[i], tolerance)
                                      : difference_of_bytes(actual[i], expected[i]);
        if (!fault.empty()) return fmt::format("result {}: {}", i, fault);
    }
    return "";
}

}  // namespace emulsion
