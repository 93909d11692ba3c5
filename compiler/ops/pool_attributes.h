// Attributes that the pooling ops share, one number for each axis in order h, w (or l, or d, h, w);
// padding is two for each: top, bottom, left, right.
#pragma once

#include "compiler/graph/op.h"
#include "compiler/ops/window.h"

namespace emulsion {

struct PoolAttributes {
    std::vector<int64_t> window = {2, 2};
    std::vector<int64_t> stride = {2, 2};
    std::vector<int64_t> padding = {0, 0, 0, 0};
    bool ceil = false;  // output size rounded up
    Window sliding() const {
        return {window, stride, std::vector<int64_t>(window.size(), 1), padding, ceil};
    }
    void visit(Fields& f);
    // Type of the result for a map. REQUIRES: input is one. Throws Error.
    TensorType result_type(const TensorType& input) const;
    // Type of the gradient of a map of `input` positions, {height, width}, from that of the result.
    // Throws Error.
    TensorType input_type(const TensorType& gradient, const std::vector<int64_t>& input) const;
    // Whether every cell of a map of these positions belongs to exactly one window.
    bool covers_once(std::span<const int64_t> input) const;
    // The same of a map (C, H, W): the one kind that other recipes pool behind what they make.
    bool tiles_map(const TensorType& type) const;
};

}  // namespace emulsion
