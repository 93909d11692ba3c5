// Convolution of maps and its gradients: every multiplication of the forward sum, in the direction
// asked, a row of neighbours at a time.
#include <algorithm>
#include <thread>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/rotate_filter.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// A row of multiplications: y(n,o,i,j) += x(n,c,h,w) * f(o,f,p,q) for `count` neighbours j, where
// w moves by `step` each time, and c is channel f of the group of o.
struct Row {
    int64_t n, o, c, f, i, j, h, w, p, q, count, step;
};

struct Sizes {
    int64_t samples, out_channels, channels, height, width, kernel_height, kernel_width, out_height,
        out_width;
};

// The positions j of a row whose tap q lies inside the map.
void clip(const Sizes& s, const ConvAttributes& a, Row& t) {
    const int64_t first = t.q * a.dilation[1] - a.padding[2];  // column of j = 0
    t.step = a.stride[1];
    t.j = first < 0 ? (-first + t.step - 1) / t.step : 0;
    t.w = first + t.j * t.step;
    t.count = t.w < s.width ? std::min(s.out_width - t.j, (s.width - 1 - t.w) / t.step + 1) : 0;
}

// All rows of the convolution of one sample's output channel.
template <class Visit>
void visit_rows(const Sizes& s, const ConvAttributes& a, int64_t n, int64_t o, const Visit& visit) {
    Row t{};
    t.n = n;
    t.o = o;
    const int64_t each = s.channels / a.groups;
    for (t.f = 0; t.f < each; t.f++)
        for (t.p = 0; t.p < s.kernel_height; t.p++)
            for (t.q = 0; t.q < s.kernel_width; t.q++) {
                t.c = o / (s.out_channels / a.groups) * each + t.f;
                clip(s, a, t);
                for (t.i = 0; t.count > 0 && t.i < s.out_height; t.i++) {
                    t.h = t.i * a.stride[0] - a.padding[0] + t.p * a.dilation[0];
                    if (t.h >= 0 && t.h < s.height) visit(t);
                }
            }
}

// Every row once. Two threads share the samples, or the output channels where results are summed
// over samples.
template <class Visit>
void for_each_row(const Sizes& s, const ConvAttributes& a, bool by_samples, const Visit& visit) {
    const auto half = [&](int64_t first) {
        for (int64_t n = by_samples ? first : 0; n < s.samples; n += by_samples ? 2 : 1)
            for (int64_t o = by_samples ? 0 : first; o < s.out_channels; o += by_samples ? 1 : 2)
                visit_rows(s, a, n, o, visit);
    };
    std::thread other(half, 1);
    half(0);
    other.join();
}

std::vector<Tensor> conv2d(const Call& call) {
    const Tensor &x = call.input(0), &w = call.input(1);
    Tensor y = call.output();
    const auto &xs = x.type.shape, &ws = w.type.shape, &ys = y.type.shape;
    for_each_row({call.samples, ws[0], xs[0], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]},
                 call.as<Conv2d>(), /*by_samples=*/true, [&](const Row& t) {
                     double* to = &y.at(t.n, t.o, t.i, t.j);
                     const double* from = &x.values[x.offset({t.n, t.c, t.h, t.w})];
                     const double factor = w.at(t.o, t.f, t.p, t.q);
                     for (int64_t k = 0; k < t.count; k++) to[k] += from[k * t.step] * factor;
                 });
    return {y};
}

std::vector<Tensor> conv2d_backward_data(const Call& call) {
    const auto& op = call.as<Conv2dBackwardData>();
    const Tensor &dy = call.input(0), &w = call.input(1);
    Tensor dx = call.output();
    const auto &xs = dx.type.shape, &ws = w.type.shape, &ys = dy.type.shape;
    const auto weight = [&](const Row& t) {
        return op.rotated ? w.at(t.c, t.o % (ys[0] / op.groups), ws[2] - 1 - t.p, ws[3] - 1 - t.q)
                          : w.at(t.o, t.f, t.p, t.q);
    };
    for_each_row({call.samples, ys[0], xs[0], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]}, op,
                 /*by_samples=*/true, [&](const Row& t) {
                     double* to = &dx.at(t.n, t.c, t.h, t.w);
                     const double* from = &dy.values[dy.offset({t.n, t.o, t.i, t.j})];
                     const double factor = weight(t);
                     for (int64_t k = 0; k < t.count; k++) to[k * t.step] += from[k] * factor;
                 });
    return {dx};
}

std::vector<Tensor> conv2d_backward_filter(const Call& call) {
    const Tensor &x = call.input(0), &dy = call.input(1);
    Tensor dw = call.output();
    const auto &xs = x.type.shape, &ws = dw.type.shape, &ys = dy.type.shape;
    for_each_row({call.samples, ws[0], xs[0], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]},
                 call.as<Conv2dBackwardFilter>(), /*by_samples=*/false, [&](const Row& t) {
                     const double* a = &x.values[x.offset({t.n, t.c, t.h, t.w})];
                     const double* b = &dy.values[dy.offset({t.n, t.o, t.i, t.j})];
                     double sum = 0;
                     for (int64_t k = 0; k < t.count; k++) sum += a[k * t.step] * b[k];
                     dw.at(t.o, t.f, t.p, t.q) += sum;
                 });
    return {dw};
}

std::vector<Tensor> rotate_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor r = call.output();
    const auto& s = w.type.shape;
    const int64_t each = s[0] / call.as<RotateFilter>().groups;  // filters of a group
    for (int64_t o = 0; o < s[0]; o++)
        for (int64_t i = 0; i < s[1]; i++)
            for (int64_t p = 0; p < s[2]; p++)
                for (int64_t q = 0; q < s[3]; q++)
                    r.at(o / each * s[1] + i, o % each, s[2] - 1 - p, s[3] - 1 - q) =
                        w.at(o, i, p, q);
    return {r};
}

}  // namespace

void add_convolution(Table& table) {
    table["conv2d"] = conv2d;
    table["conv2d_backward_data"] = conv2d_backward_data;
    table["conv2d_backward_filter"] = conv2d_backward_filter;
    table["rotate_filter"] = rotate_filter;
}

}  // namespace emulsion::reference
