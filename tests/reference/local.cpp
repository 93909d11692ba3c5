// Layers of a position's own: dense layers for each, filters of a table, places between cells.
#include <cmath>

#include "compiler/ops/connect_filter.h"
#include "compiler/ops/deform_sample.h"
#include "compiler/ops/local_dense.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// Calls visit(n, o, i, place) with flat indices of y, w and x for each product of a layer of
// `outputs` results and `inputs` inputs at `positions` positions.
template <class Visit>
void for_products(int64_t samples, int64_t outputs, int64_t inputs, int64_t positions,
                  const Visit& visit) {
    for (int64_t n = 0; n < samples; n++)
        for (int64_t o = 0; o < outputs; o++)
            for (int64_t i = 0; i < inputs; i++)
                for (int64_t p = 0; p < positions; p++) {
                    visit(static_cast<size_t>((n * outputs + o) * positions + p),
                          static_cast<size_t>((o * inputs + i) * positions + p),
                          static_cast<size_t>((n * inputs + i) * positions + p));
                }
}

int64_t positions_of(const TensorType& map) { return element_count(map) / map.shape[0]; }

std::vector<Tensor> local_dense(const Call& call) {
    const Tensor &x = call.input(0), &w = call.input(1);
    Tensor y = call.output();
    for_products(call.samples, y.type.shape[0], x.type.shape[0], positions_of(x.type),
                 [&](size_t to, size_t weight, size_t from) {
                     y.values[to] += w.values[weight] * x.values[from];
                 });
    return {y};
}

std::vector<Tensor> local_dense_backward_data(const Call& call) {
    const Tensor &dy = call.input(0), &w = call.input(1);
    Tensor dx = call.output();
    for_products(call.samples, dy.type.shape[0], dx.type.shape[0], positions_of(dy.type),
                 [&](size_t to, size_t weight, size_t from) {
                     dx.values[from] += w.values[weight] * dy.values[to];
                 });
    return {dx};
}

std::vector<Tensor> local_dense_backward_weights(const Call& call) {
    const Tensor &x = call.input(0), &dy = call.input(1);
    Tensor dw = call.output();
    for_products(call.samples, dy.type.shape[0], x.type.shape[0], positions_of(x.type),
                 [&](size_t to, size_t weight, size_t from) {
                     dw.values[weight] += x.values[from] * dy.values[to];
                 });
    return {dw};
}

// Calls visit(pair, o, i) for each one of a table.
template <class Visit>
void for_pairs(const std::vector<int64_t>& table, int64_t channels, const Visit& visit) {
    int64_t pair = 0;
    for (size_t f = 0; f < table.size(); f++) {
        const auto place = static_cast<int64_t>(f);
        if (table[f] == 1) visit(pair++, place / channels, place % channels);
    }
}

std::vector<Tensor> connect_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor y = call.output();
    for_pairs(call.as<ConnectFilter>().table, y.type.shape[1],
              [&](int64_t pair, int64_t o, int64_t i) {
                  for (int64_t p = 0; p < w.type.shape[2]; p++)
                      for (int64_t q = 0; q < w.type.shape[3]; q++)
                          y.at(o, i, p, q) = w.at(pair, 0, p, q);
              });
    return {y};
}

std::vector<Tensor> connect_filter_backward(const Call& call) {
    const Tensor& dy = call.input(0);
    Tensor dw = call.output();
    for_pairs(call.as<ConnectFilterBackward>().table, dy.type.shape[1],
              [&](int64_t pair, int64_t o, int64_t i) {
                  for (int64_t p = 0; p < dw.type.shape[2]; p++)
                      for (int64_t q = 0; q < dw.type.shape[3]; q++)
                          dw.at(pair, 0, p, q) = dy.at(o, i, p, q);
              });
    return {dw};
}

// Calls visit(n, row, column, t, i, j, y, x) for each place that is sampled: cell (row, column) of
// the result, tap t of position (i, j), at (y, x) of the map.
template <class Visit>
void for_places(const DeformAttributes& op, const Tensor& offsets, const Visit& visit) {
    const int64_t kh = op.kernel[0], kw = op.kernel[1];
    for (int64_t n = 0; n < offsets.samples; n++)
        for (int64_t i = 0; i < offsets.type.shape[1]; i++)
            for (int64_t j = 0; j < offsets.type.shape[2]; j++)
                for (int64_t t = 0; t < kh * kw; t++) {
                    const int64_t p = t / kw, q = t % kw;
                    const double y =
                        static_cast<double>(i * op.stride[0] - op.padding[0] + p * op.dilation[0]) +
                        offsets.at(n, 2 * t, i, j);
                    const double x =
                        static_cast<double>(j * op.stride[1] - op.padding[2] + q * op.dilation[1]) +
                        offsets.at(n, 2 * t + 1, i, j);
                    visit(n, i * kh + p, j * kw + q, t, i, j, y, x);
                }
}

// Calls visit(row, column, weight, slope down, slope right) for each cell of the map around a
// place.
template <class Visit>
void for_corners(const TensorType& map, double y, double x, const Visit& visit) {
    const double top = std::floor(y), left = std::floor(x);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++) {
            const double row = top + a, column = left + b;
            if (!(row >= 0 && row < static_cast<double>(map.shape[1]) && column >= 0 &&
                  column < static_cast<double>(map.shape[2])))
                continue;
            const double down = a == 0 ? 1 - (y - top) : y - top;
            const double right = b == 0 ? 1 - (x - left) : x - left;
            visit(static_cast<int64_t>(row), static_cast<int64_t>(column), down * right,
                  (a == 0 ? -1 : 1) * right, (b == 0 ? -1 : 1) * down);
        }
}

std::vector<Tensor> deform_sample(const Call& call) {
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for_places(call.as<DeformSample>(), call.input(1),
               [&](int64_t n, int64_t row, int64_t column, int64_t, int64_t, int64_t, double py,
                   double px) {
                   for_corners(x.type, py, px,
                               [&](int64_t r, int64_t s, double weight, double, double) {
                                   for (int64_t c = 0; c < x.type.shape[0]; c++)
                                       y.at(n, c, row, column) += weight * x.at(n, c, r, s);
                               });
               });
    return {y};
}

std::vector<Tensor> deform_sample_backward_data(const Call& call) {
    const Tensor& dy = call.input(0);
    Tensor dx = call.output();
    for_places(call.as<DeformSampleBackwardData>(), call.input(1),
               [&](int64_t n, int64_t row, int64_t column, int64_t, int64_t, int64_t, double py,
                   double px) {
                   for_corners(dx.type, py, px,
                               [&](int64_t r, int64_t s, double weight, double, double) {
                                   for (int64_t c = 0; c < dx.type.shape[0]; c++)
                                       dx.at(n, c, r, s) += weight * dy.at(n, c, row, column);
                               });
               });
    return {dx};
}

std::vector<Tensor> deform_sample_backward_offsets(const Call& call) {
    const Tensor &dy = call.input(0), &x = call.input(1);
    Tensor d = call.output();
    for_places(call.as<DeformSampleBackwardOffsets>(), call.input(2),
               [&](int64_t n, int64_t row, int64_t column, int64_t t, int64_t i, int64_t j,
                   double py, double px) {
                   for_corners(x.type, py, px,
                               [&](int64_t r, int64_t s, double, double down, double right) {
                                   for (int64_t c = 0; c < x.type.shape[0]; c++) {
                                       const double both =
                                           dy.at(n, c, row, column) * x.at(n, c, r, s);
                                       d.at(n, 2 * t, i, j) += down * both;
                                       d.at(n, 2 * t + 1, i, j) += right * both;
                                   }
                               });
               });
    return {d};
}

}  // namespace

void add_local(Table& table) {
    table["connect_filter"] = connect_filter;
    table["connect_filter_backward"] = connect_filter_backward;
    table["deform_sample"] = deform_sample;
    table["deform_sample_backward_data"] = deform_sample_backward_data;
    table["deform_sample_backward_offsets"] = deform_sample_backward_offsets;
    table["local_dense"] = local_dense;
    table["local_dense_backward_data"] = local_dense_backward_data;
    table["local_dense_backward_weights"] = local_dense_backward_weights;
}

}  // namespace emulsion::reference
