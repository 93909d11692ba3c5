// What the updates of all optimisers share: their shape rule, and the decay of the weights.
#pragma once

#include <cstdint>
#include <span>

#include "compiler/graph/type.h"

namespace emulsion {

class Strict;

// The first `tensors` operands are a parameter and tensors of its type, the rest f32 scalars.
// Error[operands], Error[element] or Error[shape].
void expect_update(std::span<const TensorType> inputs, size_t tensors, size_t scalars);

// The number of scalars of an update: its rate, or two. Error[attribute].
void expect_scalars(int64_t scalars);

// The gradient with the L2 penalty's: gradient + weight_decay * w.
Strict decayed(const Strict& gradient, const Strict& w, double weight_decay);

}  // namespace emulsion
