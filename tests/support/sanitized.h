// Builds with sanitizers, where planning takes ten times as long.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace emulsion::test {

// Whether sanitizers watch this process, as tests/run says.
inline bool is_sanitized() { return std::getenv("EMULSION_SANITIZED") != nullptr; }

// Whether a test of all example networks leaves this one to builds without sanitizers: they watch
// those alone that have every kind of layer among them.
inline bool is_left_out(std::string_view network) {
    constexpr std::string_view kWatched[] = {"lenet", "resnet20", "squeezenet1_1", "mobilenet_v2"};
    return is_sanitized() &&
           std::find(std::begin(kWatched), std::end(kWatched), network) == std::end(kWatched);
}

}  // namespace emulsion::test
