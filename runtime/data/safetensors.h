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

    std::vector<uint32_t> by_name;  // indices of tensors, names ascending

    const TensorEntry* find(std::string_view name) const;          // or null
    const std::string* find_metadata(std::string_view key) const;  // or null
};

// Reads and checks everything but the data. Throws RuntimeError.
SafetensorsHeader read_safetensors(const ByteSource& input);

// The same of a file in memory; `name` is what messages call it.
SafetensorsHeader parse_safetensors(std::span<const uint8_t> file, const std::string& name);

// What stands before the data, for tensors that tile it in this order. Throws RuntimeError where it
// would be more than the reader takes.
Bytes encode_safetensors_header(const Metadata& metadata, std::span<const TensorEntry> tensors);

}  // namespace emulsion
