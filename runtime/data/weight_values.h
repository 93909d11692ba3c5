// What the readers of weights share: values in parts, and the faults of a file's data.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/safetensors.h"

namespace emulsion {

// The tensor's logical shape.
std::span<const int64_t> shape_of(const emulsion_tensor& tensor);

// Calls visit(first element, values) for the parts of an entry's data, of type F32, from the front;
// the values live until it returns. Throws RuntimeError where the file cannot be read.
using VisitValues = std::function<void(uint64_t first, std::span<const float> values)>;
void read_values(const ByteSource& input, const SafetensorsHeader& header, const TensorEntry& entry,
                 const VisitValues& visit);

// What is wrong with an entry's values from element `first` on, where one is not finite, or
// nothing.
std::optional<std::string> not_finite_text(const TensorEntry& entry, uint64_t first,
                                           std::span<const float> values);
// What is done about it.
extern const char* const kNotFiniteFix;

// Refuses data of another checksum than the one that was written with them, if one was.
void check_stored_checksum(const ByteSource& input, const SafetensorsHeader& header,
                           uint64_t found);

}  // namespace emulsion
