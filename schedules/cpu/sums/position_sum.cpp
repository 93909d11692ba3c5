// Sums over positions: chains along a row, rows in blocks, blocks in order.
#include "schedules/cpu/sums/position_sum.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/strict.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

constexpr int kChains = 4;         // vectors summed side by side: hides the latency of an addition
constexpr int kMostRows = 32;      // of a block: short chains keep sums accurate
constexpr int kMostColumns = 256;  // of a row of a plain tensor
constexpr int kBlockElements = 16384;  // 64 KiB: a block is read twice from the second cache

int largest_divisor(int value, int limit) {
    for (int d = std::min(value, std::max(1, limit)); d > 1; d--) {
        if (value % d == 0) return d;
    }
    return 1;
}

Func define_sums(const std::string& name, const std::vector<Var>& vars, size_t count) {
    Func func(name);
    func(vars) = Halide::Tuple(std::vector<Expr>(count, Expr(0.0F)));
    return func;
}

// func(at)[k] += values[k]
void add_update(Func func, const std::vector<Expr>& at, const std::vector<Expr>& values) {
    std::vector<Expr> sums;
    for (size_t k = 0; k < values.size(); k++) {
        sums.push_back(Strict(component(func, at, k)) + Strict(values[k]));
    }
    func(at) = Halide::Tuple(sums);
}

}  // namespace

MapShape::MapShape(const TensorType& type) : extents(memory_extents(type)), batched(type.batched) {
    const size_t rank = extents.size();
    if (rank > 0) channels = to_int(extents[0]);
    if (batched) {
        if (rank > 1) width = to_int(extents[1]);
        for (size_t i = 2; i < rank; i++) height *= to_int(extents[i]);
        return;
    }
    if (rank == 1) {
        blocks = channels / kLanes;
        channels = kLanes;
    } else if (rank > 1) {
        blocks = to_int(extents.back());
        width = largest_divisor(to_int(extents[1]), kMostColumns);
        height = to_int(extents[1]) / width;
        for (size_t i = 2; i + 1 < rank; i++) height *= to_int(extents[i]);
    }
}

std::vector<Expr> MapShape::at(const Expr& c, const Expr& x, const Expr& y, const Expr& n) const {
    if (batched) {
        std::vector<Expr> result = {c, x};
        result.resize(std::min<size_t>(extents.size(), 2));
        Expr row = y;  // of all axes behind the rows, one after another
        for (size_t i = 2; i < extents.size(); i++) {
            const bool is_last = i + 1 == extents.size();
            result.push_back(is_last ? row : row % to_int(extents[i]));
            if (!is_last) row = row / to_int(extents[i]);
        }
        result.push_back(n);
        return result;
    }
    if (extents.empty()) return {};
    if (extents.size() == 1) return {n * kLanes + c};
    const int rows = to_int(extents[1]) / width;  // that the second axis is cut into
    std::vector<Expr> result = {c, rows == 1 ? x : x + y % rows * width};
    Expr rest = rows == 1 ? y : y / rows;
    for (size_t i = 2; i + 1 < extents.size(); i++) {
        const bool is_last = i + 2 == extents.size();
        result.push_back(is_last ? rest : rest % to_int(extents[i]));
        rest = rest / to_int(extents[i]);
    }
    result.push_back(n);
    return result;
}

SumShape::SumShape(const MapShape& map) {
    even = map.channels % kLanes == 0;
    if (even) {
        chunk = kLanes * largest_divisor(map.channels / kLanes, kChains);
    } else {
        chunk = map.channels == 1 ? 1 : kLanes;
    }
    chains = largest_divisor(map.width, kChains / std::max(1, chunk / kLanes));
    rows =
        largest_divisor(map.height, std::clamp(kBlockElements / (map.width * chunk), 1, kMostRows));
    blocks = map.height / rows;
}

SumShape::SumShape(const MapShape& map, int rows_of_block) : SumShape(map) {
    rows = std::min(rows_of_block, map.height);
    blocks = divide_up(map.height, rows);
}

SumShape SumShape::tiled(const Tiling& tiling) const {
    SumShape shape = *this;
    shape.chunk = tiling.at("chunk", chunk);
    shape.units = tiling.at("units", units);
    return shape;
}

PositionSum::PositionSum(const std::string& name, const MapShape& map, const SumShape& shape,
                         const Values& values)
    : shape_(shape),
      height_(map.height),
      over_row_(0, map.width / shape.chains, name + "_i"),
      over_block_(0, shape.rows, name + "_j") {
    const Var c("c"), l("l"), y("y"), b("b"), n("n");
    const Expr block_of_y = shape.blocks == 1 ? Expr(0) : y / shape.rows;
    const std::vector<Expr> terms = values(c, over_row_.x * shape.chains + l, y, block_of_y, n);
    row_ = define_sums(name + "_row", {c, l, y, n}, terms.size());
    add_update(row_, {c, l, y, n}, terms);
    block_ = define_sums(name + "_block", {c, b, n}, terms.size());
    Expr row_of_block = b * shape.rows + over_block_.x;
    if (height_ % shape.rows != 0) {
        over_block_.where(row_of_block < height_);
        row_of_block = Halide::min(row_of_block, height_ - 1);
    }
    std::vector<Expr> rows;
    for (size_t k = 0; k < terms.size(); k++) {
        std::vector<Expr> chains;
        for (int i = 0; i < shape.chains; i++) {
            chains.push_back(component(row_, {c, i, row_of_block, n}, k));
        }
        rows.push_back(tree_sum(chains));
    }
    add_update(block_, {c, b, n}, rows);
}

Expr PositionSum::block(size_t k, const Expr& c, const Expr& b, const Expr& n) const {
    return component(block_, {c, b, n}, k);
}

void PositionSum::compute_at(const LoopLevel& level) {
    const Var l = row_.args()[1];
    compute_chunk_at(block_, level, shape_);
    row_.bound_extent(l, shape_.chains);
    compute_chunk_at(row_, LoopLevel(block_, over_block_.x), shape_, {l});
}

Func sum_blocks(const std::string& name, const PositionSum& sums, size_t values,
                const SumShape& shape) {
    const Var c("c"), n("n");
    RDom r(0, shape.blocks, name + "_b");
    Func total = define_sums(name, {c, n}, values);
    std::vector<Expr> blocks;
    for (size_t k = 0; k < values; k++) blocks.push_back(sums.block(k, c, r, n));
    add_update(total, {c, n}, blocks);
    return total;
}

std::vector<VarOrRVar> vectorize_chunk(Halide::Stage stage, const Var& c, const SumShape& shape) {
    if (shape.chunk == 1) return {c};
    const Var vector(c.name() + "v");
    stage.split(c, c, vector, kLanes,
                shape.even ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    stage.vectorize(vector);
    if (shape.even) stage.unroll(c);
    return {vector, c};
}

void compute_chunk_at(Func func, const LoopLevel& level, const SumShape& shape,
                      const std::vector<Var>& unrolled) {
    const Var c = func.args()[0];
    func.compute_at(level);
    if (shape.even) {
        func.bound_extent(c, shape.chunk);
    } else {
        func.bound_storage(c, shape.chunk);
    }
    vectorize_chunk(func, c, shape);
    for (const Var& var : unrolled) func.unroll(var);
    for (int i = 0; i < func.num_update_definitions(); i++) {
        std::vector<VarOrRVar> order = vectorize_chunk(func.update(i), c, shape);
        for (const Var& var : unrolled) order.emplace_back(var);
        for (const Halide::RVar& var : func.rvars(i)) order.emplace_back(var);
        func.update(i).reorder(order);
        for (const Var& var : unrolled) func.update(i).unroll(var);
    }
}

void compute_positions(Func sum, PositionSum& positions, const LoopLevel& level,
                       const SumShape& shape) {
    compute_chunk_at(sum, level, shape);
    positions.compute_at(LoopLevel(sum, sum.rvars()[0]));
}

void compute_channels(Func channel, const Func& sum, PositionSum& positions, const LoopLevel& level,
                      const SumShape& shape, int channels) {
    const Var c = channel.args()[0], outer("co"), inner("ci");
    channel.compute_at(level).bound_storage(c, to_int(round_up(channels, kLanes)));
    channel.split(c, outer, inner, shape.chunk,
                  shape.even ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    vectorize_chunk(channel, inner, shape);
    compute_positions(sum, positions, LoopLevel(channel, outer), shape);
}

}  // namespace emulsion
