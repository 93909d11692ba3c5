// Pooling: windows cut to the map, cell by cell.
#include <algorithm>

#include "compiler/ops/average_pool.h"
#include "compiler/ops/max_pool.h"
#include "tests/reference/axes.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// One window: its place among all windows, where it begins, and its cells that lie inside the map,
// begin … end - 1 along each axis.
struct Cut {
    size_t place;
    Three first, begin, end;
};

struct Windows {
    int64_t maps;  // of all samples
    Three map, out, size, stride, before, after;

    Windows(const Call& call, const std::vector<int64_t>& x, const std::vector<int64_t>& y,
            const PoolAttributes& a)
        : maps(call.samples * x[0]),
          map(three(x, 1)),
          out(three(y, 1)),
          size(three(a.window, 0)),
          stride(three(a.stride, 0)),
          before{},
          after{} {
        for (size_t axis = 0; axis < a.window.size(); axis++) {
            before[3 - a.window.size() + axis] = a.padding[2 * axis];
            after[3 - a.window.size() + axis] = a.padding[2 * axis + 1];
        }
    }

    // visit(window, m) for every window of every map m.
    template <class Visit>
    void for_each(const Visit& visit) const {
        Cut w{};
        for (int64_t m = 0; m < maps; m++)
            for (int64_t i = 0; i < out[0]; i++)
                for (int64_t j = 0; j < out[1]; j++)
                    for (int64_t k = 0; k < out[2]; k++) {
                        const Three at = {i, j, k};
                        for (size_t axis = 0; axis < 3; axis++) {
                            w.first[axis] = at[axis] * stride[axis] - before[axis];
                            w.begin[axis] = std::max<int64_t>(w.first[axis], 0);
                            w.end[axis] = std::min(w.first[axis] + size[axis], map[axis]);
                        }
                        visit(w, m);
                        w.place++;
                    }
    }

    // The place of a cell in map m.
    size_t cell(int64_t m, int64_t d, int64_t h, int64_t v) const {
        return static_cast<size_t>(((m * map[0] + d) * map[1] + h) * map[2] + v);
    }
    // visit(place, number of the tap) for the cells of a window inside the map.
    template <class Visit>
    void for_each_cell(const Cut& w, int64_t m, const Visit& visit) const {
        for (int64_t d = w.begin[0]; d < w.end[0]; d++)
            for (int64_t h = w.begin[1]; h < w.end[1]; h++)
                for (int64_t v = w.begin[2]; v < w.end[2]; v++) {
                    const int64_t number =
                        ((d - w.first[0]) * size[1] + h - w.first[1]) * size[2] + v - w.first[2];
                    visit(cell(m, d, h, v), number);
                }
    }
    // The place of the cell with this number.
    size_t numbered(const Cut& w, int64_t m, double number) const {
        const auto tap = static_cast<int64_t>(number);
        return cell(m, w.first[0] + tap / size[2] / size[1], w.first[1] + tap / size[2] % size[1],
                    w.first[2] + tap % size[2]);
    }
    // Cells that the mean divides by.
    double count(const Cut& w, bool with_padding) const {
        int64_t cells = 1;
        for (size_t axis = 0; axis < 3; axis++) {
            const int64_t far =
                std::min(w.first[axis] + size[axis], map[axis] + after[axis]) - w.first[axis];
            cells *= with_padding ? far : w.end[axis] - w.begin[axis];
        }
        return static_cast<double>(cells);
    }
};

std::vector<Tensor> max_pool(const Call& call) {
    const Tensor& x = call.input(0);
    Tensor value = call.output(0), index = call.output(1);
    const Windows windows(call, x.type.shape, value.type.shape, call.as<MaxPool>());
    windows.for_each([&](const Cut& w, int64_t m) {
        bool is_first = true;
        windows.for_each_cell(w, m, [&](size_t cell, int64_t number) {
            if (!is_first && !(x.values[cell] > value.values[w.place])) return;
            is_first = false;
            value.values[w.place] = x.values[cell];
            index.values[w.place] = static_cast<double>(number);
        });
    });
    return {value, index};
}

std::vector<Tensor> max_pool_backward(const Call& call) {
    const Tensor &dy = call.input(0), &index = call.input(1);
    Tensor dx = call.output();
    const Windows windows(call, dx.type.shape, dy.type.shape, call.as<MaxPoolBackward>());
    windows.for_each([&](const Cut& w, int64_t m) {
        dx.values[windows.numbered(w, m, index.values[w.place])] += dy.values[w.place];
    });
    return {dx};
}

std::vector<Tensor> max_pool_winners(const Call& call) {
    const Tensor &x = call.input(0), &index = call.input(1);
    Tensor y = call.output();
    const Windows windows(call, x.type.shape, y.type.shape, call.as<MaxPoolWinners>());
    windows.for_each([&](const Cut& w, int64_t m) {
        y.values[w.place] = x.values[windows.numbered(w, m, index.values[w.place])];
    });
    return {y};
}

std::vector<Tensor> average_pool(const Call& call) {
    const auto& op = call.as<AveragePool>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    const Windows windows(call, x.type.shape, y.type.shape, op);
    windows.for_each([&](const Cut& w, int64_t m) {
        double sum = 0;
        windows.for_each_cell(w, m, [&](size_t cell, int64_t) { sum += x.values[cell]; });
        y.values[w.place] = sum / windows.count(w, op.count_padding);
    });
    return {y};
}

std::vector<Tensor> average_pool_backward(const Call& call) {
    const auto& op = call.as<AveragePoolBackward>();
    const Tensor& dy = call.input(0);
    Tensor dx = call.output();
    const Windows windows(call, dx.type.shape, dy.type.shape, op);
    windows.for_each([&](const Cut& w, int64_t m) {
        const double share = dy.values[w.place] / windows.count(w, op.count_padding);
        windows.for_each_cell(w, m, [&](size_t cell, int64_t) { dx.values[cell] += share; });
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
