// Tensors of the double-precision reference: values in logical order, samples first, whatever the
// memory layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "compiler/graph/type.h"

namespace emulsion::reference {

struct Tensor {
    TensorType type;
    int64_t samples = 1;  // 1 where the type is not batched
    std::vector<double> values;

    // Extents with the samples in front where batched: (n, C, H, W).
    std::vector<int64_t> extents() const;
    // Element by logical indices, as many as extents() has.
    template <class... Index>
    double& at(Index... index) {
        return values[offset({static_cast<int64_t>(index)...})];
    }
    template <class... Index>
    double at(Index... index) const {
        return values[offset({static_cast<int64_t>(index)...})];
    }
    size_t offset(std::initializer_list<int64_t> index) const;
    bool operator==(const Tensor&) const = default;
};

// Position in `from.values` of what element `flat` of `to` reads of a tensor that is repeated over
// it: aligned at samples and channels, 0 along an axis of extent 1.
size_t repeated_offset(const Tensor& from, const Tensor& to, size_t flat);

// Zeros.
Tensor make_tensor(const TensorType& type, int64_t samples);
// Values in logical order. REQUIRES: as many as the type has.
Tensor make_tensor(const TensorType& type, int64_t samples, std::vector<double> values);

// Positions in memory of all elements in logical order, in elements.
std::vector<size_t> memory_offsets(const TensorType& type, int64_t samples);

// The bytes of a tensor in memory, padding lanes zero, numbers rounded to the element type.
std::vector<std::byte> pack(const Tensor& tensor);

// The tensor whose bytes in memory these are. Throws std::runtime_error if a padding lane is not
// zero.
Tensor unpack(const TensorType& type, int64_t samples, const void* memory);

// Rounds the values as pack() does.
Tensor rounded(Tensor tensor);

}  // namespace emulsion::reference
