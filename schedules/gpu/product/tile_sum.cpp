// See tile_sum.h.
#include "schedules/gpu/product/tile_sum.h"

#include <utility>

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::Var;
using Halide::VarOrRVar;

TileSum::TileSum(const Product& product, const BlockTile& tile, int channels, int taps_w,
                 int taps_h, std::vector<Var> rest)
    : r(0, channels, 0, taps_w, 0, taps_h, "r"),
      product_(product),
      tile_(tile),
      rest_(std::move(rest)) {}

std::vector<Var> TileSum::with_rest(std::vector<Var> axes) const {
    axes.insert(axes.end(), rest_.begin(), rest_.end());
    return axes;
}

void TileSum::define(const Expr& filter, const Expr& map) {
    const auto step = [&](const Expr& first, const Expr& second) {
        std::vector<Expr> at = {first, second, r.y, r.z};
        at.insert(at.end(), rest_.begin(), rest_.end());
        return at;
    };
    map_(with_rest({c, p, kx, ky})) = map;
    map_rows_(with_rest({c, p, kx, ky})) = map_(with_rest({c, p, kx, ky}));
    const std::vector<Var> place = with_rest({m, p});
    sum_(place) = 0.0F;
    if (product_.panel == Panel::rows) {
        filter_(with_rest({c, m, kx, ky})) = filter;
        filter_rows_(with_rest({c, m, kx, ky})) = filter_(with_rest({c, m, kx, ky}));
        sum_(place) += filter_rows_(step(r.x, m)) * map_rows_(step(r.x, p));
    } else {
        filter_(with_rest({m, c, kx, ky})) = filter;
        sum_(place) += filter_(step(m, r.x)) * map_rows_(step(r.x, p));
    }
}

Expr TileSum::value() const { return sum_(with_rest({m, p})); }

Func TileSum::results(const KernelContext& context, const Operands& operands) const {
    const std::vector<Expr> values =
        context.values_at(context.group().maps(), operands.result_at(m, p),
                          [&](const std::vector<Expr>&) { return value(); });
    Func out("out");
    if (values.size() == 1) {
        out(with_rest({m, p})) = values[0];
    } else {
        out(with_rest({m, p})) = Halide::Tuple(values);
    }
    return out;
}

void TileSum::schedule(Func result) {
    const RVar ko("ko"), ki("ki"), kq("kq"), kv("kv");
    deal_results(result, product_.m, tile_, product_.panel);
    sum_.compute_at(result, Var("po"))
        .store_in(Halide::MemoryType::Register)
        .bound_extent(m, tile_.bm)
        .bound_extent(p, tile_.bp);
    std::vector<VarOrRVar> outside = {ko, r.y, r.z};
    outside.insert(outside.end(), rest_.begin(), rest_.end());
    deal_to_threads(sum_, m, p, tile_, product_.panel, {}, {rest_.begin(), rest_.end()});
    Halide::Stage update = sum_.update();
    update.split(r.x, ko, ki, tile_.bk).split(ki, kq, kv, tile_.unrolled()).unroll(kv).unroll(kq);
    deal_to_threads(update, m, p, tile_, product_.panel, {kv, kq}, outside);
    stage_operands({filter_, filter_rows_, map_, map_rows_}, {sum_, ko}, {sum_, kq}, tile_,
                   product_.panel);
}

}  // namespace emulsion
