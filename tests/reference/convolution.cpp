// Convolution of lines, maps and volumes, and its gradients: every multiplication of the forward
// sum, in the direction asked, a row of neighbours at a time.
#include <algorithm>
#include <thread>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/fold_filter.h"
#include "compiler/ops/phase_filter.h"
#include "compiler/ops/rotate_filter.h"
#include "tests/reference/axes.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

int64_t product(const Three& t) { return t[0] * t[1] * t[2]; }

// A row of multiplications: y += x * w for `count` neighbours, x `step` further on each time. x and
// y are the places of the first ones in (n, c, …) and (n, o, …); w is tap `tap` of channel f, which
// is channel c of the map, in filter o.
struct Row {
    int64_t x, y, o, c, f, tap, count, step;
};

struct Convolution {
    int64_t samples, out_channels, channels, groups;
    Three in, kernel, out, stride, dilation, before;

    Convolution(const ConvAttributes& a, int64_t n, const std::vector<int64_t>& x,
                const std::vector<int64_t>& w, const std::vector<int64_t>& y)
        : samples(n),
          out_channels(y[0]),
          channels(x[0]),
          groups(a.groups),
          in(three(x, 1)),
          kernel(three(w, 2)),
          out(three(y, 1)),
          stride(three(a.stride, 0)),
          dilation(three(a.dilation, 0)),
          before{} {
        for (size_t axis = a.stride.size(); axis-- > 0;)
            before[3 - a.stride.size() + axis] = a.padding[2 * axis];
    }

    // The place of weight `row` in the filter.
    int64_t weight(const Row& row) const {
        return (row.o * (channels / groups) + row.f) * product(kernel) + row.tap;
    }
    // The same in a filter that rotate_filter made.
    int64_t rotated_weight(const Row& row) const {
        const int64_t each = out_channels / groups;
        return (row.c * each + row.o % each) * product(kernel) + product(kernel) - 1 - row.tap;
    }

    // All rows of one sample's output channel.
    template <class Visit>
    void visit_rows(int64_t n, int64_t o, const Visit& visit) const {
        Row t{};
        t.o = o;
        const int64_t each = channels / groups;
        for (t.f = 0; t.f < each; t.f++) {
            t.c = o / (out_channels / groups) * each + t.f;
            for (t.tap = 0; t.tap < product(kernel); t.tap++) visit_tap(n, t, visit);
        }
    }

    template <class Visit>
    void visit_tap(int64_t n, Row& t, const Visit& visit) const {
        const Three tap = {t.tap / kernel[2] / kernel[1], t.tap / kernel[2] % kernel[1],
                           t.tap % kernel[2]};
        const auto cell = [&](size_t axis, int64_t position) {
            return position * stride[axis] - before[axis] + tap[axis] * dilation[axis];
        };
        const int64_t left = cell(2, 0);  // the column that position 0 reads
        const int64_t first = left < 0 ? (-left + stride[2] - 1) / stride[2] : 0;
        const int64_t column = cell(2, first);
        t.step = stride[2];
        t.count = column < in[2] ? std::min(out[2] - first, (in[2] - 1 - column) / t.step + 1) : 0;
        if (t.count <= 0) return;
        for (int64_t i = 0; i < out[0]; i++)
            for (int64_t j = 0; j < out[1]; j++) {
                const int64_t d = cell(0, i), h = cell(1, j);
                if (d < 0 || d >= in[0] || h < 0 || h >= in[1]) continue;
                t.x = (((n * channels + t.c) * in[0] + d) * in[1] + h) * in[2] + column;
                t.y = (((n * out_channels + t.o) * out[0] + i) * out[1] + j) * out[2] + first;
                visit(t);
            }
    }

    // Every row once. Two threads share the samples, or the output channels where results are
    // summed over samples.
    template <class Visit>
    void for_each_row(bool by_samples, const Visit& visit) const {
        const auto half = [&](int64_t first) {
            for (int64_t n = by_samples ? first : 0; n < samples; n += by_samples ? 2 : 1)
                for (int64_t o = by_samples ? 0 : first; o < out_channels; o += by_samples ? 1 : 2)
                    visit_rows(n, o, visit);
        };
        std::thread other(half, 1);
        half(0);
        other.join();
    }
};

std::vector<Tensor> conv2d(const Call& call) {
    const Tensor &x = call.input(0), &w = call.input(1);
    Tensor y = call.output();
    const Convolution conv(call.as<Conv2d>(), call.samples, x.type.shape, w.type.shape,
                           y.type.shape);
    conv.for_each_row(/*by_samples=*/true, [&](const Row& t) {
        double* to = y.values.data() + t.y;
        const double* from = x.values.data() + t.x;
        const double factor = w.values[static_cast<size_t>(conv.weight(t))];
        for (int64_t k = 0; k < t.count; k++) to[k] += from[k * t.step] * factor;
    });
    return {y};
}

std::vector<Tensor> conv2d_backward_data(const Call& call) {
    const auto& op = call.as<Conv2dBackwardData>();
    const Tensor &dy = call.input(0), &w = call.input(1);
    Tensor dx = call.output();
    const Convolution conv(op, call.samples, dx.type.shape, w.type.shape, dy.type.shape);
    conv.for_each_row(/*by_samples=*/true, [&](const Row& t) {
        double* to = dx.values.data() + t.x;
        const double* from = dy.values.data() + t.y;
        const int64_t place = op.rotated ? conv.rotated_weight(t) : conv.weight(t);
        const double factor = w.values[static_cast<size_t>(place)];
        for (int64_t k = 0; k < t.count; k++) to[k * t.step] += from[k] * factor;
    });
    return {dx};
}

std::vector<Tensor> conv2d_backward_filter(const Call& call) {
    const Tensor &x = call.input(0), &dy = call.input(1);
    Tensor dw = call.output();
    const Convolution conv(call.as<Conv2dBackwardFilter>(), call.samples, x.type.shape,
                           dw.type.shape, dy.type.shape);
    conv.for_each_row(/*by_samples=*/false, [&](const Row& t) {
        const double *a = x.values.data() + t.x, *b = dy.values.data() + t.y;
        double sum = 0;
        for (int64_t k = 0; k < t.count; k++) sum += a[k * t.step] * b[k];
        dw.values[static_cast<size_t>(conv.weight(t))] += sum;
    });
    return {dw};
}

// Visits each weight: its phase and tap follow from where it stands on each axis.
std::vector<Tensor> phase_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor r = call.output();
    const Three from = three(w.type.shape, 2), to = three(r.type.shape, 2);
    std::vector<int64_t> given = {1, 1};
    const std::vector<int64_t>& stride = call.as<PhaseFilter>().stride;
    given.insert(given.end(), stride.begin(), stride.end());
    const Three step = three(given, 2);
    const int64_t out = w.type.shape[0], in = w.type.shape[1];
    size_t index = 0;
    for (int64_t o = 0; o < out; o++)
        for (int64_t c = 0; c < in; c++)
            for (int64_t z = 0; z < from[0]; z++)
                for (int64_t y = 0; y < from[1]; y++)
                    for (int64_t x = 0; x < from[2]; x++) {
                        const Three at = {z, y, x};
                        int64_t channel = c, place = 0;
                        for (size_t a = 0; a < 3; a++) {
                            channel = channel * step[a] + at[a] % step[a];
                            place = place * to[a] + to[a] - 1 - at[a] / step[a];
                        }
                        r.values[static_cast<size_t>((channel * out + o) * product(to) + place)] =
                            w.values[index++];
                    }
    return {r};
}

std::vector<Tensor> rotate_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor r = call.output();
    const auto& s = w.type.shape;
    const int64_t each = s[0] / call.as<RotateFilter>().groups;  // filters of a group
    const int64_t taps = product(three(s, 2));
    for (int64_t o = 0; o < s[0]; o++)
        for (int64_t i = 0; i < s[1]; i++)
            for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t turned = (o / each * s[1] + i) * each + o % each;
                r.values[static_cast<size_t>(turned * taps + taps - 1 - tap)] =
                    w.values[static_cast<size_t>((o * s[1] + i) * taps + tap)];
            }
    return {r};
}

// Moves a tap in depth among the channels, or back: visit(place in the filter, place in the folded
// one).
template <class Visit>
void for_each_folded(const std::vector<int64_t>& filter, bool interleaved, const Visit& visit) {
    const int64_t rest = filter[3] * filter[4];
    for (int64_t o = 0; o < filter[0]; o++)
        for (int64_t i = 0; i < filter[1]; i++)
            for (int64_t d = 0; d < filter[2]; d++)
                for (int64_t k = 0; k < rest; k++) {
                    const int64_t channel = interleaved ? i * filter[2] + d : d * filter[1] + i;
                    visit(static_cast<size_t>(((o * filter[1] + i) * filter[2] + d) * rest + k),
                          static_cast<size_t>((o * filter[1] * filter[2] + channel) * rest + k));
                }
}

std::vector<Tensor> fold_filter(const Call& call) {
    Tensor y = call.output();
    for_each_folded(call.input(0).type.shape, call.as<FoldFilter>().interleaved,
                    [&](size_t from, size_t to) { y.values[to] = call.input(0).values[from]; });
    return {y};
}

std::vector<Tensor> unfold_filter(const Call& call) {
    Tensor y = call.output();
    for_each_folded(y.type.shape, call.as<UnfoldFilter>().interleaved,
                    [&](size_t to, size_t from) { y.values[to] = call.input(0).values[from]; });
    return {y};
}

}  // namespace

void add_convolution(Table& table) {
    table["conv2d"] = conv2d;
    table["conv2d_backward_data"] = conv2d_backward_data;
    table["conv2d_backward_filter"] = conv2d_backward_filter;
    table["fold_filter"] = fold_filter;
    table["phase_filter"] = phase_filter;
    table["rotate_filter"] = rotate_filter;
    table["unfold_filter"] = unfold_filter;
}

}  // namespace emulsion::reference
