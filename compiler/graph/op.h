// The interface of an operation: what it is called, which types it takes and gives, how it is
// differentiated, and what it computes. A pass never knows an op; it asks through this interface.
// One op is one file pair in compiler/ops.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/type.h"

namespace Halide {
class Expr;
class Func;
}  // namespace Halide

namespace emulsion {

class GraphBuilder;
struct LowerContext;

// A value of a graph: output `output` of node `node`. A default Value stands for "none".
struct Value {
    int node = -1;
    int output = 0;
    bool defined() const { return node >= 0; }
    bool operator==(const Value&) const = default;
    auto operator<=>(const Value&) const = default;
};

// Some of a map's channels.
struct ChannelRange {
    int64_t begin = 0, count = 0;
};

// Visits the attributes of an op in printed order; the same visit prints, parses and compares them.
class Fields {
  public:
    virtual ~Fields() = default;
    virtual void field(std::string_view name, bool& value) = 0;
    virtual void field(std::string_view name, int64_t& value) = 0;
    virtual void field(std::string_view name, double& value) = 0;
    virtual void field(std::string_view name, std::string& value) = 0;
    virtual void field(std::string_view name, std::vector<int64_t>& value) = 0;
    virtual void field(std::string_view name, std::vector<double>& value) = 0;
};

// How fusion may treat an op.
enum class OpClass {
    source,     // no inputs: input, parameter, state, scalar, constant
    view,       // same memory, another shape: no code
    pointwise,  // an output element reads the same position of each input (or its channel, or its
                // scalar)
    gather,  // an output element reads a bounded few input elements elsewhere: may be inlined into
             // a reader
    window,  // pooling: an output element reads a window; an anchor, or an epilogue where windows
             // do not overlap
    reduction,  // sums over samples or positions: an anchor
    anchor,     // contractions, and everything that is a kernel of its own
};

// What an op's gradient is built from. `inputs` and `outputs` are the node's values, `gradients`
// those of its outputs (undefined where nothing flows back). `needed[i]` is false where input i's
// gradient is not wanted.
struct GradientContext {
    GraphBuilder& builder;
    std::string name;  // of the node: prefix for new names
    std::vector<Value> inputs;
    std::vector<Value> outputs;
    std::vector<Value> gradients;
    std::vector<bool> needed;

    const TensorType& type(Value value) const;
    // Adds a node named NAME.SUFFIX (made unique) and returns its first output.
    Value add(std::string_view suffix, std::shared_ptr<const class Op> op,
              std::vector<Value> operands);
    // Sums `gradient` down to `type`, over which it was repeated: over samples and positions for a
    // channel vector, over all for a scalar, over the axes that have extent 1.
    Value reduce_to(Value gradient, const TensorType& type);
};

class Op {
  public:
    virtual ~Op() = default;

    // Name in the text form: "conv2d".
    virtual std::string_view kind() const = 0;
    // Visits attributes; an op without attributes keeps the default.
    virtual void fields(Fields&) {}
    virtual OpClass op_class() const = 0;

    // Output types from input types. Throws Error with both values and a fix.
    virtual std::vector<TensorType> infer(std::span<const TensorType> inputs) const = 0;

    // Gradients with respect to the inputs, in order; undefined where there is none (integer
    // inputs, not needed). Throws Error[no_gradient] unless overridden.
    virtual std::vector<Value> gradient(GradientContext& context) const;

    // The plain definition: one Func per output over memory coordinates, innermost first and n last
    // (graph/type.h), from the Funcs of the inputs. No schedule calls. Padding lanes of a plain
    // output must come out as zero.
    virtual std::vector<Halide::Func> lower(const LowerContext& context,
                                            const std::vector<Halide::Func>& inputs) const = 0;

    // For class window: extents (h, w) of the window, and whether windows neither overlap nor leave
    // cells of `input` out, so that every input element belongs to exactly one output.
    virtual std::vector<int64_t> window_extents() const { return {1, 1}; }
    virtual bool tiles(const TensorType&) const { return false; }

    // For class reduction: whether it sums strips of rows (ops/moments.h), so that the kernel which
    // makes its map may sum on the way.
    virtual bool sums_strips() const { return false; }

    // ---- What passes and the plan ask ----

    // Whether a result grows with operand 0 at its position, never against it, in the same way all
    // over a channel: the largest of some values may then be taken before the op.
    virtual bool is_monotone(std::span<const TensorType>) const { return false; }
    // Whether filter o of operand 1 times a number gives channel o of the result times that number:
    // a scale behind the op may then be folded into the filter.
    virtual bool is_linear_in_filter() const { return false; }
    // Whether the result is its operands side by side along the channels, in order.
    virtual bool joins_channels() const { return false; }
    // Which channels of its operand the result is; none where it is more than that.
    virtual std::optional<ChannelRange> taken_channels() const { return std::nullopt; }
    // Whether inference passes operand 0 on instead.
    virtual bool is_for_training_alone() const { return false; }
    // Whether this result belongs to the batch of a training step: in inference there is none.
    virtual bool is_batch_statistic(int /*output*/) const { return false; }
    // Whether every recipe copies this operand block by block before use, so that work on it is
    // done about once for each element.
    virtual bool stages(size_t /*operand*/) const { return false; }

    // Multiply-adds of one sample; 0 for all but contractions.
    virtual int64_t multiply_adds(std::span<const TensorType> inputs) const;

    // Where the operand holds indices: each must be in [0, limit). 0 for an operand of values.
    virtual int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const;
    // The index beside those that says "does not count", if there is one.
    virtual std::optional<int64_t> ignored_index(size_t /*operand*/) const { return std::nullopt; }
    // Whether the operand holds distributions: along the channels, or features, values of 0 or more
    // that sum to 1.
    virtual bool is_distribution(size_t /*operand*/) const { return false; }
};

// Equal kind and equal attributes.
bool operator==(const Op& a, const Op& b);

}  // namespace emulsion
