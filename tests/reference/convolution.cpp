// Convolution of maps and its gradients, tap by tap: every multiplication of the forward sum, in
// the direction asked.
#include <functional>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/rotate_filter.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// What takes part in one multiplication: y(n,o,i,j) += x(n,c,h,w) * f(o,c,p,q).
struct Product {
    int64_t n, o, c, i, j, h, w, p, q;
};

struct Sizes {
    int64_t samples, out_channels, channels, height, width, kernel_height, kernel_width, out_height,
        out_width;
};

void for_each_product(const Sizes& s, const ConvAttributes& a,
                      const std::function<void(const Product&)>& visit) {
    Product t{};
    for (t.n = 0; t.n < s.samples; t.n++)
        for (t.o = 0; t.o < s.out_channels; t.o++)
            for (t.c = 0; t.c < s.channels; t.c++)
                for (t.i = 0; t.i < s.out_height; t.i++)
                    for (t.j = 0; t.j < s.out_width; t.j++)
                        for (t.p = 0; t.p < s.kernel_height; t.p++)
                            for (t.q = 0; t.q < s.kernel_width; t.q++) {
                                t.h = t.i * a.stride[0] - a.padding[0] + t.p * a.dilation[0];
                                t.w = t.j * a.stride[1] - a.padding[2] + t.q * a.dilation[1];
                                if (t.h >= 0 && t.h < s.height && t.w >= 0 && t.w < s.width)
                                    visit(t);
                            }
}

std::vector<Tensor> conv2d(const Call& call) {
    const Tensor &x = call.input(0), &w = call.input(1);
    Tensor y = call.output();
    const auto &xs = x.type.shape, &ws = w.type.shape, &ys = y.type.shape;
    for_each_product({call.samples, ws[0], ws[1], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]},
                     call.as<Conv2d>(), [&](const Product& t) {
                         y.at(t.n, t.o, t.i, t.j) +=
                             x.at(t.n, t.c, t.h, t.w) * w.at(t.o, t.c, t.p, t.q);
                     });
    return {y};
}

std::vector<Tensor> conv2d_backward_data(const Call& call) {
    const auto& op = call.as<Conv2dBackwardData>();
    const Tensor &dy = call.input(0), &w = call.input(1);
    Tensor dx = call.output();
    const auto &xs = dx.type.shape, &ws = w.type.shape, &ys = dy.type.shape;
    const auto weight = [&](const Product& t) {
        return op.rotated ? w.at(t.c, t.o, ws[2] - 1 - t.p, ws[3] - 1 - t.q)
                          : w.at(t.o, t.c, t.p, t.q);
    };
    for_each_product({call.samples, ys[0], xs[0], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]}, op,
                     [&](const Product& t) {
                         dx.at(t.n, t.c, t.h, t.w) += dy.at(t.n, t.o, t.i, t.j) * weight(t);
                     });
    return {dx};
}

std::vector<Tensor> conv2d_backward_filter(const Call& call) {
    const Tensor &x = call.input(0), &dy = call.input(1);
    Tensor dw = call.output();
    const auto &xs = x.type.shape, &ws = dw.type.shape, &ys = dy.type.shape;
    for_each_product({call.samples, ws[0], ws[1], xs[1], xs[2], ws[2], ws[3], ys[1], ys[2]},
                     call.as<Conv2dBackwardFilter>(), [&](const Product& t) {
                         dw.at(t.o, t.c, t.p, t.q) +=
                             x.at(t.n, t.c, t.h, t.w) * dy.at(t.n, t.o, t.i, t.j);
                     });
    return {dw};
}

std::vector<Tensor> rotate_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor r = call.output();
    const auto& s = w.type.shape;
    for (int64_t o = 0; o < s[0]; o++)
        for (int64_t i = 0; i < s[1]; i++)
            for (int64_t p = 0; p < s[2]; p++)
                for (int64_t q = 0; q < s[3]; q++)
                    r.at(i, o, s[2] - 1 - p, s[3] - 1 - q) = w.at(o, i, p, q);
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
