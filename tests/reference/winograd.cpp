// Winograd convolution, written out as sums over the entries of its matrices.
#include "compiler/ops/winograd.h"

#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// u = G w G^T, products of the matrix written out.
std::vector<Tensor> winograd_filter(const Call& call) {
    const Tensor& w = call.input(0);
    Tensor u = call.output();
    const auto& s = w.type.shape;
    const int64_t points = u.type.shape[2];
    const auto g =
        winograd_matrices(static_cast<int>(call.as<WinogradFilter>().tile), static_cast<int>(s[2]))
            .filter;
    for (int64_t o = 0; o < s[0]; o++)
        for (int64_t c = 0; c < s[1]; c++)
            for (int64_t i = 0; i < points; i++)
                for (int64_t j = 0; j < points; j++)
                    for (int64_t p = 0; p < s[2]; p++)
                        for (int64_t q = 0; q < s[3]; q++)
                            u.at(o, c, i, j) += g[static_cast<size_t>(i)][static_cast<size_t>(p)] *
                                                g[static_cast<size_t>(j)][static_cast<size_t>(q)] *
                                                w.at(o, c, p, q);
    return {u};
}

using Points = std::vector<std::vector<double>>;  // p x p

Points zeros(const WinogradMatrices& matrices) {
    const size_t points = matrices.input.size();
    return Points(points, std::vector<double>(points));
}

// B^T d B of the p x p inputs of channel c whose first one is (top, left), zero outside the map.
Points transformed(const Tensor& x, const WinogradMatrices& matrices, int64_t n, int64_t c,
                   int64_t top, int64_t left) {
    const int64_t height = x.type.shape[1], width = x.type.shape[2];
    Points rows = zeros(matrices), data = zeros(matrices);
    const size_t points = rows.size();
    for (size_t p = 0; p < points; p++)
        for (size_t q = 0; q < points; q++) {
            const int64_t row = top + static_cast<int64_t>(p),
                          column = left + static_cast<int64_t>(q);
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            const double value = x.at(n, c, row, column);
            for (size_t i = 0; i < points; i++) rows[i][q] += matrices.input[i][p] * value;
        }
    for (size_t i = 0; i < points; i++)
        for (size_t j = 0; j < points; j++)
            for (size_t q = 0; q < points; q++) data[i][j] += matrices.input[j][q] * rows[i][q];
    return data;
}

// The results of one tile for output channel o: y = A^T [sum over channels of u * data] A.
void add_tile(Tensor& y, const Tensor& u, const WinogradMatrices& matrices,
              const std::vector<Points>& data, int64_t n, int64_t o, int64_t top, int64_t left) {
    const auto tile = static_cast<int64_t>(matrices.output.size());
    Points sums = zeros(matrices);
    const size_t points = sums.size();
    for (size_t c = 0; c < data.size(); c++) {
        const double* filter = &u.values[u.offset({o, static_cast<int64_t>(c), 0, 0})];
        for (size_t i = 0; i < points; i++)
            for (size_t j = 0; j < points; j++)
                sums[i][j] += filter[i * points + j] * data[c][i][j];
    }
    for (int64_t row = 0; row < tile && top + row < y.type.shape[1]; row++)
        for (int64_t column = 0; column < tile && left + column < y.type.shape[2]; column++)
            for (size_t i = 0; i < points; i++)
                for (size_t j = 0; j < points; j++)
                    y.at(n, o, top + row, left + column) +=
                        matrices.output[static_cast<size_t>(row)][i] *
                        matrices.output[static_cast<size_t>(column)][j] * sums[i][j];
}

// For any u, not only a transformed filter.
std::vector<Tensor> winograd_conv2d(const Call& call) {
    const auto& op = call.as<WinogradConv2d>();
    const Tensor &x = call.input(0), &u = call.input(1);
    Tensor y = call.output();
    const WinogradMatrices matrices =
        winograd_matrices(static_cast<int>(op.tile), static_cast<int>(op.kernel(u.type)));
    for (int64_t n = 0; n < call.samples; n++)
        for (int64_t top = 0; top < y.type.shape[1]; top += op.tile)
            for (int64_t left = 0; left < y.type.shape[2]; left += op.tile) {
                std::vector<Points> data;
                for (int64_t c = 0; c < x.type.shape[0]; c++)
                    data.push_back(
                        transformed(x, matrices, n, c, top - op.padding[0], left - op.padding[2]));
                for (int64_t o = 0; o < y.type.shape[0]; o++)
                    add_tile(y, u, matrices, data, n, o, top, left);
            }
    return {y};
}

}  // namespace

void add_winograd(Table& table) {
    table["winograd_filter"] = winograd_filter;
    table["winograd_conv2d"] = winograd_conv2d;
}

}  // namespace emulsion::reference
