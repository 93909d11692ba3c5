// Reductions, repetition, and ops that only move values.
#include "compiler/ops/expand.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/slice.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// Values per sample and channel behind (n, c), and the number of channels; a tensor without
// channels has one.
struct Parts {
    int64_t samples, channels, cells;
};

Parts parts_of(const Tensor& t) {
    if (t.type.shape.empty()) return {t.samples, 1, 1};
    return {t.samples, t.type.shape[0], element_count(t.type) / t.type.shape[0]};
}

std::vector<Tensor> reduce(const Call& call) {
    const auto& op = call.as<Reduce>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    const Parts p = parts_of(x);
    for (size_t i = 0; i < x.values.size(); i++) {
        const int64_t cell = static_cast<int64_t>(i) / p.cells;
        const int64_t n = cell / p.channels, c = cell % p.channels;
        const int64_t to = (op.keep_samples ? n : 0) * (op.keep_channels ? p.channels : 1) +
                           (op.keep_channels ? c : 0);
        y.values[op.axes.empty() ? static_cast<size_t>(to) : repeated_offset(y, x, i)] +=
            x.values[i];
    }
    const auto terms = static_cast<double>(x.values.size()) / static_cast<double>(y.values.size());
    if (op.mean) {
        for (double& value : y.values) value /= terms;
    }
    return {y};
}

std::vector<Tensor> expand(const Call& call) {
    const auto& op = call.as<Expand>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++)
        y.values[i] = x.values[repeated_offset(x, y, i)] * op.scale;
    if (op.per_sample) {
        for (double& value : y.values) value /= static_cast<double>(call.samples);
    }
    return {y};
}

// flatten, unflatten, factor, unfactor: the logical values stay where they are.
std::vector<Tensor> same_values(const Call& call) {
    return {make_tensor(call.types[0], call.samples, call.input(0).values)};
}

// Copies `count` channels.
void copy_channels(const Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin,
                   int64_t count) {
    const Parts f = parts_of(from), t = parts_of(to);
    for (int64_t n = 0; n < f.samples; n++)
        for (int64_t i = 0; i < count * f.cells; i++) {
            to.values[static_cast<size_t>((n * t.channels + to_begin) * t.cells + i)] =
                from.values[static_cast<size_t>((n * f.channels + from_begin) * f.cells + i)];
        }
}

std::vector<Tensor> concatenate(const Call& call) {
    Tensor y = call.output();
    int64_t begin = 0;
    for (const Tensor* x : call.inputs) {
        copy_channels(*x, 0, y, begin, x->type.shape[0]);
        begin += x->type.shape[0];
    }
    return {y};
}

std::vector<Tensor> slice(const Call& call) {
    Tensor y = call.output();
    copy_channels(call.input(0), call.as<Slice>().begin, y, 0, call.as<Slice>().count);
    return {y};
}

std::vector<Tensor> slice_backward(const Call& call) {
    Tensor dx = call.output();
    copy_channels(call.input(0), 0, dx, call.as<SliceBackward>().begin,
                  call.input(0).type.shape[0]);
    return {dx};
}

}  // namespace

void add_structure(Table& table) {
    table["concatenate"] = concatenate;
    table["expand"] = expand;
    table["factor"] = same_values;
    table["flatten"] = same_values;
    table["reduce"] = reduce;
    table["reduce_axes"] = reduce;
    table["slice"] = slice;
    table["slice_backward"] = slice_backward;
    table["unfactor"] = same_values;
    table["unflatten"] = same_values;
}

}  // namespace emulsion::reference
