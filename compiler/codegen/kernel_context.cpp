// A group's operands, prologue and epilogue as Halide Funcs.
#include "compiler/recipe/kernel_context.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "compiler/graph/layout.h"
#include "compiler/graph/limits.h"
#include "compiler/ops/sources.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

using Halide::Expr;
using Halide::Func;

std::string func_name(std::string name) {
    std::replace(name.begin(), name.end(), '.', '_');
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

// Constrains an output and its Vars to a dense array.
void constrain_scratch(Func func, const Scratch& scratch) {
    Halide::OutputImageParam buffer = func.output_buffer();
    const std::vector<Dimension> dimensions = dense_dimensions(scratch.extents);
    EMU_CHECK(func.dimensions() == static_cast<int>(dimensions.size()),
              "scratch '{}' has {} extents, its Func {} Vars", scratch.name, dimensions.size(),
              func.dimensions());
    for (int i = 0; i < func.dimensions(); i++) {
        const auto [extent, stride] = dimensions[static_cast<size_t>(i)];
        buffer.dim(i).set_bounds(0, to_int(extent)).set_stride(to_int(stride));
        func.bound(func.args()[static_cast<size_t>(i)], 0, to_int(extent));
    }
    buffer.set_host_alignment(64);
}

// Constrains one buffer's dimensions to the tensor's memory layout. Channels among others begin at
// any element.
template <class Buffer>
void constrain(Buffer buffer, const TensorType& type, int64_t pitch, const Expr& samples,
               bool with_bounds) {
    const std::vector<Dimension> dimensions = memory_dimensions(type, 1, pitch);
    const int count = static_cast<int>(dimensions.size());
    for (int i = 0; i < count; i++) {
        const auto [extent, stride] = dimensions[static_cast<size_t>(i)];
        const bool is_samples = type.batched && i == count - 1;
        auto dimension = buffer.dim(i);
        if (with_bounds) dimension.set_bounds(0, is_samples ? samples : Expr(to_int(extent)));
        dimension.set_stride(to_int(stride));
    }
    buffer.set_host_alignment(pitch == 0 ? 64 : static_cast<int>(bytes_of(type.element)));
}

// Whether a result is seen as channels by positions of all samples: (c, x + W * (y + H * n)), or as
// the channels of a group by these by groups.
bool is_flat(const Func& func, const TensorType& type) {
    return func.dimensions() < dimension_count(type);
}

// Of a flat result: what its recipe bounds the third Var to, 1 where it has two.
int groups_of(const Func& func) {
    if (func.dimensions() == 2) return 1;
    EMU_CHECK(func.dimensions() == 3, "a flat result has {} Vars", func.dimensions());
    for (const Halide::Internal::Bound& bound : func.function().schedule().bounds()) {
        const auto extent = Halide::Internal::as_const_int(bound.extent);
        if (bound.var == func.args()[2].name() && extent) return to_int(*extent);
    }
    EMU_CHECK(false, "the groups of '{}' have no bound", func.name());
}

// The same for a flat result.
void constrain_flat(Func func, Halide::OutputImageParam buffer, const TensorType& type,
                    const Expr& samples, bool with_bounds) {
    const std::vector<int64_t> extents = memory_extents(type);
    const int channels = to_int(extents[0]), groups = groups_of(func);
    const int each = channels / groups;
    const int area = to_int(
        std::accumulate(extents.begin() + 1, extents.end(), int64_t{1}, std::multiplies<>()));
    if (with_bounds) {
        buffer.dim(0).set_bounds(0, each);
        buffer.dim(1).set_bounds(0, samples * area);
        if (groups > 1) buffer.dim(2).set_bounds(0, groups);
        func.bound(func.args()[0], 0, each);
    }
    buffer.dim(0).set_stride(1);
    buffer.dim(1).set_stride(channels);
    if (groups > 1) buffer.dim(2).set_stride(each);
    buffer.set_host_alignment(64);
}

}  // namespace

std::string target_features(const Isa& isa) {
    static const std::map<std::string, std::string> kFeatures = {
        {"x86-64", ""},
        {"avx2", "-sse41-avx-avx2-fma-f16c"},
        {"avx512", "-sse41-avx-avx2-fma-f16c-avx512-avx512_skylake"},
        {"opencl", "-opencl"},
        {"cuda", "-cuda-cuda_capability_80"},
        {"vulkan", "-vulkan-vk_v12-vk_int8-vk_int64"},
    };
    return kFeatures.at(isa.name);
}

LowerContext lower_context(const Graph& body, int node, Expr samples) {
    LowerContext context;
    context.name = func_name(body.node(node).name);
    for (Value value : body.node(node).inputs) context.inputs.push_back(body.type(value));
    context.outputs = body.node(node).types;
    context.samples = std::move(samples);
    return context;
}

KernelContext::KernelContext(const Group& group, const Isa& isa) : group_(group), isa_(isa) {
    arguments_.push_back(samples_);
    std::vector<Halide::Argument> buffers;
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        const Node& node = group.body.node(i);
        if (const auto* scalar = group.body.op_as<Scalar>(i)) {
            Func value(func_name(node.name));
            if (scalar->type().element == ElementType::f32) {
                Halide::Param<float> param(func_name(node.name) + "_arg");
                arguments_.push_back(param);
                value() = param;
            } else {
                Halide::Param<int32_t> param(func_name(node.name) + "_arg");
                arguments_.push_back(param);
                value() = param;
            }
            values_[{i, 0}] = value;
        } else if (group.body.op_as<Input>(i) != nullptr) {
            const TensorType& type = node.types[0];
            // The suffix keeps the name apart from those that Halide invents: a0, a1, … for
            // operands of max and min.
            Halide::ImageParam param(halide_type(type.element), dimension_count(type),
                                     func_name(node.name) + "_arg");
            constrain(param, type, group.pitch_of(buffers.size()), samples_, /*with_bounds=*/true);
            if (group.pitch_of(buffers.size()) > 0) parts_.insert({i, 0});
            buffers.push_back(param);
            buffers_[{i, 0}] = param;
            values_[{i, 0}] = param;
        }
    }
    arguments_.insert(arguments_.end(), buffers.begin(), buffers.end());
    for (int i = 0; i < static_cast<int>(group.body.nodes().size()); i++) {
        if (i == group.anchor || values_.contains({i, 0})) continue;
        const std::vector<Value>& inputs = group.body.node(i).inputs;
        bool ready =
            std::all_of(inputs.begin(), inputs.end(), [&](Value v) { return values_.contains(v); });
        if (!ready) continue;  // depends on the anchor
        std::vector<Func> results = lower_node(i, values_);
        for (size_t k = 0; k < results.size(); k++) values_[{i, static_cast<int>(k)}] = results[k];
    }
}

std::vector<Func> KernelContext::lower_node(int node, const std::map<Value, Func>& values) const {
    std::vector<Func> inputs;
    for (Value value : group_.body.node(node).inputs) inputs.push_back(values.at(value));
    return group_.body.node(node).op->lower(lower_context(group_.body, node, samples_), inputs);
}

Func KernelContext::operand(int i) const {
    return values_.at(group_.anchor_node().inputs[static_cast<size_t>(i)]);
}

std::vector<Expr> KernelContext::buffers_under(int i) const {
    const Value operand = group_.anchor_node().inputs[static_cast<size_t>(i)];
    const std::vector<int64_t>& shape = group_.body.type(operand).shape;
    std::vector<Expr> buffers;
    std::vector<Value> open = {operand};
    std::set<Value> seen;
    while (!open.empty()) {
        const Value value = open.back();
        open.pop_back();
        const TensorType& type = group_.body.type(value);
        if (!type.batched || type.shape != shape || !seen.insert(value).second) continue;
        const auto found = buffers_.find(value);
        if (found == buffers_.end()) {
            const std::vector<Value>& inputs = group_.body.node(value.node).inputs;
            open.insert(open.end(), inputs.begin(), inputs.end());
            continue;
        }
        if (parts_.contains(value)) continue;
        const Halide::ImageParam& param = found->second;
        buffers.push_back(Halide::Internal::Variable::make(
            Halide::type_of<halide_buffer_t*>(), param.name() + ".buffer", param.parameter()));
    }
    return buffers;
}

std::vector<Func> KernelContext::plain() const { return lower_node(group_.anchor, values_); }

Func KernelContext::finish() const {
    EMU_CHECK(group_.anchor < 0, "a group with an anchor needs its accumulator");
    return finish(std::vector<Func>());
}

Func KernelContext::finish(Func accumulator) const {
    if (accumulator.outputs() == 1) return finish(std::vector<Func>{accumulator});
    EMU_CHECK(!accumulator.has_update_definition(), "several outputs come from one definition");
    // Each output by itself, so that what only an unread one needs is no part of the kernel.
    std::vector<Func> outputs;
    for (int k = 0; k < accumulator.outputs(); k++) {
        Func part(func_name(fmt::format("{}_{}", group_.anchor_node().name, k)));
        part(accumulator.args()) = accumulator.values()[static_cast<size_t>(k)];
        outputs.push_back(part);
    }
    return finish(outputs);
}

std::map<Value, Func> KernelContext::complete(const std::vector<Func>& anchor_outputs) const {
    std::map<Value, Func> values = values_;
    for (size_t k = 0; k < anchor_outputs.size(); k++) {
        values[{group_.anchor, static_cast<int>(k)}] = anchor_outputs[k];
    }
    for (int i = 0; i < static_cast<int>(group_.body.nodes().size()); i++) {
        if (values.contains({i, 0}) || i == group_.anchor) continue;
        if (group_.body.node(i).op->sums_strips()) continue;
        std::vector<Func> results = lower_node(i, values);
        for (size_t k = 0; k < results.size(); k++) values[{i, static_cast<int>(k)}] = results[k];
    }
    return values;
}

Func KernelContext::finish(const std::vector<Func>& anchor_outputs) const {
    const std::map<Value, Func> values = complete(anchor_outputs);
    const std::vector<Value> results = group_.maps();
    std::vector<Halide::Var> vars = coordinates(group_.body.type(results[0]));
    std::vector<Expr> components;
    for (Value result : results) components.push_back(values.at(result)(as_exprs(vars)));
    Func out("out");
    if (components.size() == 1) {
        out(vars) = components[0];
    } else {
        out(vars) = Halide::Tuple(components);
    }
    return out;
}

namespace {

// Inlines every pure Func of a chain that leads to `hole`, and replaces calls of `hole`.
class InlineChain : public Halide::Internal::IRMutator {
  public:
    InlineChain(const Func& hole, const std::function<Expr(const std::vector<Expr>&)>& replacement)
        : hole_(hole), replacement_(replacement) {}

  private:
    using Halide::Internal::IRMutator::visit;

    Expr visit(const Halide::Internal::Call* call) override {
        if (call->call_type != Halide::Internal::Call::Halide) return IRMutator::visit(call);
        std::vector<Expr> arguments;
        for (const Expr& argument : call->args) arguments.push_back(mutate(argument));
        if (call->name == hole_.name()) return replacement_(arguments);
        const Halide::Internal::Function function(call->func);
        if (!reaches_hole(function)) return IRMutator::visit(call);
        std::map<std::string, Expr> values;
        for (size_t i = 0; i < arguments.size(); i++) values[function.args()[i]] = arguments[i];
        const Expr& value = function.values()[static_cast<size_t>(call->value_index)];
        return mutate(Halide::Internal::substitute(values, value));
    }

    bool reaches_hole(const Halide::Internal::Function& function) const {
        return function.name() == hole_.name() ||
               Halide::Internal::find_transitive_calls(function).contains(hole_.name());
    }

    const Func& hole_;
    const std::function<Expr(const std::vector<Expr>&)>& replacement_;
};

}  // namespace

std::vector<Expr> KernelContext::values_at(
    const std::vector<Value>& values, const std::vector<Expr>& at,
    const std::function<Expr(const std::vector<Expr>&)>& accumulator) const {
    Func hole(func_name(group_.anchor_node().name) + "_value");
    std::vector<Halide::Var> vars = coordinates(group_.anchor_output());
    hole(vars) = 0.0F;
    const std::map<Value, Func> funcs = complete({hole});
    InlineChain inline_chain(hole, accumulator);
    std::vector<Expr> results;
    for (Value value : values) {
        Func func = funcs.at(value);
        const auto rank = static_cast<size_t>(func.dimensions());
        std::vector<Expr> own(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(rank));
        if (rank > 0 && group_.body.type(value).batched) own.back() = at.back();  // of each sample
        results.push_back(inline_chain.mutate(Expr(func(own))));
    }
    return results;
}

void KernelContext::constrain_outputs(const std::vector<Func>& outputs,
                                      const std::vector<Scratch>& scratch) const {
    EMU_CHECK(outputs.size() >= scratch.size(), "a recipe returned less than its scratch");
    const size_t results = outputs.size() - scratch.size();
    for (size_t i = 0; i < scratch.size(); i++) constrain_scratch(outputs[results + i], scratch[i]);
    size_t index = 0;
    for (size_t i = 0; i < results; i++) {
        Func func = outputs[i];
        std::vector<Halide::OutputImageParam> buffers = func.output_buffers();
        for (size_t k = 0; k < buffers.size(); k++) {
            EMU_CHECK(index < group_.body.results().size(),
                      "a recipe returned more results than the group has");
            const TensorType& type = group_.body.type(group_.body.results()[index].value);
            const int64_t pitch = group_.pitch_of(buffers_.size() + index++);
            if (is_flat(func, type)) {
                EMU_CHECK(pitch == 0, "a flat result is no part of a larger map");
                constrain_flat(func, buffers[k], type, samples_, /*with_bounds=*/k == 0);
                continue;
            }
            constrain(buffers[k], type, pitch, samples_, /*with_bounds=*/k == 0);
            if (k != 0) continue;
            std::vector<int64_t> extents = memory_extents(type);
            for (size_t d = 0; d < extents.size(); d++) {
                func.bound(func.args()[d], 0, to_int(extents[d]));
            }
        }
    }
    EMU_CHECK(index == group_.body.results().size(),
              "a recipe returned {} results, the group has {}", index,
              group_.body.results().size());
}

}  // namespace emulsion
