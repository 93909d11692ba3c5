// The safetensors format: 8 bytes of header length (little-endian), a JSON header, the data.
//
// The reader trusts nothing: header length, names (twice is an error), types, shapes, offsets (in
// order, without gap or overlap, to the last byte of the file) are all checked before any data is
// touched. The writer is deterministic.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/support/file.h"

namespace emulsion {

struct TensorEntry {
    std::string name;
    std::string type;  // "F32", "I64", …
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  // bytes from the start of the data
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct SafetensorsHeader {
    Metadata metadata;
    std::vector<TensorEntry> tensors;  // in the order of the data
    uint64_t data_begin = 0;           // bytes from the start of the file

    const TensorEntry* find(std::string_view name) const;          // or null
    const std::string* find_metadata(std::string_view key) const;  // or null
};

// Checks the whole file; `name` is what messages call it. Throws RuntimeError.
SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name);

// One tensor to write: f32 values in logical order.
struct TensorValues {
    std::string name;
    std::vector<int64_t> shape;
    std::vector<float> values;
};

Bytes encode_safetensors(const Metadata& metadata, const std::vector<TensorValues>& tensors);

}  // namespace emulsion
