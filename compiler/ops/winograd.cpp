// Winograd convolution: its matrices, its filter transform and its plain definition.
#include "compiler/ops/winograd.h"

#include <cmath>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/window.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

bool has_winograd(int64_t tile, int64_t kernel) {
    return kernel == 3 ? tile == 2 || tile == 4 : kernel == 5 && tile == 2;
}

int64_t winograd_products(int64_t tile, int64_t kernel, int64_t height, int64_t width) {
    const int64_t points = tile + kernel - 1;
    return points * points * ((height + tile - 1) / tile) * ((width + tile - 1) / tile);
}

WinogradMatrices winograd_matrices(int tile, int kernel) {
    std::vector<double> points = {0, 1, -1, 2, -2};
    std::vector<double> scales = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};
    WinogradMatrices m;
    m.input = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
               {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
    if (tile + kernel - 1 == 4) {
        points = {0, 1, -1};
        scales = {1, 1.0 / 2, 1.0 / 2};
        m.input = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
    }
    for (int row = 0; row < tile; row++) {
        std::vector<double> values;
        for (double point : points) values.push_back(row == 0 ? 1 : std::pow(point, row));
        values.push_back(row == tile - 1 ? 1 : 0);
        m.output.push_back(values);
    }
    for (size_t i = 0; i < points.size(); i++) {
        std::vector<double> values;
        for (int power = 0; power < kernel; power++) {
            values.push_back(scales[i] * (power == 0 ? 1 : std::pow(points[i], power)));
        }
        m.filter.push_back(values);
    }
    m.filter.emplace_back(kernel, 0.0);
    m.filter.back().back() = 1;
    return m;
}

// Shape

namespace {

constexpr const char* kTiles = "use tile=4 or tile=2 for 3x3 filters, tile=2 for 5x5";

void expect_tile(int64_t tile) {
    if (tile != 2 && tile != 4) fail("attribute", fmt::format("tile is {}", tile), kTiles);
}

}  // namespace

std::vector<TensorType> WinogradFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_tile(tile);
    expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    const std::vector<int64_t>& w = inputs[0].shape;
    if (!has_winograd(tile, w[2]) || w[3] != w[2]) {
        fail("attribute",
             fmt::format("tile {} does not go with a {} x {} filter", tile, w[2], w[3]), kTiles);
    }
    const int64_t points = tile + w[2] - 1;
    return {plain_type({w[0], w[1], points, points})};
}

std::vector<TensorType> WinogradConv2d::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_tile(tile);
    expect_map(inputs[0], "input");
    expect_parameter(inputs[1], 4, "filter", "(out, in, points, points)");
    const std::vector<int64_t>&x = inputs[0].shape, &u = inputs[1].shape;
    if (x[0] != u[1]) {
        fail("channels",
             fmt::format("input has {} channels, but the filter expects {}", x[0], u[1]),
             "give the filter as many input channels as the input has");
    }
    const int64_t kernel = this->kernel(inputs[1]);
    if (!has_winograd(tile, kernel) || u[3] != u[2]) {
        fail("attribute",
             fmt::format("the filter is {}, but must be transformed to {}", by(u[2], u[3]),
                         tile == 2 ? "4x4 or 6x6" : "6x6"),
             fmt::format("pass it through winograd_filter with tile={} first", tile));
    }
    const Window window{{kernel, kernel}, {1, 1}, {1, 1}, padding};
    check_window(window, std::span(x).subspan(1), "filter");
    return {batched_type({u[0], window.positions(0, x[1]), window.positions(1, x[2])})};
}

int64_t WinogradConv2d::multiply_adds(std::span<const TensorType> inputs) const {
    const std::vector<int64_t> out = infer(inputs)[0].shape;
    const int64_t kernel = this->kernel(inputs[1]);
    return out[0] * out[1] * out[2] * inputs[0].shape[0] * kernel * kernel;
}

// Lowering

namespace {

// Sum over j of matrix[row][j] * values[j], without the terms that are zero.
Expr combine(const std::vector<double>& row, const std::vector<Expr>& values) {
    Expr sum;
    for (size_t j = 0; j < values.size(); j++) {
        if (row[j] == 0) continue;
        Expr term = static_cast<float>(row[j]) * values[j];
        sum = sum.defined() ? sum + term : term;
    }
    return sum;
}

// The entry of `matrix` at (row, column), both in range.
Expr entry(const std::vector<std::vector<double>>& matrix, const Expr& row, const Expr& column) {
    std::vector<Expr> rows;
    for (const std::vector<double>& values : matrix) {
        std::vector<Expr> entries;
        for (double value : values) entries.emplace_back(static_cast<float>(value));
        rows.push_back(Halide::mux(column, entries));
    }
    return Halide::mux(row, rows);
}

}  // namespace

std::vector<Func> WinogradFilter::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const auto kernel = static_cast<size_t>(context.inputs[0].shape[2]);
    const WinogradMatrices matrices =
        winograd_matrices(static_cast<int>(tile), static_cast<int>(kernel));
    Var lane("lane"), i("i"), x("x"), y("y"), k("k");
    Func rows(context.name + "__rows"), out(context.name);
    std::vector<Expr> taps, results;
    for (size_t q = 0; q < kernel; q++)
        taps.push_back(inputs[0](lane, i, x, static_cast<int>(q), k));
    for (const auto& row : matrices.filter) results.push_back(combine(row, taps));
    rows(lane, i, x, y, k) = Halide::mux(y, results);  // G w, column x of w
    taps.clear();
    results.clear();
    for (size_t q = 0; q < kernel; q++) taps.push_back(rows(lane, i, static_cast<int>(q), y, k));
    for (const auto& row : matrices.filter) results.push_back(combine(row, taps));
    out(lane, i, x, y, k) = Halide::mux(x, results);
    return {out};
}

std::vector<Func> WinogradConv2d::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const WinogradMatrices matrices =
        winograd_matrices(to_int(tile), to_int(kernel(context.inputs[1])));
    const int points = matrices.points();
    const std::vector<int64_t>& shape = context.inputs[0].shape;  // C, H, W
    const int height = to_int(shape[1]), width = to_int(shape[2]);
    const int m = to_int(tile);
    Var c("c"), k("k"), x("x"), y("y"), n("n"), i("i"), j("j"), tx("tx"), ty("ty");
    auto read = [&](const Expr& column, const Expr& row) -> Expr {
        Expr value =
            inputs[0](c, Halide::clamp(column, 0, width - 1), Halide::clamp(row, 0, height - 1), n);
        return Halide::select(column >= 0 && column < width && row >= 0 && row < height, value,
                              0.0F);
    };
    Func data(context.name + "__data");  // B^T d B at (i, j) of tile (tx, ty)
    std::vector<Expr> lines;
    for (int p = 0; p < points; p++) {
        Expr line = 0.0F;
        for (int q = 0; q < points; q++) {
            line += entry(matrices.input, j, q) *
                    read(tx * m + q - to_int(padding[2]), ty * m + p - to_int(padding[0]));
        }
        lines.push_back(entry(matrices.input, i, p) * line);
    }
    Expr sum = lines[0];
    for (size_t p = 1; p < lines.size(); p++) sum += lines[p];
    data(c, j, i, tx, ty, n) = sum;
    RDom r(0, to_int(shape[0]), 0, points, 0, points);
    Func out(context.name);
    out(k, x, y, n) = 0.0F;
    out(k, x, y, n) += entry(matrices.output, y % m, r.z) * entry(matrices.output, x % m, r.y) *
                       inputs[1](k % 16, r.x, r.y, r.z, k / 16) *
                       data(r.x, r.y, r.z, x / m, y / m, n);
    return {out};
}

}  // namespace emulsion
