// Ops of a model's own: what a model file includes beside dsl/emulsion.h to bring a layer that the
// compiler does not know. examples/lesson_04_own_op.cpp is a lesson.
//
// An op is a class of its own (compiler/graph/op.h), as the compiler's are, which can be made
// without arguments and copied: its name, its attributes, its shape rule, its gradient in terms of
// ops, and its plain definition as Halide Funcs without a schedule. Most are elementwise and derive
// from UnaryOp, BinaryOp or PointwiseOp, which leaves the formula to be written; these are fused
// with what stands around them, vectorized and run in parallel like the compiler's.
//
// The class stays in the model's program: its kernels are compiled anew whenever that program has
// changed. The text of the model (show --emit=graph) names it, and cannot be read back from a file.
#pragma once

#include "compiler/graph/text.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/unary.h"
#include "compiler/support/diagnostic.h"
#include "dsl/emulsion.h"

namespace emulsion {

namespace internal {
void register_own_op(const Model& model, const OpEntry& entry, const Place& where);
Tensor write_own_op(std::shared_ptr<const Op> op, const OpEntry& entry,
                    const std::vector<Tensor>& operands, const LayerOptions& options,
                    const Place& where);
}  // namespace internal

// A layer that is one node, of this op with the attributes it has; the result is the op's first.
// Registers the class, under its kind. Flattened maps are operands in plain order.
template <class T>
Tensor own_op(const T& op, const std::vector<Tensor>& operands, const LayerOptions& options = {},
              Place where = Place::current()) {
    return internal::write_own_op(std::make_shared<T>(op), op_entry<T>(), operands, options, where);
}

// Registers classes of ops that the model does not write itself: those that gradients are made of.
template <class... Ops>
void register_ops(const Model& model, Place where = Place::current()) {
    (internal::register_own_op(model, op_entry<Ops>(), where), ...);
}

}  // namespace emulsion
