// What the fuzzers share: an input as a file, what a reader may throw, and the time it may take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace emulsion::fuzz {

using Data = std::span<const uint8_t>;

// The input as a file in memory; the path holds until the next call.
std::string path_of(Data input);
std::string text_of(Data input);

// Runs `body`. It may throw RuntimeError or Error and nothing else, and take some seconds of the
// processor at most, whatever else the machine does; libFuzzer's own limits hold for memory.
void read(const std::function<void()>& body);

// Ends the fuzzer with a report where `holds` is false.
void require(bool holds, const char* what);

}  // namespace emulsion::fuzz
