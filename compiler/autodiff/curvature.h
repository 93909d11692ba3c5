// Second derivatives of the loss along each weight, as the diagonal of the Gauss-Newton matrix:
// what Levenberg-Marquardt divides by.
#pragma once

#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// Appends to `builder` the nodes of d2 loss / d target^2 for each of `targets` (source nodes), of
// the target's type, and returns the values in order; undefined where the loss has none
// along a target. They are back-propagated as in LeCun and others, "Efficient BackProp" (1998),
// section 7: with g the gradient of an op's result y and h its second derivative,
//
//     second derivative of x = sum over y of (dy/dx)^2 h  +  (d2y/dx2) g
//
// where the second term counts only at the end, for what the loss is linear in: the losses of
// classifiers, squares, squared distances. There it is not negative, and without it elsewhere nor
// is the sum. Ways from one value to another are taken as independent: derivatives of the sum of
// two ways lack their product. A weight that is used many times has the sum of what its uses have.
//
// Throws Error[curvature] for an op on the way whose derivatives' squares are not known here.
std::vector<Value> curvature(GraphBuilder& builder, Value loss, const std::vector<int>& targets);

}  // namespace emulsion
