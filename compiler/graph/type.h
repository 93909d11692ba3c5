// Types of tensors: element, logical shape, and the memory layout that follows from them.
//
// Axis letters: n samples, c channels, h height, w width; oc ic kh kw for a filter.
//
// A *batched* tensor has one entry per sample. Its `shape` is that of one sample, (C, H, W), (C,
// L), (F) or (); the leading axis n is symbolic, its extent is the kernel argument `samples`. In
// memory channels are innermost: [n][H][W][C]. A tensor that is not batched is a parameter, its
// gradient, or a per-channel intermediate:
//     ()             one value
//     (O)            [O/16][16]
//     (O, I)         [O/16][I][16]
//     (O, I, KH, KW) [O/16][KH][KW][I][16]
// with the first axis in blocks of 16, the last block padded with zeros.
//
// A flattened map keeps its memory: a feature axis F that was (C, H, W) carries `factors` = {C, H,
// W}; its logical order is c * H * W + y * W + x, its order in memory [H][W][C]. On a batched
// tensor the factors split axis 0, on a matrix of weights axis 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace emulsion {

enum class ElementType { f32, i32, u8 };

inline constexpr int64_t kBlock = 16;  // channels of a block of weights

struct TensorType {
    ElementType element = ElementType::f32;
    bool batched = false;
    std::vector<int64_t> shape;    // logical, without n
    std::vector<int64_t> factors;  // {C, H, W} of a flattened feature axis, or empty
    bool operator==(const TensorType&) const = default;
};

// Shorthands: batched (per sample) and plain types of f32.
TensorType batched_type(std::vector<int64_t> shape, ElementType element = ElementType::f32);
TensorType plain_type(std::vector<int64_t> shape, ElementType element = ElementType::f32);

// Of one value for each sample of features [n,C], which is [n], or for each pixel of a map
// [n,C,H,W], which is [n,1,H,W].
TensorType row_type(const TensorType& features_or_map, ElementType element = ElementType::f32);

// "f32[n,32,28,28]", "f32[128,3136]{64,7,7}"
std::string to_string(const TensorType& type);
std::string to_string(ElementType element);

int64_t bytes_of(ElementType element);

// Values of the logical shape, of one sample where batched.
int64_t element_count(const TensorType& type);

// Extents in memory, innermost first, without n: (C, W, H), or (16, I, KW, KH, O/16).
std::vector<int64_t> memory_extents(const TensorType& type);

// Bytes in memory, padding lanes included, for `samples` samples (ignored where not batched).
int64_t memory_bytes(const TensorType& type, int64_t samples);

// Number of coordinates of the tensor's Func: memory_extents plus n where batched.
int dimension_count(const TensorType& type);

inline int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace emulsion
