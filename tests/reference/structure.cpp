// Reductions, repetition, and ops that only move values.
#include <algorithm>
#include <cmath>

#include "compiler/ops/concatenate.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/depth_to_space.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/pad.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/resize.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/transpose.h"
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

// An index of a tensor, samples first.
using Index = std::vector<int64_t>;

Index index_of(const Tensor& t, size_t flat) {
    const Index extents = t.extents();
    Index index(extents.size());
    for (size_t i = extents.size(); i-- > 0;) {
        index[i] = static_cast<int64_t>(flat) % extents[i];
        flat /= static_cast<size_t>(extents[i]);
    }
    return index;
}

size_t place_of(const Tensor& t, const Index& index) {
    const Index extents = t.extents();
    int64_t flat = 0;
    for (size_t i = 0; i < extents.size(); i++) flat = flat * extents[i] + index[i];
    return static_cast<size_t>(flat);
}

// The result whose element at every index is that of the input at from(index).
template <class From>
std::vector<Tensor> moved(const Call& call, const From& from) {
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++)
        y.values[i] = x.values[place_of(x, from(index_of(y, i)))];
    return {y};
}

// The result to whose element at to(index) every element of the input is added.
template <class To>
std::vector<Tensor> scattered(const Call& call, const To& to) {
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for (size_t i = 0; i < x.values.size(); i++)
        y.values[place_of(y, to(index_of(x, i)))] += x.values[i];
    return {y};
}

std::vector<Tensor> concatenate(const Call& call) {
    Tensor y = call.output();
    const auto axis = static_cast<size_t>(call.as<Concatenate>().axis) + 1;
    int64_t begin = 0;
    for (const Tensor* x : call.inputs) {
        for (size_t i = 0; i < x->values.size(); i++) {
            Index index = index_of(*x, i);
            index[axis] += begin;
            y.values[place_of(y, index)] = x->values[i];
        }
        begin += x->extents()[axis];
    }
    return {y};
}

// ---- Parameters of every position ----

std::vector<Tensor> add_map(const Call& call) {
    const Tensor &x = call.input(0), &b = call.input(1);
    Tensor y = x;
    for (size_t i = 0; i < y.values.size(); i++) y.values[i] += b.values[i % b.values.size()];
    return {y};
}

std::vector<Tensor> sum_samples(const Call& call) {
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for (size_t i = 0; i < x.values.size(); i++) y.values[i % y.values.size()] += x.values[i];
    return {y};
}

// ---- Padding ----

// The cell of an axis of `in` that a border's cell shows; -1 where it is a constant.
int64_t shown_cell(const std::string& border, int64_t cell, int64_t in) {
    if (cell >= 0 && cell < in) return cell;
    if (border == "reflect") return cell < 0 ? -cell : 2 * (in - 1) - cell;
    if (border == "symmetric") return cell < 0 ? -cell - 1 : 2 * in - 1 - cell;
    if (border == "replicate") return cell < 0 ? 0 : in - 1;
    return -1;
}

std::vector<Tensor> pad(const Call& call) {
    const auto& op = call.as<Pad>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++) {
        Index index = index_of(y, i);
        bool is_constant = false;
        for (size_t a = 0; a < op.before.size(); a++) {
            index[a + 1] = shown_cell(op.border, index[a + 1] - op.before[a], x.type.shape[a]);
            is_constant = is_constant || index[a + 1] < 0;
        }
        y.values[i] = is_constant ? op.value : x.values[place_of(x, index)];
    }
    return {y};
}

std::vector<Tensor> pad_backward(const Call& call) {
    const auto& op = call.as<PadBackward>();
    const auto axis = static_cast<size_t>(op.axis);
    return scattered(call, [&](Index index) {
        index[axis + 1] =
            shown_cell(op.border, index[axis + 1] - op.before, call.types[0].shape[axis]);
        return index;
    });
}

// ---- Order ----

std::vector<Tensor> crop(const Call& call) {
    const auto& op = call.as<Crop>();
    return moved(call, [&](Index index) {
        for (size_t a = 0; a < op.begin.size(); a++)
            index[a + 1] = op.begin[a] + index[a + 1] * op.step[a];
        return index;
    });
}

std::vector<Tensor> crop_backward(const Call& call) {
    const auto& op = call.as<CropBackward>();
    return scattered(call, [&](Index index) {
        for (size_t a = 0; a < op.begin.size(); a++)
            index[a + 1] = op.begin[a] + index[a + 1] * op.step[a];
        return index;
    });
}

std::vector<Tensor> transpose(const Call& call) {
    const std::vector<int64_t>& order = call.as<Transpose>().order;
    return moved(call, [&](const Index& index) {
        Index from = index;
        for (size_t a = 0; a < order.size(); a++)
            from[static_cast<size_t>(order[a]) + 1] = index[a + 1];
        return from;
    });
}

std::vector<Tensor> channel_shuffle(const Call& call) {
    const int64_t groups = call.as<ChannelShuffle>().groups;
    const int64_t each = call.types[0].shape[0] / groups;
    return scattered(call, [&](Index index) {
        index[1] = index[1] % each * groups + index[1] / each;
        return index;
    });
}

// The place, in the map with more channels, of a place in the other one.
Index in_depth(Index index, const std::vector<int64_t>& block) {
    for (size_t a = 0; a < block.size(); a++) {
        index[1] = index[1] * block[a] + index[a + 2] % block[a];
        index[a + 2] /= block[a];
    }
    return index;
}

std::vector<Tensor> depth_to_space(const Call& call) {
    return moved(
        call, [&](const Index& index) { return in_depth(index, call.as<DepthToSpace>().block); });
}

std::vector<Tensor> space_to_depth(const Call& call) {
    return scattered(
        call, [&](const Index& index) { return in_depth(index, call.as<SpaceToDepth>().block); });
}

std::vector<Tensor> flip(const Call& call) {
    const size_t first = call.types[0].batched ? 1 : 0;
    return moved(call, [&](Index index) {
        for (int64_t axis : call.as<Flip>().axes) {
            const auto a = static_cast<size_t>(axis);
            index[a + first] = call.types[0].shape[a] - 1 - index[a + first];
        }
        return index;
    });
}

// ---- Size ----

// Cells of an axis of `in` cells that cell i of `out` reads, with their weights.
using Reads = std::vector<std::pair<int64_t, double>>;

Reads reads_of(const std::string& mode, int64_t i, int64_t in, int64_t out) {
    const double center = static_cast<double>((2 * i + 1) * in) / static_cast<double>(2 * out);
    if (mode == "nearest") return {{static_cast<int64_t>(std::floor(center)), 1}};
    const double at = std::clamp(center - 0.5, 0.0, static_cast<double>(in - 1));
    const auto low = static_cast<int64_t>(std::floor(at));
    const double share = at - static_cast<double>(low);
    return {{low, 1 - share}, {std::min(low + 1, in - 1), share}};
}

double resized(const Tensor& x, const Tensor& y, const std::string& mode, const Index& index,
               size_t axis) {
    if (axis == index.size()) return x.values[place_of(x, index)];
    double sum = 0;
    for (const auto& [cell, weight] :
         reads_of(mode, index[axis], x.extents()[axis], y.extents()[axis])) {
        Index from = index;
        from[axis] = cell;
        sum += weight * resized(x, y, mode, from, axis + 1);
    }
    return sum;
}

std::vector<Tensor> resize(const Call& call) {
    Tensor y = call.output();
    for (size_t i = 0; i < y.values.size(); i++)
        y.values[i] = resized(call.input(0), y, call.as<Resize>().mode, index_of(y, i), 2);
    return {y};
}

std::vector<Tensor> resize_backward(const Call& call) {
    const auto& op = call.as<ResizeBackward>();
    const Tensor& dy = call.input(0);
    Tensor dx = call.output();
    const auto axis = static_cast<size_t>(op.axis) + 1;
    for (size_t i = 0; i < dy.values.size(); i++) {
        Index index = index_of(dy, i);
        for (const auto& [cell, weight] : reads_of(op.mode, index[axis], op.input, op.output)) {
            index[axis] = cell;
            dx.values[place_of(dx, index)] += weight * dy.values[i];
        }
    }
    return {dx};
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
    table["add_map"] = add_map;
    table["channel_shuffle"] = channel_shuffle;
    table["concatenate"] = concatenate;
    table["crop"] = crop;
    table["crop_backward"] = crop_backward;
    table["depth_to_space"] = depth_to_space;
    table["expand"] = expand;
    table["factor"] = same_values;
    table["flatten"] = same_values;
    table["flip"] = flip;
    table["pad"] = pad;
    table["pad_backward"] = pad_backward;
    table["reduce"] = reduce;
    table["reduce_axes"] = reduce;
    table["resize"] = resize;
    table["resize_backward"] = resize_backward;
    table["slice"] = slice;
    table["slice_backward"] = slice_backward;
    table["space_to_depth"] = space_to_depth;
    table["stop_gradient"] = same_values;
    table["sum_samples"] = sum_samples;
    table["transpose"] = transpose;
    table["unfactor"] = same_values;
    table["unflatten"] = same_values;
    table["view"] = same_values;
}

}  // namespace emulsion::reference
