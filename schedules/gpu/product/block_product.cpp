// Tiles of block products, and the parts of their schedule.
#include "schedules/gpu/product/block_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

constexpr int kVector = 4;
constexpr int kWarp = 32;
constexpr int kFewestThreads = 16;

}  // namespace

BlockTile block_tile(const Tiling& tiling) {
    return {tiling.at("bm"), tiling.at("bp"), tiling.at("tm"), tiling.at("tp"), tiling.at("bk")};
}

Tiling to_tiling(const BlockTile& tile) {
    return {{{"bm", tile.bm}, {"bp", tile.bp}, {"tm", tile.tm}, {"tp", tile.tp}, {"bk", tile.bk}}};
}

TilingSpace block_space(int reduction, int fewest_channels) {
    std::vector<int> channels;
    for (int size = fewest_channels; size <= 128; size *= 2) channels.push_back(size);
    std::vector<int> pieces;
    for (int piece = 1; piece <= std::min(reduction, kMostPiece); piece++) {
        if (reduction % piece == 0 || piece % 8 == 0) pieces.push_back(piece);
    }
    return {{"bm", channels},
            {"bp", {16, 32, 48, 56, 64, 96, 112, 128}},
            {"tm", {4, 8, 16}},
            {"tp", {2, 4, 7, 8}},
            {"bk", pieces}};
}

std::string block_clash(const BlockTile& tile, const Isa& isa) {
    if (tile.bm % tile.tm != 0) return fmt::format("tm={} does not divide bm={}", tile.tm, tile.bm);
    if (tile.bp % tile.tp != 0) return fmt::format("tp={} does not divide bp={}", tile.tp, tile.bp);
    if (tile.threads() > isa.block_threads || tile.threads() < kFewestThreads) {
        return fmt::format("a block of {} threads, but it may have {} to {}", tile.threads(),
                           kFewestThreads, isa.block_threads);
    }
    if (tile.shared_bytes() > isa.shared_bytes) {
        return fmt::format("{} bytes of shared memory, but a block may have {}",
                           tile.shared_bytes(), isa.shared_bytes);
    }
    if (tile.tm * tile.tp + kOtherRegisters > isa.registers)
        return fmt::format("{} results do not fit the {} registers of a thread", tile.tm * tile.tp,
                           isa.registers);
    return "";
}

double block_efficiency(const BlockTile& tile, int m, int64_t p, int64_t copies) {
    const int64_t blocks_m = (m + tile.bm - 1) / tile.bm, blocks_p = (p + tile.bp - 1) / tile.bp;
    const double used = static_cast<double>(m) * static_cast<double>(p) /
                        static_cast<double>(blocks_m * tile.bm * blocks_p * tile.bp);
    // Words from shared memory for a multiply-add, and from the maps.
    const double shared = 1.0 / tile.tm + 1.0 / tile.tp;
    const double loaded = 1.0 / tile.bm + 1.0 / tile.bp;
    // Many multiprocessors want work, of two warps at least.
    const double blocks = static_cast<double>(blocks_m * blocks_p * copies);
    const double busy =
        std::min(1.0, blocks / kMultiprocessors * std::min(1.0, tile.threads() / (2.0 * kWarp)));
    // Lanes of the last warp that stand idle.
    const double warps =
        static_cast<double>(tile.threads()) / static_cast<double>(round_up(tile.threads(), kWarp));
    return used * busy * warps / (0.75 + shared + 2 * loaded);
}

std::vector<Tiling> block_tilings(int m, int64_t p, int64_t copies, int piece, const Isa& isa,
                                  const TileTest& fits, int fewest_channels) {
    std::vector<std::pair<double, Tiling>> found;
    const TilingSpace space = block_space(/*reduction=*/1, fewest_channels);
    for (int bm : space[0].values) {
        for (int bp : space[1].values) {
            for (int tm : {4, 8}) {
                for (int tp : {4, 8}) {
                    const BlockTile tile{bm, bp, tm, tp, piece};
                    if (!block_clash(tile, isa).empty() || (fits && !fits(tile))) continue;
                    found.emplace_back(-block_efficiency(tile, m, p, copies), to_tiling(tile));
                }
            }
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Tiling> tilings;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 8); i++)
        tilings.push_back(found[i].second);
    return tilings;
}

Expr channel_in(const Expr& channel, int channels) {
    if (channels % kVector != 0) return Halide::min(channel, channels - 1);
    return Halide::min(channel / kVector * kVector, channels - kVector) + channel % kVector;
}

void stage_panel(Func panel, const Var& inner, int inner_extent, const Var& outer, int outer_extent,
                 int threads) {
    const Var quad("quad"), lane("quad_lane"), item("item"), round("round"), thread("copier");
    const int vector = inner_extent % kVector == 0 ? kVector : 1;
    panel.store_in(Halide::MemoryType::GPUShared)
        .bound_extent(inner, inner_extent)
        .bound_extent(outer, outer_extent)
        .split(inner, quad, lane, vector, TailStrategy::RoundUp);
    std::vector<VarOrRVar> order = {lane, quad, outer};
    for (const Var& axis : panel.args()) {
        if (axis.name() != inner.name() && axis.name() != outer.name()) order.emplace_back(axis);
    }
    panel.reorder(order).vectorize(lane).fuse(quad, outer, item);
    const int items = inner_extent / vector * outer_extent;
    panel.split(item, round, thread, threads,
                items % threads == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    panel.reorder({lane, round, thread}).unroll(round).gpu_threads(thread);
}

void stage_operands(Staged operands, const Halide::LoopLevel& piece, const Halide::LoopLevel& step,
                    const BlockTile& tile, Panel panel) {
    const Var c = operands.map.args()[0], p = operands.map.args()[1];
    operands.filter.compute_at(piece);
    operands.map.compute_at(piece);
    operands.map_rows.compute_at(step).vectorize(c, tile.unrolled()).unroll(p);
    stage_panel(operands.map, c, tile.bk, p, tile.bp, tile.threads());
    if (panel == Panel::vectors) {
        const Var m = operands.filter.args()[0];
        return stage_panel(operands.filter, m, tile.bm, c, tile.bk, tile.threads());
    }
    const Var m = operands.filter.args()[1];
    stage_panel(operands.filter, c, tile.bk, m, tile.bm, tile.threads());
    operands.filter_rows.compute_at(step).vectorize(c, tile.unrolled()).unroll(m);
    if (tile.bk % kVector != 0) return;
    operands.filter.align_storage(c, tile.bk + kRowPadding);
    operands.map.align_storage(c, tile.bk + kRowPadding);
}

namespace {

// `m`: what is dealt along the channels, vectors whose loop is `lane` or single ones.
void deal(Stage stage, const Var& m, const std::vector<VarOrRVar>& lane, const Var& p,
          const BlockTile& tile, const std::vector<VarOrRVar>& inside,
          const std::vector<VarOrRVar>& outside) {
    const Var mj("mj"), mt("mt"), pt("pt"), pj("pj"), thread("thread");
    stage.split(m, mj, mt, tile.threads_m(), TailStrategy::RoundUp)
        .split(p, pt, pj, tile.tp, TailStrategy::RoundUp);
    std::vector<VarOrRVar> order = lane;
    order.emplace_back(mj);
    order.emplace_back(pj);
    order.insert(order.end(), inside.begin(), inside.end());
    order.emplace_back(mt);
    order.emplace_back(pt);
    order.insert(order.end(), outside.begin(), outside.end());
    stage.reorder(order).unroll(mj).unroll(pj).fuse(mt, pt, thread).gpu_threads(thread);
}

}  // namespace

void deal_to_threads(Stage stage, const Var& m, const Var& p, const BlockTile& tile, Panel panel,
                     const std::vector<VarOrRVar>& inside, const std::vector<VarOrRVar>& outside) {
    if (panel == Panel::rows) return deal(stage, m, {}, p, tile, inside, outside);
    const Var mq("mq"), mv("mv");
    stage.split(m, mq, mv, kVector, TailStrategy::RoundUp).vectorize(mv);
    deal(stage, mq, {mv}, p, tile, inside, outside);
}

void schedule_row_sum(Func sum, RowOperands operands, const Halide::RVar& along,
                      const std::vector<VarOrRVar>& others, const BlockTile& tile) {
    const Var m = sum.args()[0], c = sum.args()[1], cq("cq"), cv("cv");
    const Halide::RVar ko("ko"), ki("ki");
    const std::vector<Var> args = sum.args();
    const std::vector<VarOrRVar> rest(args.begin() + 2, args.end());
    std::vector<VarOrRVar> outside = {ko};
    outside.insert(outside.end(), others.begin(), others.end());
    outside.insert(outside.end(), rest.begin(), rest.end());
    deal_to_threads(sum, m, c, tile, Panel::vectors, {}, rest);
    Stage update = sum.update();
    update.split(along, ko, ki, tile.bk, TailStrategy::Auto).unroll(ki);
    deal_to_threads(update, m, c, tile, Panel::vectors, {ki}, outside);
    for (const auto& [panel, extent] :
         {std::pair{operands.a, tile.bm}, std::pair{operands.b, tile.bp}}) {
        Func(panel).compute_at(sum, ko);
        stage_panel(panel, panel.args()[0], extent, panel.args()[1], tile.bk, tile.threads());
    }
    const Var row = operands.rows.args()[0];
    operands.rows.compute_at(sum, ki);
    if (tile.tp % kVector == 0) {
        operands.rows.split(row, cq, cv, kVector).vectorize(cv).unroll(cq);
    } else {
        operands.rows.unroll(row);
    }
}

void split_channels(Func result, int channels, const BlockTile& tile, Panel panel) {
    const Var m = result.args()[0], mo("mo"), mi("mi"), mq("mq"), mv("mv");
    const auto tail = [&](int size) {
        return channels % size == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
    };
    if (panel == Panel::rows) {
        result.split(m, mo, mi, tile.bm, tail(tile.bm));
    } else {
        result.split(m, mq, mv, kVector, tail(kVector))
            .split(mq, mo, mi, tile.bm / kVector, tail(tile.bm));
    }
}

void deal_results(Func result, int channels, const BlockTile& tile, Panel panel) {
    const Var p = result.args()[1];
    const Var mo("mo"), mi("mi"), mv("mv"), po("po"), pi("pi");
    result.split(p, po, pi, tile.bp, TailStrategy::GuardWithIf);
    split_channels(result, channels, tile, panel);
    if (panel == Panel::rows) {
        deal(result, mi, {}, pi, tile, {}, {po, mo});
    } else {  // a vector is stored whole or, beyond the last whole one, lane by lane
        if (channels % kVector == 0) {
            result.vectorize(mv);
        } else {
            result.unroll(mv);
        }
        deal(result, mi, {mv}, pi, tile, {}, {po, mo});
    }
    // The longest axis first: a grid's others end at 65,535.
    if (result.dimensions() == 2) {
        result.gpu_blocks(po, mo);
    } else {
        result.gpu_blocks(po, mo, result.args()[2]);
    }
}

}  // namespace emulsion
