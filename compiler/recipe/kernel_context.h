// What a recipe builds a kernel from: the group's operands and fused work as Halide Funcs. Includes
// Halide.
//
// Prologue and epilogue reach a recipe only as Funcs without a schedule, which Halide inlines into
// whatever reads them; so no recipe knows what is fused into it.
#pragma once

#include <Halide.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/ops/lowering.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

// The features of Halide's target that say what a kernel is compiled for: "-avx-fma…", "-opencl".
std::string target_features(const Isa& isa);

class KernelContext {
  public:
    KernelContext(const Group& group, const Isa& isa);

    const Group& group() const { return group_; }
    const Isa& isa() const { return isa_; }
    // The kernel argument: samples of this call, 1 … group().batch.
    Halide::Expr samples() const { return samples_; }

    // The anchor's input i over memory coordinates, with its prologue. Defined for every coordinate
    // of the tensor only: clamp coordinates of padding, and select zero after reading.
    Halide::Func operand(int i) const;

    // The inputs of the group that operand(i) is computed from position by position and that are
    // one piece of memory, as handles of their buffers.
    std::vector<Halide::Expr> buffers_under(int i) const;

    // The group's result as one Func (a Tuple where the group has several results), from
    // `accumulator`, the Func of the anchor's result (a Tuple where the anchor has several outputs,
    // then without updates: what only an output that nobody reads needs is left out of the kernel).
    // The Func is over memory coordinates of the group's results, all of one shape.
    Halide::Func finish(Halide::Func accumulator) const;
    // The same from a Func for each of the anchor's outputs.
    Halide::Func finish(const std::vector<Halide::Func>& anchor_outputs) const;
    // The same for a group without an anchor.
    Halide::Func finish() const;

    // Values of the group at memory coordinates `at` as expressions, where `accumulator` gives the
    // anchor's only result at coordinates of its own: for recipes that walk the output in tiles and
    // index their accumulator by tile. A window of the epilogue asks for several positions; `at`
    // then are coordinates of the pooled map. A value without samples is read at as many of the
    // coordinates as it has.
    std::vector<Halide::Expr> values_at(
        const std::vector<Value>& values, const std::vector<Halide::Expr>& at,
        const std::function<Halide::Expr(const std::vector<Halide::Expr>&)>& accumulator) const;

    // The anchor's plain definition on the group's operands.
    std::vector<Halide::Func> plain() const;

    // Codegen's side: arguments in kernel order (samples, scalars, then operands).
    const std::vector<Halide::Argument>& arguments() const { return arguments_; }
    // Fixes bounds and strides of the output buffers of `outputs`, results then scratch, and bounds
    // of their Vars but n.
    void constrain_outputs(const std::vector<Halide::Func>& outputs,
                           const std::vector<Scratch>& scratch = {}) const;

  private:
    // Operands, prologue, the given outputs of the anchor, and what follows from them but sums.
    std::map<Value, Halide::Func> complete(const std::vector<Halide::Func>& anchor_outputs) const;
    std::vector<Halide::Func> lower_node(int node,
                                         const std::map<Value, Halide::Func>& values) const;

    const Group& group_;
    const Isa& isa_;
    Halide::Param<int32_t> samples_{"samples"};
    std::vector<Halide::Argument> arguments_;
    std::map<Value, Halide::Func> values_;         // operands and prologue
    std::map<Value, Halide::ImageParam> buffers_;  // operands
    std::set<Value> parts_;                        // of them, those with a pitch
};

// The lowering context of one node of a group.
LowerContext lower_context(const Graph& body, int node, Halide::Expr samples);

}  // namespace emulsion
