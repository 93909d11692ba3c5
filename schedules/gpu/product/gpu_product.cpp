// A product in one kernel.
#include "schedules/gpu/product/gpu_product.h"

#include "compiler/graph/limits.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Var;

bool GpuProduct::applies(const Group& group, const Isa&) const {
    if (!is_product(group) || !has_one_shape(group)) return false;
    if (group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return result.batched && result.shape == group.anchor_output().shape;
}

TilingSpace GpuProduct::space(const Group& group, const Isa&) const {
    return block_space(product_of(group).channels);
}

std::string GpuProduct::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuProduct::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    int piece = piece_of(product.channels);
    // A reduction of one piece would be no loop: ptxas then loads all of it at once, and spills.
    const bool is_loop = piece < product.channels || product.taps_w * product.taps_h > 1;
    if (!is_loop && piece > 8 && piece % 2 == 0) piece /= 2;
    return block_tilings(product.m, product.positions(group.batch), 1, piece, isa);
}

double GpuProduct::cost(const Group& group, const Tiling& tiling, const Isa&,
                        const Machine&) const {
    const Product product = product_of(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), product.m, product.positions(group.batch), 1);
    return device_seconds(1, traffic_bytes(group), product.multiply_adds(group.batch), efficiency);
}

std::vector<Func> GpuProduct::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Product product = product_of(group);
    const BlockTile tile = block_tile(tiling);
    const Operands operands(context, product);
    const bool is_tail = product.has_tail(tile);

    // Algorithm.
    const Var m("m"), p("p"), c("c"), kx("kx"), ky("ky");
    Func a("a"), ar("ar"), b("b"), br("br"), acc("acc"), out("out");
    const bool by_rows = product.panel == Panel::rows;
    if (by_rows) {
        a(c, m, kx, ky) = operands.filter(m, c, kx, ky);
    } else {
        a(m, c, kx, ky) = operands.filter(m, c, kx, ky);
    }
    b(c, p, kx, ky) = operands.map(p, c, kx, ky, is_tail);
    br(c, p, kx, ky) = b(c, p, kx, ky);
    const RDom r(0, static_cast<int>(round_up(product.channels, tile.bk)), 0, product.taps_w, 0,
                 product.taps_h, "r");
    acc(m, p) = 0.0F;
    if (by_rows) {
        ar(c, m, kx, ky) = a(c, m, kx, ky);
        acc(m, p) += ar(r.x, m, r.y, r.z) * br(r.x, p, r.y, r.z);
    } else {
        acc(m, p) += a(m, r.x, r.y, r.z) * br(r.x, p, r.y, r.z);
    }
    const std::vector<Expr> values =
        context.values_at(group.maps(), operands.result_at(m, p),
                          [&](const std::vector<Expr>&) { return Expr(acc(m, p)); });
    if (values.size() == 1) {
        out(m, p) = values[0];
    } else {
        out(m, p) = Halide::Tuple(values);
    }

    // Schedule.
    const RVar ko("ko"), ki("ki"), kq("kq"), kv("kv");
    deal_results(out, product.m, tile, product.panel);
    acc.compute_at(out, Var("po"))
        .store_in(Halide::MemoryType::Register)
        .bound_extent(m, tile.bm)
        .bound_extent(p, tile.bp);
    deal_to_threads(acc, m, p, tile, product.panel);
    Halide::Stage update = acc.update();
    update.split(r.x, ko, ki, tile.bk).split(ki, kq, kv, tile.unrolled()).unroll(kv).unroll(kq);
    deal_to_threads(update, m, p, tile, product.panel, {kv, kq}, {ko, r.y, r.z});
    stage_operands({a, ar, b, br}, {acc, ko}, {acc, kq}, tile, product.panel);
    return {out};
}

}  // namespace emulsion
