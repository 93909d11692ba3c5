// Pooling: windows cut to the map, cell by cell.
#include <algorithm>
#include <functional>

#include "compiler/ops/average_pool.h"
#include "compiler/ops/max_pool.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// The cells of a window that lie inside the map: rows top … bottom - 1, columns left … right - 1,
// and where the whole window begins.
struct Cut {
    int64_t n, c, i, j;  // sample, channel, position
    int64_t first_row, first_column, top, bottom, left, right;
};

void for_each_window(int64_t samples, const std::vector<int64_t>& map,
                     const std::vector<int64_t>& out, const PoolAttributes& a,
                     const std::function<void(const Cut&)>& visit) {
    for (int64_t n = 0; n < samples; n++)
        for (int64_t c = 0; c < map[0]; c++)
            for (int64_t i = 0; i < out[1]; i++)
                for (int64_t j = 0; j < out[2]; j++) {
                    const int64_t row = i * a.stride[0] - a.padding[0],
                                  column = j * a.stride[1] - a.padding[2];
                    visit({n, c, i, j, row, column, std::max<int64_t>(row, 0),
                           std::min(row + a.window[0], map[1]), std::max<int64_t>(column, 0),
                           std::min(column + a.window[1], map[2])});
                }
}

std::vector<Tensor> max_pool(const Call& call) {
    const auto& op = call.as<MaxPool>();
    const Tensor& x = call.input(0);
    Tensor value = call.output(0), index = call.output(1);
    for_each_window(call.samples, x.type.shape, value.type.shape, op, [&](const Cut& w) {
        int64_t row = w.top, column = w.left;
        for (int64_t h = w.top; h < w.bottom; h++)
            for (int64_t v = w.left; v < w.right; v++)
                if (x.at(w.n, w.c, h, v) > x.at(w.n, w.c, row, column)) {
                    row = h;
                    column = v;
                }
        value.at(w.n, w.c, w.i, w.j) = x.at(w.n, w.c, row, column);
        index.at(w.n, w.c, w.i, w.j) =
            static_cast<double>((row - w.first_row) * op.window[1] + column - w.first_column);
    });
    return {value, index};
}

std::vector<Tensor> max_pool_backward(const Call& call) {
    const auto& op = call.as<MaxPoolBackward>();
    const Tensor &dy = call.input(0), &index = call.input(1);
    Tensor dx = call.output();
    for_each_window(call.samples, dx.type.shape, dy.type.shape, op, [&](const Cut& w) {
        const auto tap = static_cast<int64_t>(index.at(w.n, w.c, w.i, w.j));
        dx.at(w.n, w.c, w.first_row + tap / op.window[1], w.first_column + tap % op.window[1]) +=
            dy.at(w.n, w.c, w.i, w.j);
    });
    return {dx};
}

std::vector<Tensor> max_pool_winners(const Call& call) {
    const auto& op = call.as<MaxPoolWinners>();
    const Tensor &x = call.input(0), &index = call.input(1);
    Tensor y = call.output();
    for_each_window(call.samples, x.type.shape, y.type.shape, op, [&](const Cut& w) {
        const auto tap = static_cast<int64_t>(index.at(w.n, w.c, w.i, w.j));
        y.at(w.n, w.c, w.i, w.j) =
            x.at(w.n, w.c, w.first_row + tap / op.window[1], w.first_column + tap % op.window[1]);
    });
    return {y};
}

// Cells that the mean divides by.
double cells(const Cut& w, const PoolAttributes& a, const std::vector<int64_t>& map,
             bool count_padding) {
    if (!count_padding) return static_cast<double>((w.bottom - w.top) * (w.right - w.left));
    const int64_t rows = std::min(w.first_row + a.window[0], map[1] + a.padding[1]) - w.first_row;
    const int64_t columns =
        std::min(w.first_column + a.window[1], map[2] + a.padding[3]) - w.first_column;
    return static_cast<double>(rows * columns);
}

std::vector<Tensor> average_pool(const Call& call) {
    const auto& op = call.as<AveragePool>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    for_each_window(call.samples, x.type.shape, y.type.shape, op, [&](const Cut& w) {
        double sum = 0;
        for (int64_t h = w.top; h < w.bottom; h++)
            for (int64_t v = w.left; v < w.right; v++) sum += x.at(w.n, w.c, h, v);
        y.at(w.n, w.c, w.i, w.j) = sum / cells(w, op, x.type.shape, op.count_padding);
    });
    return {y};
}

std::vector<Tensor> average_pool_backward(const Call& call) {
    const auto& op = call.as<AveragePoolBackward>();
    const Tensor& dy = call.input(0);
    Tensor dx = call.output();
    for_each_window(call.samples, dx.type.shape, dy.type.shape, op, [&](const Cut& w) {
        const double share =
            dy.at(w.n, w.c, w.i, w.j) / cells(w, op, dx.type.shape, op.count_padding);
        for (int64_t h = w.top; h < w.bottom; h++)
            for (int64_t v = w.left; v < w.right; v++) dx.at(w.n, w.c, h, v) += share;
    });
    return {dx};
}

}  // namespace

void add_pooling(Table& table) {
    table["average_pool"] = average_pool;
    table["average_pool_backward"] = average_pool_backward;
    table["max_pool"] = max_pool;
    table["max_pool_backward"] = max_pool_backward;
    table["max_pool_winners"] = max_pool_winners;
}

}  // namespace emulsion::reference
