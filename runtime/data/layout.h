// Logical order, as in files, to and from the canonical order in memory (see emulsion_tensor).
//
// Logical: [O], [O, I], [O, I, KH, KW], row-major. Memory: O in blocks of 16 innermost, the last
// block padded with zeros; a flattened map is channels first in files and channels innermost in
// memory.
#pragma once
#include <cstdint>
#include <span>

#include "runtime/abi/emulsion_abi.h"

namespace emulsion {

// Values in the file, and in memory with the padding.
uint64_t logical_elements(const emulsion_tensor& tensor);
uint64_t memory_elements(const emulsion_tensor& tensor);

// Both write the whole destination; `pack` writes zeros to the padding. Elements are 4 bytes (f32,
// i32).
void pack(const emulsion_tensor& tensor, const float* logical, float* memory);
void unpack(const emulsion_tensor& tensor, const float* memory, float* logical);

// The same for the logical elements from `first` on; `pack_part` leaves the padding alone.
void pack_part(const emulsion_tensor& tensor, uint64_t first, std::span<const float> logical,
               float* memory);
void unpack_part(const emulsion_tensor& tensor, uint64_t first, const float* memory,
                 std::span<float> logical);

// Where the tensor lies in the caller's memory.
float* tensor_memory(const emulsion_tensor& tensor, const emulsion_memory& memory);

}  // namespace emulsion
